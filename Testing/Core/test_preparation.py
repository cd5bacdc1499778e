"""Region of interest, intensity scaling and cubic resampling, against numpy and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from microctsr_core import MicroCTSRError
from microctsr_core.preparation import (
    HUWindow,
    ZScoreUnit,
    cubic_weights,
    fine_factors,
    foreground_box,
    intensity_from_dict,
    refined_positions,
    resample_cubic,
)


def test_foreground_box_is_the_bounding_box_scipy_finds() -> None:
    array = np.random.default_rng(0).normal(size=(9, 10, 11))
    expected = ndimage.find_objects((array > 2.0).astype(int))[0]
    assert foreground_box(array, 2.0) == tuple((s.start, s.stop) for s in expected)


def test_a_threshold_above_everything_says_to_lower_it() -> None:
    with pytest.raises(MicroCTSRError, match=r"largest value is 5\); lower the threshold"):
        foreground_box(np.full((2, 2, 2), 5), 100)


def test_hu_window_maps_its_ends_to_0_and_1_and_clips_nothing() -> None:
    window = HUWindow(-1000, 3000)
    scaled = window.forward(np.array([-1000, 3000, 7000, -3000], np.int16))
    np.testing.assert_allclose(scaled, [0, 1, 2, -0.5], rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.floats(-5000, 20000), st.floats(0.1, 2000))
def test_scaling_can_be_undone_to_single_precision(centre: float, spread: float) -> None:
    values = np.random.default_rng(0).normal(centre, spread, 1000)
    for scaling in (HUWindow(-1000, 3000), ZScoreUnit(centre + 3, 1.1 * spread)):
        back = scaling.inverse(scaling.forward(values))
        assert np.abs(back - values).max() <= 3e-7 * (np.abs(values).max() + scaling.span)


def test_zscore_uses_mean_and_sd_of_the_foreground_alone() -> None:
    rng = np.random.default_rng(1)
    scan = np.full((4, 20, 20), -1000.0)
    scan[:, 5:15, 5:15] = rng.normal(700, 100, (4, 10, 10))
    body = scan[:, 5:15, 5:15]
    scaling = ZScoreUnit.fit(scan)
    assert scaling.mean == pytest.approx(body.mean())
    assert scaling.sd == pytest.approx(body.std())
    # z = -3 becomes 0, z = 0 one half, z = +3 one.
    three = body.mean() + np.array([-3, 0, 3]) * body.std()
    np.testing.assert_allclose(scaling.forward(three), [0, 0.5, 1], atol=1e-6)


def test_zscore_of_a_constant_foreground_is_a_clear_error() -> None:
    scan = np.zeros((2, 4, 4))
    scan[0] = 7
    with pytest.raises(MicroCTSRError, match="constant above the threshold"):
        ZScoreUnit.fit(scan)


def test_scaling_survives_the_card() -> None:
    for scaling in (HUWindow(-500, 2000), ZScoreUnit(), ZScoreUnit(10.0, 2.0, 4.0)):
        assert intensity_from_dict(scaling.to_dict()) == scaling
    with pytest.raises(ValueError, match="not known; kinds are hu_window, zscore_unit"):
        intensity_from_dict({"kind": "percentile"})


@pytest.mark.parametrize("factors", [(1, 8, 8), (3, 2, 5)])
def test_cubic_resampling_keeps_the_outer_corners_as_scipy_zoom_does(
    factors: tuple[int, int, int],
) -> None:
    array = np.random.default_rng(2).random((6, 7, 40))
    expected = ndimage.zoom(array, factors, order=3, mode="nearest", grid_mode=True)
    np.testing.assert_allclose(resample_cubic(array, factors), expected, atol=3e-6)


def test_cubic_weights_at_any_position_are_those_of_scipy_and_name_the_slab_needed() -> None:
    samples = np.random.default_rng(3).random(200)
    positions = np.array([96.5, 100.0, 107.25])
    weights, (start, stop) = cubic_weights(positions, len(samples))
    expected = ndimage.map_coordinates(samples, [positions], order=3, mode="nearest")
    np.testing.assert_allclose(weights @ samples[start:stop], expected, atol=1e-8)
    assert start > 75
    assert stop < 130


def test_at_a_sample_the_weight_is_that_sample_alone() -> None:
    weights, (start, stop) = cubic_weights(np.array([5.0]), 20)
    assert (start, stop) == (5, 6)
    assert weights.astype(np.float32).item() == 1


@pytest.mark.parametrize("count", [2, 3])
def test_scans_of_few_slices_can_be_interpolated(count: int) -> None:
    samples = np.random.default_rng(4).random(count)
    weights, (start, stop) = cubic_weights(np.array([-1.5, 0.4, 4.0]), count)
    expected = ndimage.map_coordinates(samples, [[-1.5, 0.4, 4.0]], order=3, mode="nearest")
    np.testing.assert_allclose(weights @ samples[start:stop], expected, atol=1e-8)


def test_fine_voxels_fill_each_voxel_evenly() -> None:
    np.testing.assert_allclose(refined_positions(3, 5, 2), [2.75, 3.25, 3.75, 4.25])


def test_isotropic_slices_are_as_high_as_fine_pixels_are_wide() -> None:
    assert fine_factors((0.7, 0.35, 0.35), 8, "in-plane") == (1, 8, 8)
    assert fine_factors((0.7, 0.35, 0.35), 8, "isotropic") == (16, 8, 8)
    # Slices thinner than a fine pixel are kept.
    assert fine_factors((0.01, 0.35, 0.35), 8, "isotropic") == (1, 8, 8)
