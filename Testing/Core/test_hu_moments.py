"""Hu moments: the distances are OpenCV's, and degenerate images have defined ones."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from microctsr_core import MicroCTSRError
from microctsr_core.evaluation import hu_distances, hu_moments

OPENCV = {
    "I1": cv2.CONTOURS_MATCH_I1,
    "I2": cv2.CONTOURS_MATCH_I2,
    "I3": cv2.CONTOURS_MATCH_I3,
}


def shapes(count: int, seed: int) -> np.ndarray:
    """Slices (count, 60, 70) in [0, 1]: ellipses of different form, filled with smooth noise."""
    g = np.random.default_rng(seed)
    rows, columns = np.mgrid[-30:30, -35:35]
    slices = []
    for _ in range(count):
        a, b, lean = g.uniform(8, 26), g.uniform(8, 26), g.uniform(-0.5, 0.5)
        inside = (rows / a) ** 2 + ((columns - lean * rows) / b) ** 2 < 1
        texture = gaussian_filter(g.random(inside.shape), 3)
        slices.append(inside * texture / texture.max())
    return np.stack(slices).astype(np.float32)


@pytest.mark.parametrize("distance", ["I1", "I2", "I3"])
def test_distances_equal_opencv_for_all_pairs(distance):
    slices, references = shapes(6, seed=0), shapes(8, seed=1)
    expected = [[cv2.matchShapes(a, b, OPENCV[distance], 0) for b in references] for a in slices]
    result = hu_distances(hu_moments(slices), hu_moments(references), distance)
    np.testing.assert_allclose(result, expected, rtol=1e-9)


def test_i1_follows_its_formula_by_hand():
    # log10 of 0.1 and 0.001 is -1 and -3; the small moments of both are left out.
    first, second = [0.1, 1e-6, 0, 0, 0, 0, 0], [0.001, 1e-2, 0, 0, 0, 0, 0]
    assert hu_distances([first], [second], "I1")[0, 0] == pytest.approx(abs(-1 - -1 / 3))
    assert hu_distances([first], [second], "I2")[0, 0] == pytest.approx(2)
    assert hu_distances([first], [second], "I3")[0, 0] == pytest.approx(2)


@pytest.mark.parametrize("distance", ["I1", "I2", "I3"])
def test_degenerate_slices_have_defined_distances(distance):
    empty = np.zeros((10, 10))
    constant = np.full((10, 10), 0.5)
    line = np.zeros((10, 10))
    line[5] = 1
    moments = hu_moments(np.stack([empty, constant, line]))
    distances = hu_distances(moments, moments, distance)
    assert not np.isnan(distances).any()
    np.testing.assert_array_equal(np.diag(distances), 0)
    np.testing.assert_array_equal(distances[0, 1:], np.inf)
    np.testing.assert_array_equal(distances[1:, 0], np.inf)
    of_exactly_one = np.array([[1.0, 0.1, 0, 0, 0, 0, 0]])
    assert hu_distances(of_exactly_one, of_exactly_one, distance) == 0


def test_an_unknown_distance_is_explained():
    with pytest.raises(MicroCTSRError, match='"I4" is unknown; choose I1, I2 or I3'):
        hu_distances(np.zeros((1, 7)), np.zeros((1, 7)), "I4")
