"""Hu's seven invariants of images, and how far images are apart by them."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, TypeAlias, get_args

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import MicroCTSRError

Distance: TypeAlias = Literal["I1", "I2", "I3"]

NEGLIGIBLE = 1e-5
"""Moments up to this size are left out of a distance, as OpenCV's matchShapes does."""


def hu_moments(images: Iterable[NDArray]) -> NDArray[np.float64]:
    """Hu's seven invariants of each image (Hu 1962), as an array (images, 7).

    Parameters
    ----------
    images : (j, i) each, not negative: bright is where the mass of a shape lies. HU have to be
        brought to [0, 1] first; the invariants of grey values depend on their scale. An image of
        booleans is a shape of equal mass. Outlines, (points, 1, 2) as OpenCV's ``findContours``
        gives them, are filled.

    An empty image (all zero, or without a pixel), and an outline without an area, have the
    invariants 0. They are computed on all processor cores.
    """
    with ThreadPoolExecutor() as threads:  # OpenCV lets other threads run meanwhile
        found = list(threads.map(invariants, images))
    return np.array(found, np.float64).reshape(-1, 7)


def invariants(image: NDArray) -> NDArray[np.float64]:
    """Of one image or outline; see :func:`hu_moments`."""
    if not image.size:
        return np.zeros(7)
    if image.ndim == 2:
        # OpenCV is several times faster with an image of 8 bits.
        image = np.ascontiguousarray(image, np.uint8 if image.dtype == bool else np.float32)
    return np.asarray(cv2.HuMoments(cv2.moments(image)), np.float64).ravel()


def hu_distances(
    moments: ArrayLike, references: ArrayLike, distance: Distance = "I1"
) -> NDArray[np.float64]:
    """Distance of every slice to every reference by their invariants: (slices, references).

    Never NaN: two empty slices are alike (0); an empty one and another are infinitely apart. Where
    an invariant is exactly 1, so that m is 0, it is left out of "I1" and "I3", which divide by it.

    Args:
        moments, references: (slices, 7) and (references, 7), of `hu_moments`.
        distance: with m = sign(h) log10 |h| of the invariants h of a slice and n of a reference,
            "I1" is the sum of |1/m − 1/n|, "I2" that of |m − n|, and "I3" the largest
            |m − n| / |m|, over the invariants that are above NEGLIGIBLE in both: OpenCV's
            ``matchShapes``.

    Raises:
        MicroCTSRError: `distance` is another.
    """
    if distance not in get_args(Distance):
        raise MicroCTSRError(f'The Hu distance "{distance}" is unknown; choose I1, I2 or I3.')
    of_slices = np.asarray(moments, np.float64).reshape(-1, 7)
    of_references = np.asarray(references, np.float64).reshape(-1, 7)
    answer = np.zeros((len(of_slices), len(of_references)))
    # One invariant at a time: thousands of slices against thousands fit into memory.
    for h, k in zip(of_slices.T[:, :, None], of_references.T[:, None, :], strict=True):
        m, n = _signed_logarithm(h), _signed_logarithm(k)
        counted = (np.abs(h) > NEGLIGIBLE) & (np.abs(k) > NEGLIGIBLE)
        if distance == "I1":
            counted &= (m != 0) & (n != 0)
            answer += np.where(counted, np.abs(_inverse(m) - _inverse(n)), 0)
        elif distance == "I2":
            answer += np.where(counted, np.abs(m - n), 0)
        else:
            counted &= m != 0
            np.maximum(answer, np.where(counted, np.abs((m - n) * _inverse(m)), 0), out=answer)
    answer[np.logical_xor.outer(of_slices.any(1), of_references.any(1))] = np.inf
    return answer


def _signed_logarithm(moments: NDArray) -> NDArray:
    """Sign(h) log10 |h|, and 0 where h is 0."""
    size = np.abs(moments)
    return np.sign(moments) * np.log10(np.where(size > 0, size, 1))


def _inverse(values: NDArray) -> NDArray:
    return 1 / np.where(values == 0, 1, values)
