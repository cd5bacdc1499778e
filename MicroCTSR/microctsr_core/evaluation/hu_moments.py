"""How alike slices are in shape, by Hu's moments: m-HuM, the unpaired measure of Li et al. 2021."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import MicroCTSRError

Distance: TypeAlias = Literal["I1", "I2", "I3"]

NEGLIGIBLE = 1e-5
"""Moments up to this size are left out of a distance, as OpenCV's matchShapes does."""


def hu_moments(images: NDArray) -> NDArray[np.float64]:
    """Hu's seven invariants of each slice (Hu 1962), as an array (slices, 7).

    Parameters
    ----------
    images : (slices, j, i), not negative: bright is where the mass of a shape lies. HU have to be
        brought to [0, 1] first; the invariants of grey values depend on their scale.

    An empty slice (all zero) has the invariants 0.
    """
    moments = [
        cv2.HuMoments(cv2.moments(np.ascontiguousarray(image, np.float32))) for image in images
    ]
    return np.array(moments, np.float64).reshape(-1, 7)


def hu_distances(
    moments: ArrayLike, references: ArrayLike, distance: Distance = "I1"
) -> NDArray[np.float64]:
    """Distance of every slice to every reference by their invariants: (slices, references).

    Parameters
    ----------
    moments, references : (slices, 7) and (references, 7), of `hu_moments`.
    distance : with m = sign(h) log10 |h| of the invariants h of a slice and n of a reference,
        "I1" is the sum of |1/m − 1/n|, "I2" that of |m − n|, and "I3" the largest |m − n| / |m|,
        over the invariants that are above NEGLIGIBLE in both: OpenCV's ``matchShapes``.

    Never NaN: two empty slices are alike (0); an empty one and another are infinitely apart. Where
    an invariant is exactly 1, so that m is 0, it is left out of "I1" and "I3", which divide by it.

    Raises
    ------
    MicroCTSRError : `distance` is another.
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


def m_hum(
    images: NDArray, references: NDArray, distance: Distance = "I1"
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Distance of each slice to the reference slice nearest to it, and that one's index.

    The score of a set is the mean over its slices (Li et al. 2021, who do not say which of the
    three distances they took). `images` and `references` are (slices, j, i), as in `hu_moments`.

    Raises
    ------
    MicroCTSRError : there is no reference, or `distance` is unknown.
    """
    if not len(references):
        raise MicroCTSRError("The reference set of m-HuM is empty; give at least one slice.")
    distances = hu_distances(hu_moments(images), hu_moments(references), distance)
    nearest = distances.argmin(1)
    return distances[np.arange(len(distances)), nearest], nearest


def _signed_logarithm(moments: NDArray) -> NDArray:
    """Sign(h) log10 |h|, and 0 where h is 0."""
    size = np.abs(moments)
    return np.sign(moments) * np.log10(np.where(size > 0, size, 1))


def _inverse(values: NDArray) -> NDArray:
    return 1 / np.where(values == 0, 1, values)
