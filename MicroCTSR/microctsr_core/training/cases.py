"""What training draws its patches from: scans on disk, clinical ones and micro-CT."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..preparation import HUWindow, Intensity
from ..volume import Box, Triple, Volume
from .calibration import Calibration
from .folders import Source
from .regridding import regridded

Points: TypeAlias = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class DomainSettings:
    """How the files of one domain are to be read.

    Args:
        spacing: voxel size (k, j, i) in mm of files that do not tell it (TIFF).
        voxel_mm: cases are resampled to this voxel size first, in the plane; micro-CT through it
            as well. None leaves them as they are.
        intensity: ``"auto"``; ``"hu"``, which is taken at its word unless the values cannot be
            HU; or two points ``[[grey, hu], [grey, hu]]`` of a straight line to HU.

    Raises:
        ValueError: a size is not above zero, or the points are those of no rising line.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid", "allow_inf_nan": False}
    spacing: Triple | None = None
    voxel_mm: float | None = None
    intensity: Literal["auto", "hu"] | Points = "auto"

    def __post_init__(self) -> None:
        if min(*(self.spacing or (1.0, 1.0, 1.0)), self.voxel_mm or 1.0) <= 0:
            raise ValueError("spacing and voxel_mm are sizes in mm above zero.")
        if not isinstance(self.intensity, str):
            Calibration.through(self.intensity)


@dataclass(frozen=True)
class DataSettings:
    """How two folders become two domains.

    Args:
        scale: linear factor between the grids of the two domains.
        intensity: ``"hu_window"``, or ``"zscore_unit"`` for the paper's scaling of every case by
            its own statistics.
        window_hu: HU that become 0 and 1.
        low, high: of the clinical domain and of the micro-CT.
        held_out: share of each domain's cases kept for validation; at least one is.
        scans_per_case: clinical scans simulated of each micro-CT.
        psf_sigma_mm: range of the clinical scanners' point spread; None as
            :meth:`~microctsr_core.phantom.ClinicalScanner.draw` has it.
        denoising_sigma: Gaussian, in voxels, that takes the noise out of micro-CT, which would be
            learned as if it were texture.
        strict: a bad case is an error instead of a note.

    Raises:
        ValueError: a number is outside what it can be.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid", "allow_inf_nan": False}
    scale: int = 8
    intensity: Literal["hu_window", "zscore_unit"] = "hu_window"
    window_hu: tuple[float, float] = (-1000.0, 3000.0)
    low: DomainSettings = field(default_factory=DomainSettings)
    high: DomainSettings = field(default_factory=DomainSettings)
    held_out: float = 0.15
    scans_per_case: int = 2
    psf_sigma_mm: tuple[float, float] | None = None
    denoising_sigma: float = 0.8
    strict: bool = False

    def __post_init__(self) -> None:
        HUWindow(*self.window_hu)
        if self.scale < 2 or self.scans_per_case < 1:
            raise ValueError("scale is at least 2 and scans_per_case at least 1.")
        if not 0 < self.held_out < 1:
            raise ValueError(f"held_out is a share between 0 and 1, not {self.held_out:g}.")
        if self.denoising_sigma < 0:
            raise ValueError("denoising_sigma is not below 0.")
        if self.psf_sigma_mm is not None and not 0 < self.psf_sigma_mm[0] <= self.psf_sigma_mm[1]:
            raise ValueError(f"psf_sigma_mm runs upwards from above 0, not {self.psf_sigma_mm}.")


@dataclass(frozen=True)
class Scan:
    """One image on disk, scaled to [0, 1] by its intensity scaling and never clipped.

    Args:
        path: ``.npy`` file, float16, ordered (k, j, i).
        spacing: (k, j, i) in mm.
        psf_sigma_mm: standard deviation of the point spread of the scanner; 0 for micro-CT.
        intensity: what scaled it, fitted; its span turns noise in HU into noise in the array.
    """

    path: Path
    spacing: Triple
    psf_sigma_mm: float
    intensity: Intensity = field(default_factory=HUWindow)

    @property
    def array(self) -> NDArray[np.float16]:
        """The values, mapped: they are read when they are looked at."""
        return _mapped(self.path)


@lru_cache(maxsize=256)  # each holds an open file
def _mapped(path: Path) -> NDArray[np.float16]:
    array: NDArray[np.float16] = np.load(path, mmap_mode="r")
    return array


@dataclass(frozen=True)
class LowCase:
    """A clinical scan.

    Args:
        name: place in the folder.
        scan: its region of interest.
        source: where the whole scan can be read.
        box: voxels of what :meth:`read` returns that `scan` shows.
        truth: noise-free volume on the fine grid, of a phantom.
        calibration: from the source's units to HU; none for grey values that are scaled by their
            z-score.
        noise: standard deviation in the units of `scan`, scaled.
        digest: changes with the scan and with the settings it was prepared by.
    """

    name: str
    scan: Scan
    source: Source
    box: Box
    truth: Path | None
    calibration: Calibration = field(default_factory=Calibration)
    noise: float = 0.0
    digest: str = ""

    def read(self) -> Volume:
        """The whole scan in HU (or in grey values, see `calibration`) on the grid of `scan`.

        Raises:
            ReadError: as :meth:`~microctsr_core.training.folders.Source.read`.
        """
        return regridded(self.source.read(), self.scan.spacing, self.calibration)


@dataclass(frozen=True)
class HighCase:
    """A micro-CT and clinical scans of it.

    Args:
        name: place in the folder.
        image: denoised, isotropic, its shape a multiple of the scale.
        scans: noise-free clinical scans simulated from the micro-CT, each of exactly the field of
            view of `image`; every second one with thick slices, where there are enough of them.
        digest: changes with the micro-CT and with the settings it was prepared by.
    """

    name: str
    image: Scan
    scans: tuple[Scan, ...]
    digest: str = ""
