"""Honest and dishonest uncertainties: their figures by hand, by scipy and of the normal curve."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from microctsr_core.errors import MicroCTSRError
from microctsr_core.evaluation import (
    bone_map,
    calibrate,
    fitted_scale,
    gradient_magnitude,
    honesty,
    rank_correlation,
    sparsify,
)
from microctsr_core.evaluation.uncertainty import NORMAL_COVERAGE

SHAPE = (4, 50, 50)
TRUTH = np.zeros(SHAPE)


def honest(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """An uncertainty of 10 to 100 HU, and errors of a normal distribution of just that SD."""
    generator = np.random.default_rng(seed)
    uncertainty = generator.uniform(10, 100, SHAPE)
    return generator.normal(0, uncertainty), uncertainty


def test_errors_of_the_size_foretold_are_covered_as_a_normal_distribution_has_it():
    found = honesty(*honest(), TRUTH)
    for k, share in NORMAL_COVERAGE.items():
        assert share == pytest.approx(stats.norm.cdf(k) - stats.norm.cdf(-k), abs=1e-3)
        assert found.coverage[k] == pytest.approx(share, abs=0.01)


def test_an_honest_uncertainty_lies_on_the_diagonal():
    error, uncertainty = honest()
    found = calibrate(np.abs(error), uncertainty)
    np.testing.assert_allclose(found.actual, found.predicted, rtol=0.2)
    assert found.voxels.sum() == error.size
    assert found.error_hu < 4


def test_an_uncertainty_a_third_too_small_is_told_from_an_honest_one():
    error, uncertainty = honest()
    found = honesty(error, uncertainty / 3, TRUTH)
    # |error| < SD / 3
    assert found.coverage[1] == pytest.approx(stats.norm.cdf(1 / 3) * 2 - 1, abs=0.01)
    assert found.calibration.error_hu == pytest.approx(2 / 3 * uncertainty.mean(), rel=0.05)
    # The order of voxels is the same.
    same = honesty(error, uncertainty, TRUTH)
    assert found.rank_correlation == pytest.approx(same.rank_correlation)
    assert found.ause == pytest.approx(same.ause)


def test_the_fitted_scale_makes_an_uncertainty_honest_that_was_too_small_or_too_large():
    error, uncertainty = honest()
    for wrong in (1 / 11, 1, 3):
        assert fitted_scale(np.abs(error), wrong * uncertainty) == pytest.approx(
            1 / wrong, rel=0.03
        )


def test_the_fitted_scale_is_learned_although_some_voxels_have_no_uncertainty():
    error = np.r_[np.zeros(2), np.ones(6), np.full(2, 9.0)]
    uncertainty = np.r_[np.zeros(2), np.full(6, 0.25), np.zeros(2)]
    assert fitted_scale(error, uncertainty) == 4


@pytest.mark.parametrize(("error", "uncertainty"), [(0.0, 1.0), (1.0, 0.0)])
def test_no_scale_makes_something_of_nothing(error, uncertainty):
    with pytest.raises(MicroCTSRError, match="cannot be scaled"):
        fitted_scale(np.full(10, error), np.full(10, uncertainty))


def test_calibration_by_hand():
    uncertainty = np.repeat([1.0, 2.0], 10)
    error = np.tile([3.0, 4.0], 10)
    found = calibrate(error, uncertainty)
    assert found.voxels.tolist() == [1] * 20
    # Bins of one voxel each: |1 - 3|, |1 - 4|, |2 - 3|, |2 - 4| in turn.
    assert found.error_hu == pytest.approx(2)


def test_sparsification_by_hand():
    """Errors 4, 3, 2, 1; the uncertainty takes 3 for the worst and 4 for the best but one."""
    error, uncertainty = np.array([4.0, 3.0, 2.0, 1.0]), np.array([2.0, 4.0, 3.0, 1.0])
    found = sparsify(error, uncertainty)
    at = {f: n for n, f in enumerate(np.round(found.removed, 2))}
    for fraction, left, oracle in ((0, 2.5, 2.5), (0.25, 7 / 3, 2), (0.5, 2.5, 1.5), (0.75, 1, 1)):
        assert found.left[at[fraction]] == pytest.approx(left / 2.5)
        assert found.oracle[at[fraction]] == pytest.approx(oracle / 2.5)


def test_ause_is_zero_for_the_error_itself_and_a_half_for_a_constant_of_even_errors():
    error = np.linspace(0, 1, 10_001)
    assert sparsify(error, 3 * error).ause == 0
    # Left is 1 throughout; the oracle leaves 1 - f of errors spread evenly from 0.
    assert sparsify(error, np.ones_like(error)).ause == pytest.approx(0.5, abs=1e-3)
    assert sparsify(error, -error).ause > 0.9  # left is 1 + f, but for the last voxel


def test_a_constant_uncertainty_ranks_nothing_in_whatever_order_voxels_lie():
    error, _ = honest()
    for values in (error, np.sort(error, axis=None).reshape(SHAPE)):
        found = honesty(values, np.full(SHAPE, 50.0), TRUTH)
        assert found.rank_correlation == 0
        np.testing.assert_allclose(found.sparsification.left, 1)


def test_without_errors_everything_is_defined():
    found = honesty(TRUTH, np.zeros(SHAPE), TRUTH)
    assert found.ause == 0
    assert found.rank_correlation == 0
    assert found.coverage == {1: 1, 2: 1, 3: 1}
    assert found.calibration.error_hu == 0
    assert np.isnan(found.bone_best.dice)
    assert np.isnan(found.bone_everywhere)
    assert found.gradient_rank_correlation is None


def test_rank_correlation_is_scipys():
    first, second = honest()
    assert rank_correlation(first, second**3) == pytest.approx(
        stats.spearmanr(first.ravel(), second.ravel()).statistic
    )
    assert rank_correlation(np.arange(9.0), np.arange(9.0) ** 2) == pytest.approx(1)


def test_rank_correlation_of_many_voxels_is_that_of_a_part_of_them_and_always_the_same():
    generator = np.random.default_rng(0)
    first = generator.normal(size=(2, 1200, 1000))
    second = first + generator.normal(size=first.shape)
    # Of a normal distribution: 6/π arcsin(r/2), with r = 1/√2.
    expected = 6 / np.pi * np.arcsin(np.sqrt(0.5) / 2)
    found = rank_correlation(first, second)
    assert found == pytest.approx(expected, abs=0.005)
    assert found == rank_correlation(first, second)


def bony() -> tuple[np.ndarray, np.ndarray]:
    """Bone in the left third; the uncertainty is 40 HU there and 10 elsewhere, but for a strip."""
    truth = np.zeros((1, 10, 30))
    truth[..., :10] = 1500
    uncertainty = np.full(truth.shape, 10.0)
    uncertainty[..., :10] = 40
    uncertainty[..., 20:25] = 40
    return uncertainty, truth


def test_bone_by_the_best_threshold_of_the_uncertainty():
    uncertainty, truth = bony()
    found = bone_map(uncertainty, truth)
    assert (found.side, found.threshold_hu) == ("above", 40)
    assert found.dice == pytest.approx(2 * 10 / (10 + 15))
    turned = bone_map(50 - uncertainty, truth)
    assert turned.side == "below"
    assert turned.dice == pytest.approx(found.dice)


def test_bone_by_otsu_and_by_calling_everything_bone():
    uncertainty, truth = bony()
    found = honesty(truth, uncertainty, truth)
    assert found.bone_otsu.dice == pytest.approx(0.8)
    assert 10 < found.bone_otsu.threshold_hu <= 40
    assert found.bone_everywhere == pytest.approx(2 / 3 / (1 + 1 / 3))
    constant = honesty(truth, np.ones_like(truth), truth)
    assert constant.bone_best.dice == pytest.approx(constant.bone_everywhere)
    assert constant.bone_otsu.dice == pytest.approx(constant.bone_everywhere)


def test_the_best_threshold_is_the_best_of_all():
    _, uncertainty = honest()
    truth = np.where(honest(1)[0] > 10, 1500.0, 0.0)
    bone = truth > 0
    every = [
        2 * (called & bone).sum() / (called.sum() + bone.sum())
        for t in np.unique(uncertainty)[::50]
        for called in (uncertainty >= t, uncertainty < t)
    ]
    assert max(every) <= bone_map(uncertainty, truth).dice <= max(every) + 0.01


def test_the_gradient_of_a_slope_is_its_steepness_in_hu_per_mm():
    y, x = np.indices((20, 30))
    slope = (30 * x + 40 * y)[None] * 0.05
    np.testing.assert_allclose(gradient_magnitude(slope, 0.05), 50, rtol=1e-4)


def test_an_uncertainty_is_compared_with_the_gradient_where_one_is_given():
    error, uncertainty = honest()
    found = honesty(error, uncertainty, TRUTH, np.abs(error))
    assert found.gradient_rank_correlation == pytest.approx(1)
