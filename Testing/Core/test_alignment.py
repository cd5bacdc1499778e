"""A truth is compared where a result lies, or refused in one sentence that says why not."""

from __future__ import annotations

import numpy as np
import pytest

from microctsr_core import Volume
from microctsr_core.errors import GeometryError
from microctsr_core.evaluation import check_same_grid, on_grid_of, part_under
from microctsr_core.phantom import SCALE, make_case

SPACING = (0.1, 0.05, 0.05)
ORIGIN = (3.0, -4.0, 5.0)


def ramp(shape=(4, 5, 6), spacing=SPACING, origin=ORIGIN, direction=None) -> Volume:
    """Values 1000 z + 10 y + x of the voxel centres, in patient mm: linear, so that linear
    interpolation gives them back exactly."""
    direction = np.eye(3) if direction is None else direction
    volume = Volume(np.zeros(shape), spacing, origin, direction)
    k, j, i = np.indices(shape)
    x, y, z = np.moveaxis(np.stack([i, j, k, np.ones(shape)], -1) @ volume.ijk_to_lps.T, -1, 0)[:3]
    return volume.with_array(1000 * z + 10 * y + x)


def test_a_truth_on_the_same_grid_is_left_as_it_is():
    truth = ramp()
    found = on_grid_of(truth, truth)
    assert found.same_grid(truth)
    np.testing.assert_array_equal(found.array, truth.array.astype(np.float32))


def test_thick_slices_are_compared_with_the_truth_at_their_centres():
    """As in the table of methods: eight planes have their centre between the middle two."""
    case = make_case(0, 0, 0.3, (2, 4, 4))
    result = case.low.on_refined_grid(np.zeros((2, 4 * SCALE, 4 * SCALE)), (1, SCALE, SCALE))
    found = on_grid_of(result, case.truth).array
    for k in range(2):
        middle = SCALE * k + SCALE // 2
        np.testing.assert_allclose(
            found[k], case.truth.array[middle - 1 : middle + 1].mean(0), rtol=1e-5, atol=1e-3
        )


def test_an_image_of_a_box_is_compared_with_that_part_of_the_truth():
    truth = ramp()
    box = truth.crop(((1, 3), (2, 5), (0, 4)))
    np.testing.assert_allclose(on_grid_of(box, truth).array, box.array, rtol=1e-6)


@pytest.mark.parametrize("angle", [0, 90])
def test_offsets_below_a_voxel_are_interpolated_linearly(angle):
    turn = np.deg2rad(angle)
    direction = np.array(
        [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    )
    truth = ramp(direction=direction)
    offset = direction @ [0.02, 0.03, 0.04] + ORIGIN
    image = ramp((3, 4, 5), origin=tuple(offset), direction=direction)
    np.testing.assert_allclose(on_grid_of(image, truth).array, image.array, rtol=1e-6)


def test_origins_that_a_file_has_rounded_do_not_blur_the_truth():
    truth = ramp().with_array(np.random.default_rng(0).normal(size=(4, 5, 6)))
    image = Volume(truth.array, SPACING, tuple(np.float32(ORIGIN) + np.float32(1e-6)))
    np.testing.assert_array_equal(on_grid_of(image, truth).array, truth.array.astype(np.float32))


def test_beyond_the_outermost_centres_but_inside_the_voxels_the_edge_goes_on():
    truth = ramp((2, 2, 2))
    image = ramp((2, 2, 2), origin=(ORIGIN[0] - 0.02, *ORIGIN[1:]))
    found = on_grid_of(image, truth).array
    np.testing.assert_allclose(found[..., 0], truth.array[..., 0], rtol=1e-6)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (ramp(spacing=(0.1, 0.051, 0.051)), ("sr.nrrd", "truth.nrrd", "0.051 x 0.051 mm")),
        (ramp(origin=(50.0, -4.0, 5.0)), ("do not overlap", "covers x 49.9", "truth.nrrd x 2.9")),
        (ramp((4, 5, 7)), ("sr.nrrd reaches outside truth.nrrd along i", "covers x 2.9")),
        (ramp((9, 5, 6)), ("along k",)),
        (ramp(direction=np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])), ("different directions",)),
    ],
    ids=["voxel size", "apart", "wider", "higher", "turned"],
)
def test_what_does_not_belong_to_the_truth_is_refused(image, words):
    with pytest.raises(GeometryError) as refusal:
        on_grid_of(image, ramp(), ("sr.nrrd", "truth.nrrd"))
    for word in words:
        assert word in str(refusal.value)
    assert str(refusal.value).count(". ") == 0


def test_images_without_a_place_have_to_be_of_the_same_size():
    truth, image = (ramp(shape, origin=(0, 0, 0)) for shape in ((4, 5, 6), (4, 5, 5)))
    with pytest.raises(GeometryError, match=r"The result and the truth are of different size"):
        on_grid_of(image, truth)
    assert on_grid_of(truth, truth).shape == (4, 5, 6)


def test_an_uncertainty_of_another_run_is_refused():
    check_same_grid(ramp(), ramp())
    with pytest.raises(GeometryError, match="4 x 5 x 7 voxels"):
        check_same_grid(ramp(), ramp((4, 5, 7)))
    with pytest.raises(GeometryError, match="lies elsewhere"):
        check_same_grid(ramp(), ramp(origin=(3.0, -4.0, 5.1)))


def test_the_part_of_a_scan_under_a_result_is_the_box_it_was_made_of():
    angle = np.deg2rad(20)
    direction = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    ct = ramp(direction=direction)
    box = ((1, 3), (2, 5), (1, 4))
    result = ct.crop(box).on_refined_grid(np.zeros((2, 24, 24)), (1, 8, 8))
    assert part_under(result, ct).same_grid(ct.crop(box))
    np.testing.assert_array_equal(part_under(result, ct).array, ct.crop(box).array)


@pytest.mark.parametrize(
    "result", [ramp((4, 5, 7)), ramp(origin=(3.02, -4.0, 5.0))], ids=["outside", "between voxels"]
)
def test_a_scan_that_a_result_was_not_made_of_is_refused(result):
    with pytest.raises(
        GeometryError, match=r"sr.nrrd .* was not made from whole voxels of ct.nrrd"
    ):
        part_under(result, ramp(), ("sr.nrrd", "ct.nrrd"))
