"""Clinical scans simulated of a micro-CT: point spread and area sampling, without noise.

Both act along each axis by itself, so that a scan is the volume times one matrix per axis, and a
volume of any size passes through slab by slab.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from ..phantom import ClinicalScanner
from ..volume import Box
from .regridding import Regridded, area_weights

HU_RANGE = (-1024.0, 4000.0)
"""What a clinical scanner stores."""

# Beyond so many standard deviations a Gaussian is left out.
REACH = 4.0


@dataclass(frozen=True)
class Setting:
    """A scanner and the voxels (k, j, i) that it divides the field of view into."""

    scanner: ClinicalScanner
    shape: tuple[int, int, int]


def simulate(
    image: Regridded, field: Box, settings: Sequence[Setting]
) -> list[NDArray[np.float32]]:
    """Scan the part `field` of a micro-CT with each of the scanners, without noise.

    Args:
        image: isotropic, in HU; what it holds around the field of view is what the point spread
            draws from, and beyond its borders they are repeated.
        field: field of view in voxels of the image.
        settings: voxels divide the field of view evenly, not necessarily by whole numbers.

    Returns:
        one float32 array (k, j, i) of HU per setting.
    """
    scans = [np.zeros(setting.shape, np.float32) for setting in settings]
    matrices = [_matrices(image, field, setting) for setting in settings]
    for start, stop in image.slabs():
        slab = image.slab(start, stop)
        for scan, gaussians in zip(scans, matrices, strict=True):
            for through, rows, columns in gaussians:
                if through[:, start:stop].any():
                    in_plane = np.matmul(rows, slab @ columns.T)
                    scan += np.tensordot(through[:, start:stop], in_plane, 1)
    return [
        np.clip(scan + setting.scanner.cupping(scan.shape), *HU_RANGE)
        for scan, setting in zip(scans, settings, strict=True)
    ]


def _matrices(
    image: Regridded, field: Box, setting: Setting
) -> list[tuple[NDArray[np.float32], ...]]:
    """For each Gaussian of the point spread, a matrix for each axis; the first has its weight."""
    found = []
    for weight, sigma_mm in setting.scanner.gaussians:
        axes = []
        for count, (start, stop), number in zip(image.shape, field, setting.shape, strict=True):
            matrix = blurred_area_weights(count, start, stop, number, sigma_mm / image.spacing[1])
            axes.append(matrix.astype(np.float32))
        axes[0] *= np.float32(weight)
        found.append(tuple(axes))
    return found


def blurred_area_weights(
    count: int, start: int, stop: int, number: int, sigma: float
) -> NDArray[np.float64]:
    """Shares of `count` small voxels, their ends repeated, in blurred large ones.

    Args:
        count: number of small voxels.
        start, stop: small voxels that the large ones cover.
        number: number of large voxels.
        sigma: standard deviation of the blur in small voxels.

    Returns:
        (number, count), each row adding up to one.
    """
    around = int(np.ceil(REACH * sigma))
    shares = np.zeros((number, count + 2 * around))
    weights, (first, last) = area_weights(count, (stop - start) / number, start, number)
    shares[:, first + around : last + around] = weights
    shares = gaussian_filter1d(shares, sigma, axis=1, mode="constant", truncate=REACH)
    inside = shares[:, around : around + count]
    inside[:, 0] += shares[:, :around].sum(axis=1)
    inside[:, -1] += shares[:, around + count :].sum(axis=1)
    return inside / inside.sum(axis=1, keepdims=True)
