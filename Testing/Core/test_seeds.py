"""Seeds from uncertainty: few, pure, and with sensible thresholds whatever a box holds."""

from __future__ import annotations

import time

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from microctsr_core.phantom import make_case
from microctsr_core.trust import LABELS, Thresholds, otsu_thresholds, reliable, seed_labels

AIR, FLUID, BONE = -1000.0, 20.0, 1500.0
THRESHOLDS = Thresholds(air_hu=-500, bone_hu=700, uncertainty_hu=30)
SURE = np.zeros((1, 9, 40), np.float32)


def columns(*runs: tuple[float, int]) -> NDArray[np.float32]:
    """One slice of 9 rows whose columns hold (value, count) runs."""
    row = np.concatenate([np.full(count, value, np.float32) for value, count in runs])
    return np.tile(row, (1, 9, 1))


def noisy(*tissues: float) -> NDArray[np.float32]:
    values = np.repeat(tissues, 3000).reshape(1, -1, 60)
    return (values + np.random.default_rng(0).normal(0, 60, values.shape)).astype(np.float32)


# Seeds


def test_each_tissue_gets_its_label_two_voxels_away_from_the_next() -> None:
    mean = columns((AIR, 10), (FLUID, 15), (BONE, 15))
    seeds = seed_labels(mean, SURE, THRESHOLDS)
    assert seeds.dtype == np.uint8
    expected = [3] * 8 + [0] * 4 + [2] * 11 + [0] * 4 + [1] * 13
    np.testing.assert_array_equal(seeds, columns(*((label, 1) for label in expected)))


def test_the_shell_of_middling_values_between_bone_and_air_is_no_fluid() -> None:
    mean = columns((AIR, 18), (-300, 1), (100, 2), (250, 1), (BONE, 18))
    assert set(np.unique(seed_labels(mean, SURE, THRESHOLDS))) == {0, 1, 3}


def test_thin_bone_that_looks_like_dense_fluid_is_no_fluid() -> None:
    mean = columns((FLUID, 15), (450, 10), (FLUID, 15))
    seeds = seed_labels(mean, SURE, THRESHOLDS)
    assert not seeds[..., 13:27].any()
    assert (seeds[..., :13] == LABELS["fluid"]).all()


def test_no_seed_lies_at_or_beside_an_uncertain_voxel() -> None:
    mean, uncertainty = columns((BONE, 40)), SURE.copy()
    uncertainty[0, 4, 20] = 31
    seeds = seed_labels(mean, uncertainty, THRESHOLDS)
    expected = np.full((1, 9, 40), LABELS["bone"])
    expected[0, 2:7, 18:23] = 0
    np.testing.assert_array_equal(seeds, expected)
    np.testing.assert_array_equal(reliable(uncertainty, THRESHOLDS), uncertainty < 31)


def test_slices_have_their_seeds_each_for_itself() -> None:
    mean = np.concatenate([columns((value, 40)) for value in (BONE, FLUID, AIR)])
    seeds = seed_labels(mean, np.zeros_like(mean), THRESHOLDS)
    assert [list(np.unique(plane)) for plane in seeds] == [[1], [2], [3]]


def test_seeds_of_a_phantom_are_pure() -> None:
    """The truth blurred as a result is, and uncertain where it is steep."""
    truth = make_case(90_001, 0, 0.3, shape=(2, 32, 32)).truth.array[::8]
    mean = ndimage.gaussian_filter(truth, (0, 2, 2))
    uncertainty = np.hypot(*np.gradient(mean, axis=(1, 2))) / 5
    seeds = seed_labels(mean, uncertainty, otsu_thresholds(mean, uncertainty))
    right = {"bone": truth > 700, "fluid": (truth > -200) & (truth < 300), "air": truth < -500}
    for name, label in LABELS.items():
        found = seeds == label
        assert found.sum() > 0.3 * right[name].sum()
        assert (found & right[name]).sum() > 0.97 * found.sum(), name


def test_seeds_follow_a_slider_at_once() -> None:
    mean = np.random.default_rng(0).normal(0, 800, (8, 384, 384)).astype(np.float32)
    best = np.inf
    for _ in range(3):
        start = time.perf_counter()
        seed_labels(mean, np.abs(mean) / 20, THRESHOLDS)
        best = min(best, time.perf_counter() - start)
    assert best < 0.3


# Thresholds


def test_thresholds_of_three_tissues_lie_half_way_between_them() -> None:
    uncertainty = np.repeat([4.0, 40.0], 4500).reshape(1, -1, 60)
    found = otsu_thresholds(noisy(AIR, FLUID, BONE), uncertainty)
    assert found.air_hu == pytest.approx((AIR + FLUID) / 2, abs=60)
    assert found.bone_hu == pytest.approx((FLUID + BONE) / 2, abs=60)
    assert 4 <= found.uncertainty_hu < 40


@pytest.mark.parametrize(
    "tissues", [(FLUID, BONE), (FLUID, BONE, 2200.0), (AIR, BONE), (BONE,), (BONE, 2200.0)]
)
def test_where_a_tissue_is_missing_the_limits_of_the_tissues_hold(tissues) -> None:
    mean = noisy(*tissues)
    found = otsu_thresholds(mean, np.ones_like(mean))
    seeds = seed_labels(mean, np.ones_like(mean), found)
    for tissue, label in ((AIR, "air"), (FLUID, "fluid"), (BONE, "bone")):
        assert (LABELS[label] in seeds) == (tissue in tissues)


def test_constant_data_give_the_limits_of_the_tissues_and_are_reliable() -> None:
    for value in (0.1, -1000.0):
        mean, uncertainty = (
            np.full((1, 6, 6), value, np.float32),
            np.full((1, 6, 6), 0.1, np.float32),
        )
        found = otsu_thresholds(mean, uncertainty)
        assert (found.air_hu, found.bone_hu) == (-500, 700)
        assert reliable(uncertainty, found).all()
    assert otsu_thresholds(mean, np.zeros_like(mean)).uncertainty_hu == 0


def test_thresholds_of_many_voxels_are_found_soon() -> None:
    mean = np.tile(noisy(AIR, FLUID, BONE), (100, 10, 5))
    start = time.perf_counter()
    found = otsu_thresholds(mean, np.abs(mean))
    assert time.perf_counter() - start < 2
    assert found.air_hu == pytest.approx((AIR + FLUID) / 2, abs=60)
