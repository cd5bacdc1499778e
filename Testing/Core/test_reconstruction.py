"""The paper's patches, histogram matching and median filter."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from microctsr_core.reconstruction import PatchAverage, matched_to_input, patches, smoothed


def test_patches_are_256_wide_at_stride_128_and_end_with_the_region() -> None:
    reads = [patch.read for patch in patches(((0, 256), (10, 522)))]
    assert [columns for _, columns in reads] == [(10, 266), (138, 394), (266, 522)]
    assert {rows for rows, _ in reads} == {(0, 256)}


@pytest.mark.parametrize("length", [256, 257, 384, 400, 700])
def test_patches_cover_every_pixel(length: int) -> None:
    covered = np.zeros((256, length), int)
    for patch in patches(((0, 256), (0, length))):
        (j0, j1), (i0, i1) = patch.read
        covered[j0:j1, i0:i1] += 1
    assert covered.min() >= 1


def test_a_region_smaller_than_a_patch_gets_one_that_reaches_beyond() -> None:
    assert [patch.read for patch in patches(((4, 20), (0, 30)))] == [((4, 260), (0, 256))]


def test_overlapping_patches_are_averaged_and_cut_to_the_region() -> None:
    average = PatchAverage(((10, 12), (0, 3)))
    average.add(np.full((4, 2), 1, np.float32), ((9, 13), (0, 2)))
    average.add(np.full((4, 2), 3, np.float32), ((10, 14), (1, 3)))
    np.testing.assert_array_equal(average.result(), [[1, 2, 3], [1, 2, 3]])


def test_a_matched_patch_has_the_values_of_its_input_in_its_own_order() -> None:
    rng = np.random.default_rng(0)
    patch, reference = rng.normal(size=(64, 64)), rng.gamma(2, size=(64, 64))
    matched = matched_to_input(patch.astype(np.float32), reference.astype(np.float32))
    # With as many different values on both sides, matching gives the n-th smallest the n-th.
    expected = np.sort(reference.ravel())[np.argsort(np.argsort(patch.ravel()))]
    np.testing.assert_allclose(matched.ravel(), expected, atol=1e-6)


def test_patches_that_differ_in_brightness_agree_once_matched() -> None:
    """The paper's reason for it: the grid of patches vanishes."""
    structure = np.random.default_rng(1).random((32, 32)).astype(np.float32)
    dark = matched_to_input(0.5 * structure, structure)
    bright = matched_to_input(2 * structure + 1, structure)
    np.testing.assert_allclose(dark, bright, atol=1e-6)


def test_the_median_filter_is_scipys_three_by_three() -> None:
    plane = np.random.default_rng(2).random((9, 9)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(plane, 1, mode="edge"), (3, 3))
    np.testing.assert_array_equal(smoothed(plane), np.median(windows, axis=(2, 3)))
    np.testing.assert_array_equal(smoothed(plane), ndimage.median_filter(plane, 3, mode="nearest"))
