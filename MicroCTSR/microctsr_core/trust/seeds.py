"""From uncertainty to seeds for a segmentation: bone, fluid and air where they are beyond doubt.

The uncertainty follows the structure of the temporal bone and can serve as a rough segmentation
(Li et al. 2021). Here it says where a voxel's tissue can be told from its HU; from there, seeds
grow to the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..pieces import SAMPLES, Sliceable, sampled

LABELS = {"bone": 1, "fluid": 2, "air": 3}
"""What the voxels of seeds are called."""

# Limits of the tissues (air < -500, fluid -200 ... 300, bone > 700 HU). A threshold that does not
# lie in the gap between two of them, or near it, has parted something else.
_AIR_HU = -500.0
_AIR_RANGE = (-900.0, -200.0)
_BONE_HU = 700.0
_BONE_RANGE = (300.0, 1200.0)
_BINS = 256
# A share of the fluid's interval, at its upper end, in which most voxels are thin bone.
_DOUBTFUL_SHARE = 1 / 3
# Seeds keep two voxels away from whatever is no seed of their kind.
_SURROUNDINGS = (1, 5, 5)


@dataclass(frozen=True)
class Thresholds:
    """Where tissues part, in HU: air < ``air_hu`` <= fluid < ``bone_hu`` <= bone.

    Args:
        air_hu: least value of fluid.
        bone_hu: least value of bone.
        uncertainty_hu: greatest uncertainty of a voxel that is reliable.
    """

    air_hu: float
    bone_hu: float
    uncertainty_hu: float


def otsu_thresholds(mean: Sliceable, uncertainty: Sliceable) -> Thresholds:
    """Thresholds by Otsu's method: three classes in the mean, two in the uncertainty.

    Where a box holds fewer than three tissues, Otsu's method still finds three classes. A
    threshold that cannot be one between air and fluid (-900 to -200 HU), or between fluid and
    bone (300 to 1200 HU), is replaced by the limit of the tissues: -500 HU and 700 HU. A constant
    uncertainty is its own threshold, so that all voxels are reliable.

    Args:
        mean: super-resolved values in HU, (k, j, i); an array, or what is read in pieces.
        uncertainty: standard deviation in HU, same shape.

    Raises:
        ModuleNotFoundError: scikit-image is not installed.

    Example:
        >>> thresholds = otsu_thresholds(result.mean.array, result.uncertainty.array)
        >>> seeds = seed_labels(result.mean.array, result.uncertainty.array, thresholds)
    """
    from skimage.filters import threshold_multiotsu, threshold_otsu

    air_hu, bone_hu = _AIR_HU, _BONE_HU
    counts, centres = _histogram(mean)
    if np.count_nonzero(counts) >= 3:
        found = threshold_multiotsu(hist=(counts, centres), classes=3)
        low, high = _half_way(counts, centres, found)
        air_hu = low if _AIR_RANGE[0] <= low <= _AIR_RANGE[1] else _AIR_HU
        bone_hu = high if _BONE_RANGE[0] <= high <= _BONE_RANGE[1] else _BONE_HU
    counts, centres = _histogram(uncertainty)
    uncertainty_hu = float(centres[-1])
    if np.count_nonzero(counts) >= 2:
        found = threshold_otsu(hist=(counts, centres))
        (uncertainty_hu,) = _half_way(counts, centres, [found])
    return Thresholds(air_hu, bone_hu, uncertainty_hu)


def reliable(uncertainty: NDArray[Any], thresholds: Thresholds) -> NDArray[np.bool_]:
    """Where a voxel's tissue can be told from its HU, bool array of the same shape."""
    certain: NDArray[np.bool_] = uncertainty <= thresholds.uncertainty_hu
    return certain


def seed_labels(
    mean: NDArray[Any], uncertainty: NDArray[Any], thresholds: Thresholds
) -> NDArray[np.uint8]:
    """Seeds of bone, fluid and air: few of them wrong, rather than many.

    A seed is reliable, and so are the voxels around it, with the same tissue: two voxels on each
    side in the plane. So no seed lies in the thin shell of middling values between bone and air.
    Thin bone that the resolution does not reach also has middling values; therefore fluid seeds
    keep to the lower two thirds of the fluid's interval.

    Args:
        mean: super-resolved values in HU, (k, j, i).
        uncertainty: standard deviation in HU, same shape.
        thresholds: where tissues part.

    Returns:
        uint8 array of :data:`LABELS`, 0 where no seed is.
    """
    from scipy import ndimage  # here, so that Slicer does not load it at every start

    certain = reliable(uncertainty, thresholds)
    interval = thresholds.bone_hu - thresholds.air_hu
    fluid_top = thresholds.bone_hu - _DOUBTFUL_SHARE * interval
    air, bone = mean < thresholds.air_hu, mean >= thresholds.bone_hu
    labels = np.zeros(mean.shape, np.uint8)
    labels[certain & bone] = LABELS["bone"]
    labels[certain & ~air & (mean < fluid_top)] = LABELS["fluid"]
    labels[certain & air] = LABELS["air"]
    lowest = ndimage.minimum_filter(labels, _SURROUNDINGS, mode="nearest")
    highest = ndimage.maximum_filter(labels, _SURROUNDINGS, mode="nearest")
    labels[lowest != highest] = 0
    return labels


def _histogram(values: Sliceable) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Counts and centres of bins, from a sample of the values, without the outermost of them."""
    sample = sampled(values, SAMPLES)
    low, high = np.percentile(sample, (0.1, 99.9))
    if low == high:
        return np.array([sample.size]), np.array([float(low)])
    counts, edges = np.histogram(np.clip(sample, low, high), _BINS, (float(low), float(high)))
    return counts, (edges[:-1] + edges[1:]) / 2


def _half_way(
    counts: NDArray[np.intp], centres: NDArray[np.float64], thresholds: Sequence[float]
) -> list[float]:
    """The middles between the means of neighbouring classes.

    Otsu's thresholds lie there as well, except where a gap parts two classes: then any value in
    the gap is as good to him.
    """
    classes = np.digitize(centres, thresholds, right=True)
    sums = np.bincount(classes, counts * centres)
    means = sums / np.bincount(classes, counts)
    return [float(low + high) / 2 for low, high in pairwise(means)]
