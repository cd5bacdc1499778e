"""A domain is a folder: every volume file, DICOM series or stack of TIFF slices in it is a case."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..io import read_volume
from ..volume import Triple, Volume


@dataclass(frozen=True)
class Source:
    """Where a case can be read.

    Args:
        name: path within the domain's folder; holds nothing of a header.
        path: volume file, or folder of slices.
        spacing: voxel size (k, j, i) in mm of a TIFF stack; None where the files tell it.
        series: DICOM series, where the folder holds several.
        truth: noise-free volume of a phantom.
        calibration: gain and offset with which the values were made, grey = offset + gain · HU,
            where the folder tells them.
    """

    name: str
    path: Path
    spacing: Triple | None = None
    series: str | None = None
    truth: Path | None = None
    calibration: tuple[float, float] | None = None

    def read(self) -> Volume:
        """The whole scan, in the units of its files.

        Raises:
            ReadError: as :func:`~microctsr_core.io.read_volume`.
        """
        return read_volume(self.path, self.spacing, self.series)
