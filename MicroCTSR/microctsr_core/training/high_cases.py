"""Micro-CT made ready for training, with clinical scans simulated of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_otsu

from ..errors import MicroCTSRError
from ..phantom import ClinicalScanner
from ..phantom.scanners import gaussian_blur
from ..preparation import foreground_box, in_plane_mm, intensity_from_dict, whole_box
from ..volume import Box, Volume
from .cache import cached_case, write_array
from .calibration import (
    NOMINAL_CLASSES_HU,
    Calibration,
    darkest_and_brightest,
    sample,
    why_not_hu,
)
from .cases import DataSettings, DomainSettings, HighCase, Scan
from .folders import Source
from .making import Made, facts, fitted, psf_range_mm, triple
from .regions import WHOLE, Part, field_of_view, grown, split, widened
from .regridding import Regridded
from .simulation import REACH, Setting, simulate

# The point spread draws from so many standard deviations around the field of view; what lies
# further weighs less than 5 %.
_MARGIN_SIGMAS = 2.0
_DENOISING_REACH = 4


def make_high(
    source: Source,
    cache: Path,
    settings: DataSettings,
    seed: int,
    classes_hu: tuple[float, float],
    part: Part = WHOLE,
) -> Made[HighCase]:
    """Prepare a micro-CT and simulated scans of it, or take them from the cache.

    Args:
        classes_hu: air and dense bone of the clinical scans, for micro-CT that is calibrated by
            itself.

    Raises:
        MicroCTSRError: the case cannot be used; WriteError: the cache cannot be written.
    """
    key = {
        "high": asdict(settings.high),
        "scale": settings.scale,
        "intensity": settings.intensity,
        "window": settings.window_hu,
        "scans": settings.scans_per_case,
        "psf": settings.psf_sigma_mm,
        "denoising": settings.denoising_sigma,
        "seed": seed,
        "classes": classes_hu,
        "part": part,
    }
    folder, record = cached_case(
        source,
        cache / "high",
        key,
        lambda volume, files: _write(source, volume, files, settings, seed, classes_hu, part),
    )
    intensity = intensity_from_dict(record["intensity"])
    image = Scan(folder / "image.npy", triple(record["spacing"]), 0.0, intensity)
    scans = tuple(
        Scan(folder / f"scan_{n}.npy", triple(scan["spacing"]), scan["psf_sigma_mm"], intensity)
        for n, scan in enumerate(record["scans"])
    )
    return Made.of(HighCase(source.name, image, scans, record["digest"]), record)


def check_high(source: Source, volume: Volume, settings: DataSettings) -> None:
    """Make sure of what the preparation of a micro-CT asks for.

    Raises:
        MicroCTSRError: it is too small, or its values cannot be brought to HU.
    """
    _isotropic(source, volume, settings)
    _calibration(source, volume, settings.high, NOMINAL_CLASSES_HU)


def _write(
    source: Source,
    volume: Volume,
    files: Path,
    settings: DataSettings,
    seed: int,
    classes_hu: tuple[float, float],
    part: Part,
) -> dict[str, Any]:
    """Write the arrays of a case and return its record."""
    scale = settings.scale
    grid = _isotropic(source, volume, settings)
    pixel = grid.spacing[0]
    coarse = _area_means(grid, scale)
    calibration, notes = _calibration(source, volume, settings.high, classes_hu)
    grid = grid.in_hu(calibration)
    widest = max(psf_range_mm(settings, scale * pixel))
    margin = int(np.ceil(_MARGIN_SIGMAS * widest / (scale * pixel)))
    field = field_of_view(_region(coarse, grid.shape, scale, margin), scale, margin)
    first, last = split((field[0][1] - field[0][0]) // scale, part)
    field = ((field[0][0] + first * scale, field[0][0] + last * scale), field[1], field[2])
    intensity = fitted(settings, volume, calibration)
    clinical = [
        _setting(source, number, field, pixel, settings, seed)
        for number in range(settings.scans_per_case)
    ]
    widest = max(sigma for setting in clinical for _, sigma in setting.scanner.gaussians)
    around, inner = widened(field, int(np.ceil(REACH * widest / pixel)), grid.shape)
    scans = []
    for number, scan in enumerate(simulate(grid.cropped(around), inner, clinical)):
        k, j, i = clinical[number].shape
        write_array(files / f"scan_{number}.npy", (k, j, i), [intensity.forward(scan)])
        depth = (field[0][1] - field[0][0]) * pixel / k
        psf = clinical[number].scanner.psf_sigma_mm
        scans.append({"spacing": (depth, scale * pixel, scale * pixel), "psf_sigma_mm": psf})

    slabs = _denoised(grid, field, settings.denoising_sigma)
    k, j, i = (stop - start for start, stop in field)
    write_array(files / "image.npy", (k, j, i), (intensity.forward(hu) for hu in slabs))
    record = facts(files / "image.npy", (pixel, pixel, pixel), intensity, k // scale)
    return {**record, "scans": scans, "notes": notes}


def _isotropic(source: Source, volume: Volume, settings: DataSettings) -> Regridded:
    """A micro-CT in cubes of its voxel size in the plane, or of the size that is set.

    Raises:
        MicroCTSRError: it is smaller than one clinical voxel.
    """
    pixel = settings.high.voxel_mm or in_plane_mm(volume.spacing)
    grid = Regridded.of(volume, (pixel, pixel, pixel))
    if min(grid.shape) < settings.scale:
        raise MicroCTSRError(
            f"{source.path} has only {' x '.join(map(str, grid.shape))} voxels of {pixel:.4g} mm, "
            f"which is less than one clinical voxel of {settings.scale}; give a larger micro-CT."
        )
    return grid


def _calibration(
    source: Source,
    volume: Volume,
    settings: DomainSettings,
    classes_hu: tuple[float, float],
) -> tuple[Calibration, list[str]]:
    """The line from grey values to HU, and what the user should know of it."""
    wanted = settings.intensity
    if not isinstance(wanted, str):
        return Calibration.through(wanted), []
    if wanted == "auto" and source.calibration is not None:
        return source.calibration, []
    values = sample(volume.array)
    reason = why_not_hu(values, trusted=wanted == "hu")
    if reason is None:
        return Calibration(), []
    if wanted == "hu":
        raise MicroCTSRError(
            f"{source.path} is not in HU ({reason}); set data.high.intensity to auto or to two "
            f"points [[grey, hu], [grey, hu]]."
        )
    classes = darkest_and_brightest(values, str(source.path), "high")
    points = list(zip(classes, classes_hu, strict=True))
    told = ", ".join(f"[{grey:.5g}, {hu:.0f}]" for grey, hu in points)
    note = (
        f"{source.name} is not in HU ({reason}), so its darkest and its brightest class were taken "
        f"for air and dense bone as in the clinical scans, as data.high.intensity: [{told}] "
        f"would do; set other points if they are something else, such as marrow."
    )
    return Calibration.through(points), [note]


def _setting(
    source: Source, number: int, field: Box, pixel: float, settings: DataSettings, seed: int
) -> Setting:
    """The scanner for one simulated scan; every second one is thick-sliced where there is room."""
    k, j, i = ((stop - start) // settings.scale for start, stop in field)
    spacing = settings.scale * pixel
    g = np.random.default_rng([seed, crc32(source.name.encode()), number])
    scanner = ClinicalScanner.draw(g, spacing, thick=number % 2 == 1 and k >= 4)
    if settings.psf_sigma_mm is not None:
        scanner = replace(scanner, psf_sigma_mm=float(g.uniform(*settings.psf_sigma_mm)))
    if scanner.slice_mm is not None:
        k = max(2, round(k * spacing / scanner.slice_mm))
    return Setting(scanner, (k, j, i))


def _area_means(grid: Regridded, scale: int) -> NDArray[np.float32]:
    """Means of blocks of scale³ voxels; what fills no block is left out."""
    means = []
    for start, stop in grid.slabs(scale):
        if stop - start >= scale:
            k, j, i = (n // scale for n in (stop - start, *grid.shape[1:]))
            slab = grid.slab(start, start + k * scale)[:, : j * scale, : i * scale]
            means.append(slab.reshape(k, scale, j, scale, i, scale).mean((1, 3, 5)))
    return np.concatenate(means)


def _region(coarse: NDArray, shape: tuple[int, int, int], scale: int, margin: int) -> Box:
    """Region of interest in voxels of the fine grid, with room for the point spread."""
    box = whole_box(coarse.shape)
    if coarse.min() < coarse.max():
        box = grown(foreground_box(coarse, float(threshold_otsu(coarse))), coarse.shape, margin + 1)
    ends = [
        (start * scale, full if stop == blocks else stop * scale)
        for (start, stop), blocks, full in zip(box, coarse.shape, shape, strict=True)
    ]
    return (ends[0], ends[1], ends[2])


def _denoised(grid: Regridded, field: Box, sigma: float) -> Iterator[NDArray[np.float32]]:
    """The field of view, blurred, slab by slab."""
    reach = int(np.ceil(_DENOISING_REACH * sigma))
    view = grid.cropped(field)
    for start, stop in view.slabs():
        rows = (field[0][0] + start, field[0][0] + stop)
        around, inner = widened((rows, field[1], field[2]), reach, grid.shape)
        hu = grid.cropped(around).slab(0, around[0][1] - around[0][0])
        if sigma:
            hu = gaussian_blur(hu, sigma)
        yield hu[tuple(slice(*ends) for ends in inner)]
