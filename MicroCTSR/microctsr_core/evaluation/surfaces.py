"""How far the surfaces of a tissue lie apart in a result and in the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..volume import Triple


@dataclass(frozen=True)
class SurfaceDistance:
    """Distance between two surfaces in mm; see `surface_distance`."""

    mean_mm: float
    p95_mm: float


def surface_distance(
    first: NDArray[np.bool_], second: NDArray[np.bool_], spacing_mm: Triple
) -> SurfaceDistance:
    """Mean and 95 % distance between the surfaces of two masks on the same grid.

    A surface is what of a mask (k, j, i) touches, by an edge and within its slice, what is not
    the mask; the image's border is no surface. From each voxel of either surface the distance to
    the nearest voxel of the other is taken, in three dimensions.

    Returns
    -------
    The mean of all these distances (the average symmetric surface distance), and the greater of
    both directions' 95th percentiles (the robust Hausdorff distance). NaN where a mask has no
    surface: what is lacking altogether is told by Dice and as missed structures.

    References
    ----------
    Heimann et al. 2009, "Comparison and evaluation of methods for liver segmentation from CT
    datasets"; Huttenlocher et al. 1993.
    """
    surfaces = [_surface(mask) for mask in (first, second)]
    if not all(surface.any() for surface in surfaces):
        return SurfaceDistance(float("nan"), float("nan"))
    there, back = (
        ndimage.distance_transform_edt(~other, sampling=spacing_mm)[surface]
        for surface, other in (surfaces, surfaces[::-1])
    )
    return SurfaceDistance(
        mean_mm=float(np.concatenate([there, back]).mean()),
        p95_mm=float(max(np.percentile(there, 95), np.percentile(back, 95))),
    )


def _surface(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    in_plane = ndimage.generate_binary_structure(2, 1)[None]
    surface: NDArray[np.bool_] = mask & ~ndimage.binary_erosion(mask, in_plane, border_value=1)
    return surface
