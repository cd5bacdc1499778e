"""The picture of a result: what it shows is in the right place, readable and to scale."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.image import imread
from matplotlib.text import Text
from numpy.testing import assert_allclose
from scipy import ndimage

from microctsr_core import Volume, WriteError
from microctsr_core.preview import draw_preview, write_preview
from microctsr_core.preview.planes import (
    View,
    interpolate_cubic,
    most_structured_slice,
    orientation_letters,
    round_length,
)

FACTOR = 4


def make_scan(shape=(3, 20, 24), direction=None) -> Volume:
    rng = np.random.default_rng(3)
    array = ndimage.gaussian_filter(rng.normal(0, 4000, shape), (0, 1, 1)).astype(np.int16)
    direction = np.eye(3) if direction is None else direction
    return Volume(array, (0.7, 0.3, 0.3), (-12.0, 30.0, 5.0), direction)


def make_result(ct: Volume, passes: float = 12.4) -> SimpleNamespace:
    """The parts of a result that a picture needs, from plain replication."""
    fine = np.kron(ct.array, np.ones((1, FACTOR, FACTOR))).astype(np.float32)
    mean = ct.on_refined_grid(fine, (1, FACTOR, FACTOR))
    model = {"name": "ear", "version": "0.1.0", "uncertainty_scale": 12.64}
    report = {"passes_mean": passes, "model": model}
    return SimpleNamespace(
        mean=mean,
        uncertainty=mean.with_array(np.abs(fine) / 10),
        consistency=ct.with_array(np.random.default_rng(1).normal(0, 30, ct.shape)),
        report=report,
    )


@pytest.mark.parametrize("shape", [(3, 20, 24), (2, 6, 40), (2, 40, 8)])
def test_picture_is_1600_pixels_wide_for_any_box(tmp_path, shape):
    ct = make_scan(shape)
    write_preview(tmp_path / "sr.png", ct, make_result(ct))
    height, width = imread(tmp_path / "sr.png").shape[:2]
    assert width == 1600
    assert 300 < height < 1400
    assert [path.name for path in tmp_path.iterdir()] == ["sr.png"]


def test_every_slice_asked_for_adds_a_row():
    ct = make_scan()
    one, three = (draw_preview(ct, make_result(ct), slices) for slices in (1, (0, 1, 2)))
    titles = [text.get_text() for text in three.findobj(Text)]
    assert [title for title in titles if title.startswith("Input")] == [
        "Input, slice 1 of 3",
        "Input, slice 2 of 3",
        "Input, slice 3 of 3",
    ]
    assert three.get_figheight() > 2 * one.get_figheight()


@pytest.mark.parametrize(
    ("shape", "passes"), [((3, 20, 24), 1), ((2, 6, 40), 99.6), ((2, 40, 8), 99.6)]
)
def test_no_text_is_cut_off_or_overlaps_another(shape, passes):
    ct = make_scan(shape)
    figure = draw_preview(ct, make_result(ct, passes), (0, 1))
    figure.canvas.draw()
    page = figure.bbox
    boxes = [
        (text.get_text(), text.get_window_extent())
        for text in figure.findobj(Text)
        if text.get_text() and text.get_visible()
    ]
    assert len(boxes) > 30
    for name, box in boxes:
        assert page.x0 <= box.x0, name
        assert page.y0 <= box.y0, name
        assert box.x1 <= page.x1, name
        assert box.y1 <= page.y1, name
    for (name, box), (other_name, other) in combinations(boxes, 2):
        apart = box.x1 <= other.x0 or other.x1 <= box.x0 or box.y1 <= other.y0 or other.y1 <= box.y0
        assert apart, (name, other_name)


def test_picture_says_that_it_is_synthetic_and_by_which_model():
    ct = make_scan()
    figure = draw_preview(ct, make_result(ct))
    words = " ".join(text.get_text() for text in figure.findobj(Text))
    assert "synthetic, not for diagnosis" in words
    assert "ear 0.1.0" in words


@pytest.mark.parametrize(("scale", "subtitle"), [(1.0, "SD of passes"), (12.64, "SD × 12.6")])
def test_picture_says_whether_the_uncertainty_is_scaled(scale, subtitle):
    ct = make_scan()
    result = make_result(ct)
    result.report["model"]["uncertainty_scale"] = scale
    assert subtitle in [text.get_text() for text in draw_preview(ct, result).findobj(Text)]


def test_consistency_colours_span_three_noise_standard_deviations_symmetrically():
    ct = make_scan()
    figure = draw_preview(ct, make_result(ct), noise_sd_hu=40)
    limits = [image.get_clim() for axes in figure.axes for image in axes.images]
    assert (-120, 120) in limits


@pytest.mark.parametrize(
    ("vector", "letters"),
    [
        ((1, 0, 0), "L"),
        ((-1, 0, 0), "R"),
        ((0, 1, 0), "P"),
        ((0, -2, 0), "A"),
        ((0, 0, 1), "S"),
        ((0, 0, -1), "I"),
        ((0.7, -0.7001, 0), "AL"),
        ((0.95, 0.3, 0), "L"),
    ],
)
def test_letters_name_where_a_direction_points_in_the_patient(vector, letters):
    assert orientation_letters(vector) == letters


@pytest.mark.parametrize(("flip_i", "flip_j"), [(1, 1), (-1, 1), (1, -1), (-1, -1)])
def test_axial_slices_lie_as_radiologists_read_them_however_they_are_stored(flip_i, flip_j):
    view = View.of(make_scan(direction=np.diag([flip_i, flip_j, 1.0])))
    assert (view.left, view.right, view.top, view.bottom) == ("R", "L", "A", "P")
    stored = np.zeros((4, 6))
    stored[0 if flip_j == 1 else 3, 0 if flip_i == 1 else 5] = 1  # right and front in the patient
    assert view.lay(stored)[0, 0] == 1


def test_coronal_slices_have_the_head_up():
    # i to the left, j downwards, k to the back.
    direction = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], float)
    view = View.of(make_scan(direction=direction))
    assert (view.left, view.right, view.top, view.bottom) == ("R", "L", "S", "I")


def test_cubic_interpolation_passes_through_the_input():
    ct = make_scan()
    assert_allclose(interpolate_cubic(ct, ct, 1), ct.array[1], atol=0.05)


def test_cubic_interpolation_of_a_box_sees_the_scan_around_it():
    # A third-degree polynomial is reproduced by a cubic spline, away from the scan's edges only.
    j, i = np.meshgrid(np.arange(60.0), np.arange(60.0), indexing="ij")
    cubic = (i - 30) ** 3 / 20 + (j - 30) ** 2
    ct = Volume(np.stack([cubic, cubic, cubic]), (0.7, 0.3, 0.3))
    box = ct.crop(((1, 2), (25, 35), (28, 36)))
    grid = box.on_refined_grid(np.zeros((1, 40, 32)), (1, FACTOR, FACTOR))
    j, i = np.meshgrid(
        25 - 0.375 + np.arange(40) / FACTOR, 28 - 0.375 + np.arange(32) / FACTOR, indexing="ij"
    )
    assert_allclose(interpolate_cubic(ct, grid, 0), (i - 30) ** 3 / 20 + (j - 30) ** 2, atol=0.01)


def test_most_structured_slice_is_the_one_with_edges_at_its_centre():
    array = np.zeros((4, 32, 32))
    array[1, :, 30:] = 1000  # an edge near the border
    array[2, 12:20, 12:20] = 1000
    assert most_structured_slice(Volume(array)) == 2


@pytest.mark.parametrize(
    ("longest", "length"), [(5, 5), (4.99, 2), (1.2, 1), (0.97, 0.5), (37, 20)]
)
def test_scale_bars_have_round_lengths(longest, length):
    assert round_length(longest) == pytest.approx(length)


def test_a_picture_that_cannot_be_written_leaves_the_earlier_one(tmp_path, monkeypatch):
    ct = make_scan()
    path = tmp_path / "sr.png"
    path.write_bytes(b"earlier")

    def full_disk(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full_disk)
    with pytest.raises(WriteError, match="full"):
        write_preview(path, ct, make_result(ct))
    assert path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_drawing_touches_no_global_state_of_matplotlib():
    script = (
        "import sys, test_preview as t; ct = t.make_scan(); "
        "t.draw_preview(ct, t.make_result(ct)); print('matplotlib.pyplot' in sys.modules)"
    )
    tests = Path(__file__).parent
    paths = os.pathsep.join((str(tests), str(tests.parents[1] / "MicroCTSR")))
    finished = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert finished.stdout.strip() == "False"
