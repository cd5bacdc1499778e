"""From a source to a case: checked, calibrated, cropped, scaled and written to the cache."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.filters import threshold_otsu

from ..errors import MicroCTSRError
from ..io import check_image
from ..phantom import ClinicalScanner
from ..phantom.scanners import gaussian_blur
from ..preparation import (
    HUWindow,
    Intensity,
    ZScoreUnit,
    foreground_box,
    in_plane_mm,
    intensity_from_dict,
)
from ..volume import Box, Triple, Volume
from .cache import key_of, load_record, new_case, write_array
from .calibration import (
    NOMINAL_CLASSES_HU,
    Calibration,
    darkest_and_brightest,
    sample,
    why_not_hu,
)
from .cases import DataSettings, DomainSettings, HighCase, LowCase, Scan
from .folders import Source
from .regridding import Regridded
from .simulation import HU_RANGE, REACH, Setting, simulate

Part = tuple[float, float]
WHOLE: Part = (0.0, 1.0)

# Clinical voxels (k, j, i) below which a case is not cropped.
_LEAST = (8, 48, 48)
_LOW_MARGIN = 4
# The point spread draws from so many standard deviations around the field of view; what lies
# further weighs less than 2 %.
_MARGIN_SIGMAS = 2.5
_DENOISING_REACH = 4
_QUANTILES = (np.arange(512) + 0.5) / 512


@dataclass(frozen=True)
class Made:
    """A case with what else was noted of it."""

    case: Any
    notes: list[str]
    quantiles: list[float]
    range_hu: tuple[float, float]
    slices: int


def psf_range_mm(settings: DataSettings, spacing_mm: float) -> tuple[float, float]:
    """Standard deviations of the point spread of clinical scanners with voxels of this size."""
    if settings.psf_sigma_mm is not None:
        return settings.psf_sigma_mm
    # As ClinicalScanner.draw has it.
    wider = 0.2 * (spacing_mm - 0.15)
    return (0.15 + wider, 0.21 + wider)


def make_low(source: Source, cache: Path, settings: DataSettings, part: Part = WHOLE) -> Made:
    """Prepare a clinical scan, or take it from the cache.

    Raises:
        MicroCTSRError: the case cannot be used; WriteError: the cache cannot be written.
    """
    facts = {
        "low": asdict(settings.low),
        "intensity": settings.intensity,
        "window": settings.window_hu,
        "part": part,
    }
    folder = cache / "low" / key_of(source, facts)
    record = load_record(folder)
    if record is None:
        volume = source.read()
        check_image(volume, str(source.path))
        with new_case(folder) as (files, new):
            _write_low(source, volume, files, new, settings, part)
        record = load_record(folder) or new
    spacing = _triple(record["spacing"])
    psf = sum(psf_range_mm(settings, spacing[1])) / 2
    scan = Scan(folder / "scan.npy", spacing, psf, intensity_from_dict(record["intensity"]))
    case = LowCase(source.name, scan, source, _box(record["box"]), source.truth)
    return _made(case, record)


def _write_low(
    source: Source,
    volume: Volume,
    files: Path,
    record: dict[str, Any],
    settings: DataSettings,
    part: Part,
) -> None:
    calibration, note = _low_calibration(source, volume, settings)
    pixel = settings.low.voxel_mm or in_plane_mm(volume.spacing)
    grid = Regridded.of(volume, (volume.spacing[0], pixel, pixel)).in_hu(calibration)
    grid = grid.cropped(_low_region(volume, grid))
    ends = _split(grid.shape[0], part)
    grid = grid.cropped((ends, (0, grid.shape[1]), (0, grid.shape[2])))
    intensity = _fitted(settings, volume, calibration)

    def slabs() -> Iterator[NDArray[np.float32]]:
        for start, stop in grid.slabs():
            hu = grid.slab(start, stop)
            if calibration.is_identity:  # scanners pad with -2000 and less
                hu = np.maximum(hu, HU_RANGE[0])
            seen.append(sample(hu))
            yield intensity.forward(hu)

    seen: list[NDArray] = []
    write_array(files / "scan.npy", grid.shape, slabs())
    record |= _facts(grid.spacing, intensity, grid.shape[0], np.concatenate(seen), note)
    record["box"] = grid.source_box()


def make_high(
    source: Source,
    cache: Path,
    settings: DataSettings,
    seed: int,
    classes_hu: tuple[float, float],
    part: Part = WHOLE,
) -> Made:
    """Prepare a micro-CT and simulated scans of it, or take them from the cache.

    Args:
        classes_hu: darkest and brightest class of the clinical scans, for micro-CT that is
            calibrated by itself.

    Raises:
        MicroCTSRError: the case cannot be used; WriteError: the cache cannot be written.
    """
    facts = {
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
    folder = cache / "high" / key_of(source, facts)
    record = load_record(folder)
    if record is None:
        volume = source.read()
        check_image(volume, str(source.path))
        with new_case(folder) as (files, new):
            _write_high(source, volume, files, new, settings, seed, classes_hu, part)
        record = load_record(folder) or new
    intensity = intensity_from_dict(record["intensity"])
    image = Scan(folder / "image.npy", _triple(record["spacing"]), 0.0, intensity)
    scans = tuple(
        Scan(folder / f"scan_{n}.npy", _triple(scan["spacing"]), scan["psf_sigma_mm"], intensity)
        for n, scan in enumerate(record["scans"])
    )
    return _made(HighCase(source.name, image, scans), record)


def _write_high(
    source: Source,
    volume: Volume,
    files: Path,
    record: dict[str, Any],
    settings: DataSettings,
    seed: int,
    classes_hu: tuple[float, float],
    part: Part,
) -> None:
    scale = settings.scale
    pixel = settings.high.voxel_mm or in_plane_mm(volume.spacing)
    grid = Regridded.of(volume, (pixel, pixel, pixel))
    if min(grid.shape) < scale:
        raise MicroCTSRError(
            f"{source.path} has only {' x '.join(map(str, grid.shape))} voxels of {pixel:.4g} mm, "
            f"which is less than one clinical voxel of {scale}; give a larger micro-CT."
        )
    psf = max(psf_range_mm(settings, scale * pixel))
    coarse = _area_means(grid, scale)
    blurred = gaussian_filter(coarse, psf / (scale * pixel), mode="nearest")
    calibration, note = _high_calibration(source, volume, blurred, settings.high, classes_hu)
    grid = grid.in_hu(calibration)
    margin = int(np.ceil(_MARGIN_SIGMAS * psf / (scale * pixel)))
    field = _field(_high_region(blurred, grid.shape, scale, margin), scale, margin)
    first, last = _split((field[0][1] - field[0][0]) // scale, part)
    field = ((field[0][0] + first * scale, field[0][0] + last * scale), field[1], field[2])
    intensity = _fitted(settings, volume, calibration)
    clinical = [
        _setting(source, number, field, pixel, settings, seed)
        for number in range(settings.scans_per_case)
    ]
    around, inner = _widened(field, int(np.ceil(REACH * 1.7 * psf / pixel)), grid.shape)
    record["scans"] = []
    for number, scan in enumerate(simulate(grid.cropped(around), inner, clinical)):
        write_array(files / f"scan_{number}.npy", scan.shape, [intensity.forward(scan)])
        depth = (field[0][1] - field[0][0]) * pixel / len(scan)
        record["scans"].append(
            {
                "spacing": (depth, scale * pixel, scale * pixel),
                "psf_sigma_mm": clinical[number].scanner.psf_sigma_mm,
                "scanner": clinical[number].scanner.parameters(),
            }
        )

    def slabs() -> Iterator[NDArray[np.float32]]:
        for hu in _denoised(grid, field, settings.denoising_sigma):
            seen.append(sample(hu))
            yield intensity.forward(hu)

    seen: list[NDArray] = []
    k, j, i = (stop - start for start, stop in field)
    write_array(files / "image.npy", (k, j, i), slabs())
    record |= _facts((pixel,) * 3, intensity, k // scale, np.concatenate(seen), note)


def _low_calibration(
    source: Source, volume: Volume, settings: DataSettings
) -> tuple[Calibration, str | None]:
    wanted = settings.low.intensity
    if not isinstance(wanted, str):
        return Calibration.through(wanted), None
    values = sample(volume.array)
    reason = why_not_hu(values, trusted=wanted == "hu")
    if reason is None:
        return Calibration(), None
    if settings.intensity == "zscore_unit" and wanted == "auto":
        # A z-score undoes any straight line; only the strength of noise hangs on this one.
        points = zip(darkest_and_brightest(values), NOMINAL_CLASSES_HU, strict=True)
        return Calibration.through(list(points)), None
    raise MicroCTSRError(
        f"{source.path} is not in HU like a clinical CT ({reason}); take it out of the folder, or "
        f"give its domain two points as intensity: [[grey, hu], [grey, hu]]."
    )


def _high_calibration(
    source: Source,
    volume: Volume,
    coarse: NDArray,
    settings: DomainSettings,
    classes_hu: tuple[float, float],
) -> tuple[Calibration, str | None]:
    wanted = settings.intensity
    if not isinstance(wanted, str):
        return Calibration.through(wanted), None
    if wanted == "auto" and source.calibration is not None:
        return source.calibration, None
    reason = why_not_hu(sample(volume.array), trusted=wanted == "hu")
    if reason is None:
        return Calibration(), None
    if wanted == "hu":
        raise MicroCTSRError(
            f"{source.path} is not in HU ({reason}); give its domain intensity: auto, or two "
            f"points [[grey, hu], [grey, hu]]."
        )
    dark, bright = darkest_and_brightest(sample(coarse))
    calibration = Calibration.through([(dark, classes_hu[0]), (bright, classes_hu[1])])
    note = (
        f"{source.name} is not in HU ({reason}), so grey {dark:.5g} was taken for "
        f"{classes_hu[0]:.0f} HU and grey {bright:.5g} for {classes_hu[1]:.0f} HU, as the clinical "
        f"scans have them; where you know better, set high.intensity: "
        f"[[{dark:.5g}, {classes_hu[0]:.0f}], [{bright:.5g}, {classes_hu[1]:.0f}]]."
    )
    return calibration, note


def _fitted(settings: DataSettings, volume: Volume, calibration: Calibration) -> Intensity:
    """The scaling of one case, fitted to its whole scan and expressed in HU."""
    if settings.intensity == "hu_window":
        return HUWindow(*settings.window_hu)
    grey = ZScoreUnit.fit(volume.array)
    mean, sd = grey.mean or 0.0, grey.sd or 1.0
    return replace(
        grey, mean=calibration.offset + calibration.gain * mean, sd=calibration.gain * sd
    )


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


def _low_region(volume: Volume, grid: Regridded) -> Box:
    """Region of interest in voxels of the grid, with a margin."""
    threshold = float(threshold_otsu(sample(volume.array)))
    steps = [old / new for old, new in zip(volume.spacing, grid.spacing, strict=True)]
    box = foreground_box(volume.array, threshold)
    on_grid = [
        (int(start * step), int(np.ceil(stop * step)))
        for (start, stop), step in zip(box, steps, strict=True)
    ]
    return _region(on_grid, grid.shape, _LOW_MARGIN)


def _high_region(coarse: NDArray, shape: tuple[int, int, int], scale: int, margin: int) -> Box:
    """Region of interest in voxels of the fine grid, with room for the point spread."""
    box = _region(foreground_box(coarse, float(threshold_otsu(coarse))), coarse.shape, margin + 1)
    ends = [
        (start * scale, full if stop == blocks else stop * scale)
        for (start, stop), blocks, full in zip(box, coarse.shape, shape, strict=True)
    ]
    return (ends[0], ends[1], ends[2])


def _region(box: Any, shape: tuple[int, ...], margin: int) -> Box:
    """A box grown by a margin and to a least size, within a shape."""
    ends = []
    for (start, stop), full, least in zip(box, shape, _LEAST, strict=True):
        lacking = max(0, least - (stop - start) - 2 * margin)
        start = max(0, min(start - margin - (lacking + 1) // 2, full - least))
        ends.append((start, min(full, max(stop + margin + lacking // 2, start + least))))
    return (ends[0], ends[1], ends[2])


def _field(region: Box, scale: int, margin: int) -> Box:
    """Field of view of the simulated scans: whole clinical voxels in the middle of a region.

    The margin around it is given up only as far as enough is left.
    """
    ends = []
    for (start, stop), least in zip(region, _LEAST, strict=True):
        voxels = (stop - start) // scale
        voxels -= 2 * min(margin, max(0, (voxels - least) // 2))
        first = start + (stop - start - voxels * scale) // 2
        ends.append((first, first + voxels * scale))
    return (ends[0], ends[1], ends[2])


def _widened(box: Box, by: int, shape: tuple[int, int, int]) -> tuple[Box, Box]:
    """A box with what lies around it, within a shape, and the box as seen from there."""
    wide = [
        (max(0, start - by), min(full, stop + by))
        for (start, stop), full in zip(box, shape, strict=True)
    ]
    inner = [(a - w, b - w) for (a, b), (w, _) in zip(box, wide, strict=True)]
    return (wide[0], wide[1], wide[2]), (inner[0], inner[1], inner[2])


def _denoised(grid: Regridded, field: Box, sigma: float) -> Iterator[NDArray[np.float32]]:
    """The field of view, blurred, slab by slab."""
    reach = int(np.ceil(_DENOISING_REACH * sigma))
    view = grid.cropped(field)
    for start, stop in view.slabs():
        rows = (field[0][0] + start, field[0][0] + stop)
        around, inner = _widened((rows, field[1], field[2]), reach, grid.shape)
        hu = grid.cropped(around).slab(0, around[0][1] - around[0][0])
        if sigma:
            hu = gaussian_blur(hu, sigma)
        yield hu[tuple(slice(*ends) for ends in inner)]


def _split(slices: int, part: Part) -> tuple[int, int]:
    """First and last slice of a part of them, at least one."""
    start = min(round(part[0] * slices), slices - 1)
    return start, max(start + 1, round(part[1] * slices))


def _facts(
    spacing: Triple, intensity: Intensity, slices: int, values: NDArray, note: str | None
) -> dict[str, Any]:
    least, greatest = np.quantile(values, (0.001, 0.999))
    return {
        "spacing": spacing,
        "intensity": intensity.to_dict(),
        "slices": slices,
        "range_hu": (float(least), float(greatest)),
        "quantiles": np.quantile(values, _QUANTILES).astype(float).tolist(),
        "notes": [] if note is None else [note],
    }


def _made(case: Any, record: dict[str, Any]) -> Made:
    least, greatest = record["range_hu"]
    return Made(case, record["notes"], record["quantiles"], (least, greatest), record["slices"])


def _triple(values: Any) -> Triple:
    k, j, i = values
    return (k, j, i)


def _box(values: Any) -> Box:
    k, j, i = ((start, stop) for start, stop in values)
    return (k, j, i)
