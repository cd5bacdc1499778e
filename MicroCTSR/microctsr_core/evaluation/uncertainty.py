"""Is the uncertainty honest? Its ranking of errors, its size, and what it shows of bone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from skimage.filters import threshold_otsu

from ..errors import MicroCTSRError
from ..pieces import SAMPLES, sampled
from .fidelity import tissue

NORMAL_COVERAGE = {1: 0.683, 2: 0.954, 3: 0.997}
"""Share of a normal distribution within k standard deviations: what coverage is compared with."""

BINS = 20
"""Of equally many voxels each, in which predicted and actual errors are compared."""

_FRACTIONS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class Sparsification:
    """Mean error that is left when voxels are removed, relative to that of all; see `sparsify`.

    Args:
        removed: fractions from 0 to 1.
        left: where the most uncertain voxels are removed first.
        oracle: where those with the greatest error are.
    """

    removed: NDArray[np.float64]
    left: NDArray[np.float64]
    oracle: NDArray[np.float64]

    @property
    def ause(self) -> float:
        """Area between the two curves: 0 where uncertainty sorts voxels as their errors do."""
        difference = self.left - self.oracle
        return float(((difference[1:] + difference[:-1]) / 2 * np.diff(self.removed)).sum())


@dataclass(frozen=True)
class Calibration:
    """Predicted against actual error, in HU, in bins of the uncertainty; see `calibrate`.

    Args:
        predicted: root mean square of the uncertainty in each bin.
        actual: root mean square error in it.
        voxels: in each bin.
    """

    predicted: NDArray[np.float64]
    actual: NDArray[np.float64]
    voxels: NDArray[np.intp]

    @property
    def error_hu(self) -> float:
        """Expected calibration error: mean over voxels of how far predicted and actual differ."""
        return float(np.average(np.abs(self.predicted - self.actual), weights=self.voxels))


@dataclass(frozen=True)
class BoneMap:
    """Bone drawn by a threshold on the uncertainty alone; see `bone_map`.

    Args:
        dice: overlap with the bone of the truth.
        threshold_hu: of the uncertainty.
        side: "above" or "below": which voxels are called bone.
    """

    dice: float
    threshold_hu: float
    side: str


@dataclass(frozen=True)
class Honesty:
    """What `honesty` finds.

    Args:
        ause: area under the sparsification error, by mean absolute error.
        rank_correlation: Spearman's, of uncertainty and absolute error.
        coverage: share of voxels whose error is within 1, 2 and 3 times the uncertainty; beside
            NORMAL_COVERAGE.
        sparsification, calibration: the curves.
        bone_best, bone_otsu: bone from the uncertainty alone, by the threshold that fits the truth
            best and by Otsu's.
        bone_everywhere: Dice of calling every voxel bone, which any map of bone has to beat.
        gradient_rank_correlation: Spearman's, of the scan's gradient and absolute error, where a
            gradient was given: the uncertainty is worth its passes if it ranks errors better.
    """

    ause: float
    rank_correlation: float
    coverage: Mapping[int, float]
    sparsification: Sparsification
    calibration: Calibration
    bone_best: BoneMap
    bone_otsu: BoneMap
    bone_everywhere: float
    gradient_rank_correlation: float | None = None


def honesty(
    mean: NDArray, uncertainty: NDArray, truth: NDArray, gradient: NDArray | None = None
) -> Honesty:
    """Judge an uncertainty by the errors that were made.

    Parameters
    ----------
    mean, uncertainty, truth : HU, (k, j, i), same shape.
    gradient : size of the scan's gradient on the same grid, as `gradient_magnitude` of the
        interpolated scan.

    Returns
    -------
    All of it is about the absolute error |mean − truth|, whatever made it: also errors that all
    passes share, of which their spread knows nothing. Of more than SAMPLES voxels, every n-th is
    looked at.
    """
    mean, uncertainty, truth = (sampled(of, SAMPLES) for of in (mean, uncertainty, truth))
    gradient = None if gradient is None else sampled(gradient, SAMPLES)
    error = np.abs(mean.astype(np.float64) - truth)
    curves, best = sparsify(error, uncertainty), bone_map(uncertainty, truth)
    share = float(tissue(truth, "bone").mean())
    return Honesty(
        ause=curves.ause,
        rank_correlation=rank_correlation(uncertainty, error),
        coverage={k: float(np.mean(error <= k * uncertainty)) for k in NORMAL_COVERAGE},
        sparsification=curves,
        calibration=calibrate(error, uncertainty),
        bone_best=best,
        bone_otsu=bone_map(uncertainty, truth, _otsu(uncertainty)),
        bone_everywhere=2 * share / (1 + share) if share else float("nan"),
        gradient_rank_correlation=None if gradient is None else rank_correlation(gradient, error),
    )


def sparsify(error: NDArray, uncertainty: NDArray) -> Sparsification:
    """Sparsification curves (Ilg et al. 2018, "Uncertainty estimates and multi-hypotheses networks
    for optical flow"): what is left of the mean absolute error as uncertain voxels are removed.

    Equally uncertain voxels are removed together in no order, so a constant uncertainty leaves the
    curve at 1. Where there is no error at all, both curves are 0. Of the last fraction, which
    removes everything, one voxel is kept.

    Parameters
    ----------
    error : absolute, of any shape, in any unit.
    uncertainty : of the same shape.
    """
    whole = float(np.mean(error))
    left, oracle = (_mean_of_least(error, by) for by in (uncertainty, error))
    if whole:
        left, oracle = left / whole, oracle / whole
    return Sparsification(_FRACTIONS, left, oracle)


def rank_correlation(first: NDArray, second: NDArray) -> float:
    """Spearman's rank correlation of two arrays; 0 where one is constant.

    Of arrays with more than SAMPLES values, every n-th is taken.
    """
    ranked = [sampled(values, SAMPLES) for values in (first, second)]
    if any(np.ptp(values) == 0 for values in ranked):
        return 0.0
    return float(stats.spearmanr(*ranked).statistic)


def calibrate(error: NDArray, uncertainty: NDArray) -> Calibration:
    """Predicted against actual error in BINS bins of equally many voxels (fewer, of fewer voxels).

    An honest uncertainty lies on the diagonal: where it says 100 HU, the root mean square error is
    100 HU (Laves et al. 2020, "Well-calibrated regression uncertainty in medical imaging").
    """
    order = np.argsort(uncertainty, axis=None, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if part.size]
    predicted, actual = (
        np.array([np.sqrt(np.mean(np.square(values.ravel()[p], dtype=np.float64))) for p in parts])
        for values in (uncertainty, error)
    )
    return Calibration(predicted, actual, np.array([part.size for part in parts]))


def fitted_scale(error: NDArray, uncertainty: NDArray) -> float:
    """The factor with which an uncertainty covers as many errors as a normal distribution's SD.

    That is the 68.3 % quantile of error over uncertainty; unlike the likeliest factor, it does not
    hang on the few greatest errors. It belongs into a card as ``uncertainty_scale``, and is to be
    learned on other cases than those it is judged on.

    Parameters
    ----------
    error, uncertainty : |mean − truth| and standard deviation of any number of voxels, same shape.

    Raises
    ------
    MicroCTSRError : errors or uncertainty are zero in most voxels, so that no factor helps.
    """
    # In units of its uncertainty, an error without any is infinite; no error is always none.
    ratio = np.where(error > 0, np.inf, 0.0)
    np.divide(error, uncertainty, out=ratio, where=uncertainty > 0)
    # One of the values themselves: between a finite and an infinite one lies no number.
    scale = float(np.quantile(ratio, NORMAL_COVERAGE[1], method="higher"))
    if not 0 < scale < np.inf:
        raise MicroCTSRError(
            "The uncertainty cannot be scaled to the errors, because it or they are zero in most "
            "voxels; use a model with dropout, and its truth."
        )
    return scale


def bone_map(uncertainty: NDArray, truth: NDArray, threshold_hu: float | None = None) -> BoneMap:
    """Bone by a threshold on the uncertainty alone: "rough segmentation maps" of Li et al. 2021.

    Whether bone is where the uncertainty is high or where it is low is not asked of the map but of
    the truth: both are tried, and the better one is told. Without a threshold, every one is tried.
    So this says what the map could give at best to somebody who knows how to read it.

    Parameters
    ----------
    uncertainty, truth : HU, same shape.
    threshold_hu : "above" includes it, "below" does not.

    Returns
    -------
    NaN for the Dice where the truth has no bone.
    """
    bone = tissue(truth, "bone").ravel()
    order = np.argsort(uncertainty, axis=None, kind="stable")
    values = uncertainty.ravel()[order]
    # Between equal values lies no threshold.
    first = np.flatnonzero(np.r_[True, values[1:] > values[:-1]])
    if threshold_hu is not None:
        first = np.array([np.searchsorted(values, threshold_hu)])
    bone_below = np.r_[0, np.cumsum(bone[order])][first]
    total, size = int(bone.sum()), bone.size
    if not total:
        return BoneMap(float("nan"), float(values[min(first[0], size - 1)]), "above")
    sides = {
        "above": 2 * (total - bone_below) / (size - first + total),
        "below": 2 * bone_below / (first + total),
    }
    side = max(sides, key=lambda name: float(sides[name].max()))
    n = int(sides[side].argmax())
    threshold = float(values[first[n]]) if threshold_hu is None else threshold_hu
    return BoneMap(float(sides[side][n]), threshold, side)


def gradient_magnitude(image: NDArray, spacing_mm: float) -> NDArray[np.float32]:
    """Size of the gradient within the slices (k, j, i), in the image's unit per mm."""
    size: NDArray[np.float32] = np.hypot(
        *np.gradient(image.astype(np.float32), spacing_mm, axis=(1, 2))
    ).astype(np.float32)
    return size


def _mean_of_least(error: NDArray, by: NDArray) -> NDArray[np.float64]:
    """Mean error of the voxels that are least by a measure, for each fraction removed."""
    order = np.argsort(by, axis=None, kind="stable")
    values, sorted_error = by.ravel()[order], error.ravel()[order].astype(np.float64)
    starts = np.flatnonzero(np.r_[True, values[1:] > values[:-1]])
    counts = np.diff(np.r_[starts, values.size])
    tied = np.repeat(np.add.reduceat(sorted_error, starts) / counts, counts)
    kept = np.maximum(np.rint((1 - _FRACTIONS) * values.size).astype(int), 1)
    return np.cumsum(tied)[kept - 1] / kept


def _otsu(uncertainty: NDArray) -> float:
    if np.ptp(uncertainty) == 0:
        return float(uncertainty.flat[0])
    return float(threshold_otsu(uncertainty))
