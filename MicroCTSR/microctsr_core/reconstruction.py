"""The paper's way to a whole slice: overlapping patches, histogram matching, a median filter.

Li et al. 2021 cut a slice into patches of 256 x 256 at stride 128. Patches of a network with
instance normalisation disagree in brightness, which shows as a grid; the paper removes it by
matching the histogram of each generated patch to that of its input patch, and a median filter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.exposure import match_histograms

from .tiles import Range, Region, Tile, relative

PATCH = 256
STRIDE = 128
MEDIAN_SIZE = 3


def patches(region: Region, size: int = PATCH, stride: int = STRIDE) -> list[Tile]:
    """Overlapping square patches that cover a region, the last ones ending where it ends.

    Args:
        region: rows and columns ((j0, j1), (i0, i1)) to cover.
        size: edge of a patch; a region smaller than this gets one patch that reaches beyond it.
        stride: distance between patches.

    Example:
        >>> [patch.read for patch in patches(((0, 256), (0, 400)))]
        [((0, 256), (0, 256)), ((0, 256), (128, 384)), ((0, 256), (144, 400))]
    """
    tiles = []
    for rows in _starts(region[0], size, stride):
        for columns in _starts(region[1], size, stride):
            square = ((rows, rows + size), (columns, columns + size))
            tiles.append(Tile(read=square, write=square, blocks=(square,)))
    return tiles


def matched_to_input(
    patch: NDArray[np.float32], input_patch: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Give a generated patch the histogram of its input patch (both 2-D, any range)."""
    matched: NDArray[np.float32] = match_histograms(patch, input_patch).astype(np.float32)
    return matched


class PatchAverage:
    """Averages overlapping patches into one slice.

    Args:
        region: rows and columns of the slice; what a patch holds beyond them is left out.
    """

    def __init__(self, region: Region) -> None:
        self._region = region
        shape = tuple(stop - start for start, stop in region)
        self._sum = np.zeros(shape)
        self._weight = np.zeros(shape)

    def add(self, patch: NDArray[np.float32], place: Region) -> None:
        """Add a patch that lies at ``place``."""
        kept: Region = tuple(  # type: ignore[assignment]
            (max(start, first), min(stop, last))
            for (start, stop), (first, last) in zip(place, self._region, strict=True)
        )
        where = relative(kept, self._region)
        self._sum[where] += patch[relative(kept, place)]
        self._weight[where] += 1

    def result(self) -> NDArray[np.float32]:
        """Mean of all patches at each pixel."""
        averaged: NDArray[np.float32] = (self._sum / self._weight).astype(np.float32)
        return averaged


def smoothed(plane: NDArray[np.float32], size: int = MEDIAN_SIZE) -> NDArray[np.float32]:
    """Median filter that removes what the patches' borders leave behind."""
    filtered: NDArray[np.float32] = ndimage.median_filter(plane, size=size, mode="nearest")
    return filtered


def _starts(whole: Range, size: int, stride: int) -> list[int]:
    start, stop = whole
    last = max(start, stop - size)
    return [*range(start, last, stride), last]
