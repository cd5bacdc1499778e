"""m-HuM: OpenCV's distances by brute force, the nearest slice, and shapes in several forms."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from scipy import ndimage
from skimage.filters import threshold_otsu

import microctsr_core as sr
from command_line import assert_one_line_error, run
from microctsr_core import MicroCTSRError
from microctsr_core.evaluation import joined, m_hum, shapes
from microctsr_core.phantom import make_case
from microctsr_core.sample import sample_volume_path

OPENCV = {
    "I1": cv2.CONTOURS_MATCH_I1,
    "I2": cv2.CONTOURS_MATCH_I2,
    "I3": cv2.CONTOURS_MATCH_I3,
}
FORMS = ("paper", "shape", "contour", "structures")


def random_slices() -> np.ndarray:
    g = np.random.default_rng(0)
    blobs = ndimage.gaussian_filter(g.random((7, 50, 60)), (0, 4, 4))
    return 4000 * (blobs - blobs.min()) / np.ptp(blobs) - 1000


def phantom_slices() -> np.ndarray:
    return make_case(7, 0, 0.3, (1, 16, 16)).truth.array


def real_slices() -> np.ndarray:
    return sr.read_volume(sample_volume_path()).array[20:27, 40:110, 50:120]


SLICES = {"random": random_slices, "phantom": phantom_slices, "real": real_slices}


def prepared(array: np.ndarray) -> list[np.ndarray]:
    """The paper's preparation by its formula: crop above the threshold, z-score, [0, 1]."""
    threshold = threshold_otsu(array)
    foreground = array[array > threshold].astype(float)
    scaled = 0.5 + (array - foreground.mean()) / foreground.std() / 6
    slices = []
    for plane, grey in zip(array, scaled, strict=True):
        rows, columns = np.nonzero(plane > threshold)
        part = grey[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        slices.append(part.clip(0, 1).astype(np.float32))
    return slices


@pytest.mark.parametrize("distance", ["I1", "I2", "I3"])
@pytest.mark.parametrize("kind", SLICES)
def test_the_papers_form_equals_opencv_over_all_pairs(kind: str, distance: str) -> None:
    array = SLICES[kind]()
    images, references = array[::2], array[1::2]
    found = m_hum(shapes(images), shapes(references), distance)
    brute = np.array(
        [
            [cv2.matchShapes(a, b, OPENCV[distance], 0) for b in prepared(references)]
            for a in prepared(images)
        ]
    )
    # Single precision of the grey values; the distances themselves are held to 1e-9 elsewhere.
    np.testing.assert_allclose(found.distances, brute.min(1), rtol=1e-3, atol=1e-6)
    np.testing.assert_array_equal(found.slices, brute.argmin(1))
    assert found.score == pytest.approx(brute.min(1).mean(), rel=1e-3)


def disc_and_bar() -> np.ndarray:
    """A disc in the first slice, a bar in the second; bright, on a dark ground."""
    rows, columns = np.mgrid[-50:50, -50:50]
    disc = rows**2 + columns**2 < 625
    bar = (abs(rows) < 8) & (abs(columns) < 38)
    return np.where(np.stack([disc, bar]), 1500, -500)


@pytest.mark.parametrize("form", FORMS)
def test_a_shape_turned_and_grown_is_nearest_to_itself(form: str) -> None:
    disc, bar = disc_and_bar()
    turned = bar.T.repeat(3, 0).repeat(3, 1)
    found = m_hum(shapes(turned[None], form), shapes(disc_and_bar(), form))
    assert found.slices.tolist() == [1]
    against_disc = m_hum(shapes(turned[None], form), shapes(disc[None], form))
    assert found.distances[0] < 0.2 * against_disc.distances[0]


def test_shapes_and_outlines_equal_opencv() -> None:
    array = disc_and_bar()
    array[0, 0, :3] = 1500  # a second part, smaller than the disc
    masks = (array > 0).astype(np.uint8)
    expected = [cv2.HuMoments(cv2.moments(mask, True)).ravel() for mask in masks]
    np.testing.assert_allclose(shapes(array, "shape").moments, expected, 1e-9, 1e-20)
    outlines = [
        max(cv2.findContours(mask, 0, cv2.CHAIN_APPROX_NONE)[0], key=cv2.contourArea)
        for mask in masks
    ]
    expected = [cv2.HuMoments(cv2.moments(outline)).ravel() for outline in outlines]
    np.testing.assert_allclose(shapes(array, "contour").moments, expected, 1e-9, 1e-20)


def test_structures_are_the_whole_parts_above_and_below_the_threshold() -> None:
    rows, columns = np.mgrid[:40, :40]
    block = (rows >= 5) & (rows < 35) & (columns >= 5) & (columns < 35)
    hole = (rows - 20) ** 2 + (columns - 15) ** 2 < 25
    speck = (rows == 20) & (columns == 28)
    cut = (rows < 3) & (columns < 9)
    array = np.where((block & ~hole & ~speck) | cut, 1000, 0)[None]
    found = shapes(array, "structures", pixel_mm=0.1)
    # The dark ground and the bright corner touch the border, and the speck is too small.
    expected = [cv2.HuMoments(cv2.moments(m.astype(np.uint8))).ravel() for m in (block, hole)]
    expected[0] = cv2.HuMoments(cv2.moments((block & ~hole & ~speck).astype(np.uint8))).ravel()
    assert found.bright.tolist() == [True, False]
    np.testing.assert_allclose(found.moments, expected, rtol=1e-9)
    assert shapes(array, "structures", pixel_mm=0.2).bright.tolist() == [True, False, False]


def test_a_slices_structures_are_averaged_and_vote_for_the_nearest_slice() -> None:
    first, second = disc_and_bar()
    both = np.concatenate([first, second, second], axis=1)
    found = m_hum(shapes(both[None], "structures"), shapes(np.stack([first, second]), "structures"))
    assert found.distances == pytest.approx([0], abs=1e-12)
    assert found.slices.tolist() == [1]


def test_dark_structures_are_not_compared_with_bright_ones() -> None:
    disc = disc_and_bar()[:1]
    found = m_hum(shapes(disc, "structures"), shapes(-disc, "structures"))
    assert found.distances.tolist() == [np.inf]
    assert found.slices.tolist() == [-1]
    assert found.left_out == 1
    with pytest.raises(MicroCTSRError, match="no m-HuM"):
        _ = found.score


@pytest.mark.parametrize("form", FORMS)
def test_empty_slices_are_left_out_of_the_score(form: str) -> None:
    array = np.concatenate([disc_and_bar(), np.full((1, 100, 100), -500)])
    found = m_hum(shapes(array, form), shapes(disc_and_bar(), form))
    assert found.distances.tolist() == [0, 0, np.inf]
    assert found.slices.tolist() == [0, 1, -1]
    assert (found.left_out, found.score) == (1, 0)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [0.0, 700.0])
def test_an_image_without_contrast_is_empty(form: str, value: float) -> None:
    constant = shapes(np.full((2, 9, 9), value), form)
    assert constant.count == 2
    assert not constant.moments.any()
    found = m_hum(constant, shapes(disc_and_bar(), form))
    assert found.left_out == 2


def test_several_volumes_are_one_set_numbered_on() -> None:
    disc, bar = disc_and_bar()
    references = joined([shapes(disc[None]), shapes(np.stack([disc, bar]))])
    assert references.count == 3
    assert m_hum(shapes(bar[None]), references).slices.tolist() == [2]


def test_what_cannot_be_compared_is_explained() -> None:
    disc = shapes(disc_and_bar())
    with pytest.raises(MicroCTSRError, match="reference set of m-HuM is empty"):
        m_hum(disc, joined([]))
    with pytest.raises(
        MicroCTSRError, match='form "papers" of m-HuM is unknown; choose paper, shape'
    ):
        shapes(disc_and_bar(), "papers")
    with pytest.raises(MicroCTSRError, match=r"slices ordered \(k, j, i\)"):
        shapes(np.zeros((4, 4)))


@pytest.fixture
def volumes(tmp_path):
    """Results (2 slices) and a folder of two references (2 + 1 slices)."""
    references = tmp_path / "micro"
    references.mkdir()
    disc, bar = disc_and_bar().astype(np.int16)
    for path, slices in (
        (tmp_path / "sr.nrrd", [bar, disc]),
        (references / "a.nrrd", [disc, disc]),
        (references / "b.nrrd", [bar]),
    ):
        sr.write_volume(sr.Volume(np.stack(slices), (0.1, 0.1, 0.1)), path)
    return tmp_path / "sr.nrrd", references


@pytest.mark.parametrize("form", FORMS)
def test_the_command_tells_every_slice_and_where_the_nearest_is(volumes, tmp_path, form) -> None:
    generated, references = volumes
    result = run(
        "evaluate", "m-hum", "--generated", generated, "--reference", references,
        "--form", form, "--json", tmp_path / "m.json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert f"m-HuM 0 (I1, form {form}): 2 slices against 3" in result.stdout
    answer = json.loads((tmp_path / "m.json").read_text())
    assert (answer["m_hum"], answer["distance"], answer["form"]) == (0, "I1", form)
    assert answer["slices"] == [
        {"index": 0, "m_hum": 0, "nearest": 2},
        {"index": 1, "m_hum": 0, "nearest": 0},
    ]
    assert answer["reference"] == [
        {"name": "a.nrrd", "first": 0, "slices": 2},
        {"name": "b.nrrd", "first": 2, "slices": 1},
    ]


def test_the_command_explains_what_is_missing(volumes, tmp_path) -> None:
    generated, _ = volumes
    empty = tmp_path / "empty"
    empty.mkdir()
    command = ("evaluate", "m-hum", "--generated", generated, "--reference")
    assert_one_line_error(run(*command, empty), str(empty), "holds no")
    assert_one_line_error(run(*command, tmp_path / "none"), str(tmp_path / "none"))
    constant = sr.Volume(np.zeros((1, 9, 9), np.int16), (0.1, 0.1, 0.1))
    sr.write_volume(constant, tmp_path / "constant.nrrd")
    assert_one_line_error(run(*command, tmp_path / "constant.nrrd"), "no m-HuM")
