"""What protects the user: consistency with the input, and the card check.

A generative network can invent anatomy. The consistency map brings the result back to the
input's grid with the scanner model of the card and shows, in HU, where the two disagree. The
card check says, before the run, what lies outside the model's training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .errors import GeometryError
from .model import Model
from .preparation import HUWindow, in_plane_mm
from .volume import Volume

# Rounding in headers (0.3125 mm, 0.15 mm) is no reason to warn.
_SIZE_TOLERANCE = 0.02
_THICK_SLICES = 2.5
# Noise in air and in dense bone reaches a little beyond the values of the tissue itself.
_NOISE_MARGIN = 0.05
_OUTSIDE_SHARE = 0.001
_FLAT_RANGE_HU = 300
_SAMPLES = 4_000_000


def consistency(mean: Volume, ct: Volume, scanner: Mapping[str, Any]) -> Volume:
    """Result minus input, in HU, on the input's grid.

    The result is blurred by the scanner's point-spread function and averaged over each voxel of
    the input, in the order in which a scanner does it. Where the result keeps the scan's slices,
    the blur through the plane mixes neighbouring slices, each standing for its surroundings.
    Beyond the result's edges its edge voxels go on, so the outermost voxels are less certain.

    Args:
        mean: super-resolved volume in HU.
        ct: the part of the scan it was made from: the same outer corners, fewer voxels.
        scanner: ``psf_sigma_mm``, the standard deviation of the Gaussian point spread ahead of
            area sampling (see :func:`scanner_at`).

    Returns:
        float32 volume on the grid of ``ct``; positive where the result is denser.

    Raises:
        GeometryError: the voxels of ``mean`` do not divide those of ``ct``.
    """
    factors = tuple(fine // coarse for fine, coarse in zip(mean.shape, ct.shape, strict=True))
    regridded = tuple(n * factor for n, factor in zip(ct.shape, factors, strict=True))
    if regridded != mean.shape or np.abs(mean.corners_lps() - ct.corners_lps()).max() > 1e-3:
        raise GeometryError(
            f"A result of {mean.shape} voxels does not divide the {ct.shape} voxels of the scan; "
            f"compare it with the part of the scan it was made from."
        )
    sigmas = [float(scanner["psf_sigma_mm"]) / step for step in mean.spacing]
    brought_back = bring_back(mean.array, (factors[0], factors[1], factors[2]), sigmas)
    return ct.with_array(brought_back - ct.array.astype(np.float32))


def bring_back(
    fine: NDArray[Any], factors: tuple[int, int, int], sigmas: list[float]
) -> NDArray[np.float32]:
    """Image a fine volume with a scanner: Gaussian point spread, then area sampling.

    Works slice by slice, so memory stays that of a few slices.

    Args:
        fine: values ordered (k, j, i).
        factors: fine voxels per coarse voxel, (k, j, i).
        sigmas: of the Gaussian in fine voxels, (k, j, i); 0 leaves an axis as it is.
    """
    fk, fj, fi = factors
    k, j, i = (n // f for n, f in zip(fine.shape, factors, strict=True))
    planes = np.empty((fine.shape[0], j, i), np.float32)
    for number, plane in enumerate(fine):
        blurred = ndimage.gaussian_filter(plane.astype(np.float32), sigmas[1:], mode="nearest")
        planes[number] = blurred.reshape(j, fj, i, fi).mean(axis=(1, 3))
    planes = ndimage.gaussian_filter(planes, sigmas[0], mode="nearest", axes=(0,))
    sampled: NDArray[np.float32] = planes.reshape(k, fk, j, i).mean(axis=1)
    return sampled


def scanner_at(model: Model, spacing: tuple[float, float, float]) -> dict[str, float]:
    """The scanner model of a card for a scan's voxel size.

    Scanners with larger voxels blur more: a card may give ``psf_sigma_mm`` as two values, for the
    least and the greatest voxel size trained for, between which it is interpolated.
    """
    scanner = model.card["scanner"]
    sigma = scanner["psf_sigma_mm"]
    if not isinstance(sigma, int | float):
        sigma = np.interp(in_plane_mm(spacing), model.card["voxel_size_low_mm"], sigma)
    return {"psf_sigma_mm": float(sigma), "noise_sd_hu": float(scanner["noise_sd_hu"])}


def check_card(volume: Volume, model: Model) -> list[str]:
    """What lies outside the model's training, one plain sentence each; empty when nothing does.

    Args:
        volume: the whole scan.
        model: its card says which voxel sizes and intensities it was trained for.
    """
    warnings = _voxel_warnings(volume, model)
    if isinstance(model.intensity, HUWindow):
        warnings += _intensity_warnings(volume, model)
    if model.card["dropout"]["kind"] == "none":
        warnings.append("The model has no dropout, so its uncertainty is zero everywhere.")
    if model.card["network"]["arguments"].get("norm") == "instance":
        warnings.append(
            "The network normalises each tile by its own statistics, so tiles may differ in "
            "brightness and the result depends on the tile size."
        )
    return warnings


def _voxel_warnings(volume: Volume, model: Model) -> list[str]:
    through, *in_plane = volume.spacing
    low, high = model.card["voxel_size_low_mm"]
    warnings = []
    if max(in_plane) > min(in_plane) * (1 + _SIZE_TOLERANCE):
        warnings.append(
            f"The voxels are not square in the plane ({in_plane[0]:.3g} x {in_plane[1]:.3g} mm), "
            f"but the model {model.name} was trained on square ones: shapes may be distorted."
        )
    if min(in_plane) < low * (1 - _SIZE_TOLERANCE) or max(in_plane) > high * (1 + _SIZE_TOLERANCE):
        warnings.append(
            f"Voxels of {in_plane_mm(volume.spacing):.3g} mm in the plane lie outside the "
            f"{low:g} to {high:g} mm that the model {model.name} was trained for: "
            f"do not trust details in the result."
        )
    ratio = through / in_plane_mm(volume.spacing)
    if ratio > _THICK_SLICES:
        warnings.append(
            f"Slices lie {through:.3g} mm apart, {ratio:.1f} times the voxel size in the plane: "
            f"structures thinner than a slice are blurred through the plane."
        )
    return warnings


def _intensity_warnings(volume: Volume, model: Model) -> list[str]:
    values = np.ravel(volume.array)[:: max(1, volume.array.size // _SAMPLES)]
    low, high = model.card["intensity_range_hu"]
    least, greatest = (float(value) for value in np.percentile(values, (0.1, 99.9)))
    modality = volume.metadata.get("modality", "CT")
    warnings = []
    if modality != "CT":
        warnings.append(
            f"The scan's modality is {modality}, but the model {model.name} was trained on CT."
        )
    if least >= 0 or greatest - least < _FLAT_RANGE_HU:
        warnings.append(
            f"The intensities ({least:.4g} to {greatest:.4g}) do not look like Hounsfield units, "
            f"in which air is -1000 and water 0: convert the scan first."
        )
        return warnings
    margin = _NOISE_MARGIN * (high - low)
    outside = float(np.mean((values < low - margin) | (values > high + margin)))
    if outside > _OUTSIDE_SHARE:
        warnings.append(
            f"{100 * outside:.1f} % of the voxels lie outside the {low:g} to {high:g} HU that the "
            f"model {model.name} was trained for (the scan has {least:.0f} to {greatest:.0f} HU), "
            f"as metal and padding do: do not trust the result there."
        )
    return warnings
