"""Clinical scans made ready for training: checked, cropped, scaled, written to the cache."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_otsu

from ..errors import MicroCTSRError
from ..preparation import foreground_box, in_plane_mm, intensity_from_dict
from ..volume import Box, Volume
from .cache import cached_case, write_array
from .calibration import (
    NOMINAL_CLASSES_HU,
    Calibration,
    darkest_and_brightest,
    sample,
    why_not_hu,
)
from .cases import DataSettings, LowCase, Scan
from .folders import Source
from .making import Made, facts, fitted, noise_sd, psf_range_mm, triple
from .regions import WHOLE, Part, grown, split
from .regridding import Regridded
from .simulation import HU_RANGE

_MARGIN = 4


def make_low(
    source: Source, cache: Path, settings: DataSettings, part: Part = WHOLE
) -> Made[LowCase]:
    """Prepare a clinical scan, or take it from the cache.

    Raises:
        MicroCTSRError: the case cannot be used; WriteError: the cache cannot be written.
    """
    key = {
        "low": asdict(settings.low),
        "intensity": settings.intensity,
        "window": settings.window_hu,
        "part": part,
    }
    folder, record = cached_case(
        source,
        cache / "low",
        key,
        lambda volume, files: _write(source, volume, files, settings, part),
    )
    spacing = triple(record["spacing"])
    psf = sum(psf_range_mm(settings, spacing[1])) / 2
    scan = Scan(folder / "scan.npy", spacing, psf, intensity_from_dict(record["intensity"]))
    k, j, i = ((start, stop) for start, stop in record["box"])
    case = LowCase(
        source.name,
        scan,
        source,
        (k, j, i),
        source.truth,
        Calibration(*record["calibration"]),
        record["noise"],
        record["digest"],
    )
    return Made.of(case, record)


def check_low(source: Source, volume: Volume, settings: DataSettings) -> None:
    """Make sure of what the preparation of a clinical scan asks for.

    Raises:
        MicroCTSRError: its values cannot be HU.
    """
    _calibration(source, volume, settings)


def _write(
    source: Source, volume: Volume, files: Path, settings: DataSettings, part: Part
) -> dict[str, Any]:
    """Write the array of a case and return its record."""
    calibration, is_hu = _calibration(source, volume, settings)
    pixel = settings.low.voxel_mm or in_plane_mm(volume.spacing)
    grid = Regridded.of(volume, (volume.spacing[0], pixel, pixel)).in_hu(calibration)
    grid = grid.cropped(_region(volume, grid))
    ends = split(grid.shape[0], part)
    grid = grid.cropped((ends, (0, grid.shape[1]), (0, grid.shape[2])))
    intensity = fitted(settings, volume, calibration)

    def slabs() -> Iterator[NDArray[np.float32]]:
        for start, stop in grid.slabs():
            hu = grid.slab(start, stop)
            if calibration.is_identity:  # scanners pad with -2000 and less
                hu = np.maximum(hu, HU_RANGE[0])
            yield intensity.forward(hu)

    write_array(files / "scan.npy", grid.shape, slabs())
    record = facts(files / "scan.npy", grid.spacing, intensity, grid.shape[0])
    known = calibration if is_hu else Calibration()
    return {
        **record,
        "box": grid.box,
        "calibration": (known.gain, known.offset),
        "noise": noise_sd(np.load(files / "scan.npy", mmap_mode="r"), intensity),
    }


def _calibration(
    source: Source, volume: Volume, settings: DataSettings
) -> tuple[Calibration, bool]:
    """The line from grey values to HU, and whether it is one, or only stands for one."""
    wanted = settings.low.intensity
    if not isinstance(wanted, str):
        return Calibration.through(wanted), True
    if wanted == "auto" and source.calibration is not None:
        return source.calibration, True
    values = sample(volume.array)
    reason = why_not_hu(values, trusted=wanted == "hu", airless=True)
    if reason is None:
        return Calibration(), True
    if settings.intensity == "zscore_unit" and wanted == "auto":
        # A z-score undoes any straight line; only the strength of noise hangs on this one.
        classes = darkest_and_brightest(values, str(source.path), "low")
        points = zip(classes, NOMINAL_CLASSES_HU, strict=True)
        return Calibration.through(list(points)), False
    raise MicroCTSRError(
        f"{source.path} is not in HU as clinical CT should be ({reason}); take it out of the "
        f"folder, or set data.low.intensity to two points [[grey, hu], [grey, hu]]"
        f"{' or to hu' if wanted == 'auto' else ''}."
    )


def _region(volume: Volume, grid: Regridded) -> Box:
    """Region of interest in voxels of the grid, with a margin."""
    threshold = float(threshold_otsu(sample(volume.array)))
    steps = [old / new for old, new in zip(volume.spacing, grid.spacing, strict=True)]
    box = foreground_box(volume.array, threshold)
    on_grid = [
        (int(start * step), int(np.ceil(stop * step)))
        for (start, stop), step in zip(box, steps, strict=True)
    ]
    return grown(on_grid, grid.shape, _MARGIN)
