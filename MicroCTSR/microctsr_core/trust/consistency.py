"""Consistency: the result brought back to the input's grid must agree with the input.

A generative network can invent anatomy. The scanner model of the card images the result as the
scanner imaged the patient, and the difference from the scan shows, in HU, where they disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryError
from ..preparation import in_plane_mm
from ..volume import Triple, Volume

# Standard deviations at which the Gaussian is cut off.
_TRUNCATE = 4.0


class Planes(Protocol):
    """Planes that need not all be in memory."""

    def __len__(self) -> int: ...

    def __getitem__(self, planes: slice, /) -> NDArray[np.float32]: ...


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


def rms(slices: Iterable[NDArray[Any]]) -> float:
    """Root mean square of a volume, slice after slice."""
    total, count = 0.0, 0
    for values in slices:
        total += float(np.square(values, dtype=np.float64).sum())
        count += values.size
    return float(np.sqrt(total / count))


def bring_back(
    fine: NDArray[Any], factors: tuple[int, int, int], sigmas: Sequence[float]
) -> NDArray[np.float32]:
    """Image a fine volume with a scanner: Gaussian point spread, then area sampling.

    Works slice by slice, so memory stays that of a few slices.

    Args:
        fine: values ordered (k, j, i).
        factors: fine voxels per coarse voxel, (k, j, i).
        sigmas: of the Gaussian in fine voxels, (k, j, i); 0 leaves an axis as it is.
    """
    planes = np.stack([bring_back_plane(plane, factors[1:], sigmas[1:]) for plane in fine])
    return bring_back_slices(planes, factors[0], sigmas[0], range(len(planes) // factors[0]))


def bring_back_plane(
    plane: NDArray[Any], factors: Sequence[int], sigmas: Sequence[float]
) -> NDArray[np.float32]:
    """The part of :func:`bring_back` that stays in a plane: (j, i) in, fewer (j, i) out."""
    from scipy import ndimage  # here, so that Slicer does not load it at every start

    (j, fj), (i, fi) = ((n // f, f) for n, f in zip(plane.shape, factors, strict=True))
    blurred = ndimage.gaussian_filter(plane.astype(np.float32), sigmas, mode="nearest")
    sampled: NDArray[np.float32] = blurred.reshape(j, fj, i, fi).mean(axis=(1, 3))
    return sampled


def bring_back_slices(
    planes: Planes, factor: int, sigma: float, slices: range
) -> NDArray[np.float32]:
    """The part of :func:`bring_back` through the plane, for some slices.

    A slice's numbers are the same whichever others are asked for, bit for bit.

    Args:
        planes: what :func:`bring_back_plane` gave for all fine planes, (k, j, i).
        factor: fine planes per slice.
        sigma: of the Gaussian in fine planes.
        slices: numbers of the slices wanted, one after the other.
    """
    from scipy import ndimage

    reach = int(_TRUNCATE * sigma + 0.5)  # as scipy cuts its Gaussian off
    first, last = slices.start * factor, slices.stop * factor
    start, stop = max(first - reach, 0), min(last + reach, len(planes))
    blurred = ndimage.gaussian_filter(
        planes[start:stop], sigma, mode="nearest", truncate=_TRUNCATE, axes=(0,)
    )
    inside = blurred[first - start : last - start]
    sampled: NDArray[np.float32] = inside.reshape(-1, factor, *inside.shape[1:]).mean(axis=1)
    return sampled


def scanner_at(card: Mapping[str, Any], spacing: Triple) -> dict[str, float]:
    """The scanner model of a card for a scan's voxel size, in mm and ordered (k, j, i).

    Scanners with larger voxels blur more: a card may give ``psf_sigma_mm`` as two values, for the
    least and the greatest voxel size trained for, between which it is interpolated.
    """
    scanner = card["scanner"]
    sigma = scanner["psf_sigma_mm"]
    if not isinstance(sigma, int | float):
        sigma = np.interp(in_plane_mm(spacing), card["voxel_size_low_mm"], sigma)
    return {"psf_sigma_mm": float(sigma), "noise_sd_hu": float(scanner["noise_sd_hu"])}
