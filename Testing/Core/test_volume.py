"""Geometry a user relies on: where voxels, crops and finer grids lie in the patient."""

from __future__ import annotations

import dataclasses
import pickle
from itertools import product

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import make_oblique_volume
from microctsr_core import GeometryError, MicroCTSRError, Volume
from microctsr_core.volume import parse_box


def itk_image(volume: Volume) -> sitk.Image:
    """The same grid as SimpleITK knows it, built without the code under test."""
    image = sitk.GetImageFromArray(volume.array)
    image.SetSpacing(tuple(reversed(volume.spacing)))
    image.SetOrigin(volume.origin)
    image.SetDirection([float(cosine) for row in volume.direction for cosine in row])
    return image


@pytest.mark.parametrize("seed", range(5))
def test_a_voxel_lies_where_itk_puts_it(seed: int) -> None:
    volume = make_oblique_volume(seed)
    image = itk_image(volume)
    for index in [(0, 0, 0), (5, 0, 0), (0, 4, 0), (0, 0, 3), (5, 4, 3)]:
        expected = image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose((volume.ijk_to_lps @ [*index, 1])[:3], expected, atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_outer_corners_are_half_a_voxel_beyond_the_outermost_centres(seed: int) -> None:
    volume = make_oblique_volume(seed)
    image = itk_image(volume)
    ends = product((-0.5, 3.5), (-0.5, 4.5), (-0.5, 5.5))
    expected = [image.TransformContinuousIndexToPhysicalPoint((i, j, k)) for k, j, i in ends]
    np.testing.assert_allclose(volume.corners_lps(), expected, atol=1e-9)


def test_size_is_counted_from_edge_to_edge() -> None:
    volume = Volume(np.zeros((54, 140, 160), np.int16), spacing=(0.7, 0.3125, 0.3125))
    assert volume.size_mm == pytest.approx((37.8, 43.75, 50.0))
    assert volume.shape == (54, 140, 160)
    assert volume.dtype == np.int16


@pytest.mark.parametrize("seed", range(5))
def test_a_crop_keeps_every_voxel_at_its_place(seed: int) -> None:
    volume = make_oblique_volume(seed)
    crop = volume.crop(((1, 3), (2, 5), (1, 6)))
    expected = sitk.RegionOfInterest(itk_image(volume), size=(5, 3, 2), index=(1, 2, 1))
    np.testing.assert_array_equal(crop.array, sitk.GetArrayFromImage(expected))
    np.testing.assert_allclose(crop.origin, expected.GetOrigin(), atol=1e-9)
    assert crop.spacing == volume.spacing
    assert crop.metadata == volume.metadata


def test_a_crop_does_not_copy_the_scan() -> None:
    volume = make_oblique_volume()
    assert np.shares_memory(volume.array, volume.crop(((0, 2), (0, 2), (0, 2))).array)


@given(
    seed=st.integers(0, 1000),
    shape=st.tuples(*[st.integers(1, 5)] * 3),
    factors=st.tuples(*[st.integers(1, 8)] * 3),
)
@settings(max_examples=40, deadline=None)
def test_a_finer_grid_has_exactly_the_outer_corners_of_the_coarse_one(
    seed: int, shape: tuple[int, int, int], factors: tuple[int, int, int]
) -> None:
    coarse = make_oblique_volume(seed, shape)
    fine = coarse.on_refined_grid(np.zeros(np.multiply(shape, factors)), factors)
    assert np.abs(fine.corners_lps() - coarse.corners_lps()).max() < 1e-9


def test_the_origin_of_a_finer_grid_moves_by_the_formula_for_voxel_centres() -> None:
    coarse = Volume(np.zeros((2, 3, 4)), spacing=(0.8, 0.4, 0.4), origin=(10, 20, 30))
    spacing, origin, direction = coarse.refined_geometry((1, 8, 8))
    assert spacing == pytest.approx((0.8, 0.05, 0.05))
    # Half a coarse voxel back to its edge, half a fine one on to the new centre.
    assert origin == pytest.approx((10 - 0.2 + 0.025, 20 - 0.2 + 0.025, 30))
    np.testing.assert_array_equal(direction, np.eye(3))


def test_a_grid_may_be_refined_by_a_fraction_where_the_voxels_come_out_whole() -> None:
    coarse = make_oblique_volume(3, (5, 2, 2))
    fine = coarse.on_refined_grid(np.zeros((12, 2, 2)), (12 / 5, 1, 1))
    assert np.abs(fine.corners_lps() - coarse.corners_lps()).max() < 1e-9


def test_values_that_do_not_fit_the_finer_grid_are_refused() -> None:
    coarse = make_oblique_volume()
    with pytest.raises(GeometryError, match="4 x 5 x 6 voxels refined by 1 x 8 x 8"):
        coarse.on_refined_grid(np.zeros((4, 40, 47)), (1, 8, 8))
    with pytest.raises(GeometryError, match="must be positive"):
        coarse.refined_geometry((1, 0, 8))
    with pytest.raises(GeometryError, match=r"shape \(2, 2, 2\) does not fit"):
        coarse.with_array(np.zeros((2, 2, 2)))


def test_new_values_keep_the_grid_and_may_bring_their_own_metadata() -> None:
    volume = make_oblique_volume()
    doubled = volume.with_array(volume.array * 2.0, metadata={"notice": "synthetic"})
    assert doubled.same_grid(volume)
    assert dict(doubled.metadata) == {"notice": "synthetic"}
    assert dict(volume.with_array(volume.array).metadata) == {"modality": "CT"}


def test_a_physical_box_gives_the_voxels_it_touches() -> None:
    # Voxel n of 2 mm covers 2 n - 1 to 2 n + 1 mm along x; 1 mm and 0.5 mm along y and z.
    volume = Volume(np.zeros((10, 10, 10)), spacing=(0.5, 1.0, 2.0))
    assert volume.box_from_lps((1.0, 0.5, 0.25), (5.0, 2.5, 1.25)) == ((1, 3), (1, 3), (1, 3))
    assert volume.box_from_lps((0.9, 0.4, 0.2), (5.1, 2.6, 1.3)) == ((0, 4), (0, 4), (0, 4))
    assert volume.box_from_lps((4.0, 4.0, 4.0), (4.0, 4.0, 4.0)) == ((8, 9), (4, 5), (2, 3))


def test_a_physical_box_is_cut_off_at_the_edge_of_the_scan() -> None:
    volume = Volume(np.zeros((10, 10, 10)))
    assert volume.box_from_lps((-99, 2, 3), (2, 99, 4)) == ((3, 5), (2, 10), (0, 3))
    assert volume.crop_lps((-99, 2, 3), (2, 99, 4)).shape == (2, 8, 3)


def test_a_physical_box_beside_the_scan_is_refused() -> None:
    volume = Volume(np.zeros((10, 10, 10)))
    with pytest.raises(GeometryError, match="lies outside the scan"):
        volume.crop_lps((20, 0, 0), (30, 5, 5))
    with pytest.raises(GeometryError, match="runs backwards"):
        volume.crop_lps((5, 0, 0), (0, 5, 5))


@given(seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_in_an_oblique_scan_the_voxels_of_a_physical_box_cover_it(seed: int) -> None:
    volume = make_oblique_volume(seed, (40, 40, 40))
    centre = volume.corners_lps().mean(axis=0)
    lower, upper = centre - 0.5, centre + 0.6  # well inside the smallest of these scans
    (k0, k1), (j0, j1), (i0, i1) = volume.box_from_lps(lower, upper)
    image = itk_image(volume)
    for corner in product(*zip(lower, upper, strict=True)):
        i, j, k = image.TransformPhysicalPointToContinuousIndex(corner)
        assert k0 - 0.5 <= k <= k1 - 0.5
        assert j0 - 0.5 <= j <= j1 - 0.5
        assert i0 - 0.5 <= i <= i1 - 0.5


@pytest.mark.parametrize(
    ("box", "message"),
    [
        (((0, 5), (0, 5), (0, 6)), r"outside the scan along k \(0:5\).*within 0:4"),
        (((0, 4), (-1, 5), (0, 6)), r"outside the scan along j"),
        (((0, 4), (0, 5), (7, 9)), r"outside the scan along i"),
        (((2, 2), (0, 5), (0, 6)), r"empty along k \(2:2\)"),
        (((3, 1), (0, 5), (0, 6)), r"empty along k"),
        (((0, 4), (0, 5)), "three voxel ranges"),
        (("a", "b", "c"), "three voxel ranges"),
        (None, "three voxel ranges"),
    ],
)
def test_a_box_outside_the_scan_is_refused_with_the_axis_and_its_limits(box, message) -> None:
    with pytest.raises(GeometryError, match=message):
        make_oblique_volume().crop(box)


def test_a_box_is_written_as_on_the_command_line() -> None:
    assert parse_box("24:32,49:97,56:104") == ((24, 32), (49, 97), (56, 104))
    assert parse_box(" 0:1, 2:3 ,4:5 ") == ((0, 1), (2, 3), (4, 5))


@pytest.mark.parametrize("text", ["", "1:2,3:4", "1:2,3:4,5", "1:2,3:4,a:b", "1:2,3:4,-5:6"])
def test_a_box_written_wrongly_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(GeometryError, match="write it as k0:k1,j0:j1,i0:i1"):
        parse_box(text)


def test_an_empty_box_is_refused_when_it_is_read() -> None:
    with pytest.raises(GeometryError, match="8 is not below 8"):
        parse_box("8:8,0:4,0:4")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"array": np.zeros((3, 3))}, "three-dimensional"),
        ({"array": np.zeros((0, 3, 3))}, "not empty"),
        ({"array": np.zeros((2, 2, 2), complex)}, "real numbers"),
        ({"spacing": (1.0, 0.0, 1.0)}, "above zero"),
        ({"spacing": (1.0, -1.0, 1.0)}, "above zero"),
        ({"spacing": (1.0, np.nan, 1.0)}, "finite"),
        ({"spacing": (1.0, 1.0)}, "three numbers"),
        ({"origin": (0.0, np.inf, 0.0)}, "finite"),
        ({"direction": np.eye(2)}, "3x3"),
        ({"direction": np.diag([1.0, 1.0, 2.0])}, "right angles"),
        ({"direction": [[1, 0.1, 0], [0, 1, 0], [0, 0, 1]]}, "right angles"),
        ({"direction": np.full((3, 3), np.nan)}, "right angles"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(change, message) -> None:
    with pytest.raises(GeometryError, match=message) as caught:
        Volume(**{"array": np.zeros((2, 2, 2)), **change})
    assert isinstance(caught.value, MicroCTSRError)
    assert isinstance(caught.value, ValueError)


def test_a_left_handed_grid_and_rounded_cosines_are_accepted() -> None:
    Volume(np.zeros((2, 2, 2)), direction=np.diag([1.0, 1.0, -1.0]))
    Volume(np.zeros((2, 2, 2)), direction=np.diag([0.99999, 1.0, 1.0]))


def test_the_geometry_of_a_volume_does_not_change() -> None:
    direction = np.eye(3)
    metadata = {"modality": "CT"}
    volume = Volume(np.zeros((2, 2, 2)), direction=direction, metadata=metadata)
    direction[0, 0] = metadata["modality"] = -1
    assert volume.direction[0, 0] == 1
    assert volume.metadata["modality"] == "CT"
    with pytest.raises(dataclasses.FrozenInstanceError):
        volume.spacing = (2.0, 2.0, 2.0)
    with pytest.raises(ValueError, match="read-only"):
        volume.direction[0, 0] = 2
    with pytest.raises(TypeError):
        volume.metadata["name"] = "x"


def test_a_volume_travels_to_another_process_unchanged() -> None:
    volume = make_oblique_volume()
    copy = pickle.loads(pickle.dumps(volume))
    np.testing.assert_array_equal(copy.array, volume.array)
    assert copy.same_grid(volume, tolerance_mm=0)
    assert copy.metadata == volume.metadata


def test_two_grids_are_the_same_when_their_corners_are() -> None:
    volume = Volume(np.zeros((2, 2, 2)))
    moved = Volume(np.zeros((2, 2, 2)), origin=(0, 0, 1e-3))
    assert not volume.same_grid(moved)
    assert volume.same_grid(moved, tolerance_mm=1e-2)
    assert not volume.same_grid(Volume(np.zeros((2, 2, 3))))
    # The same corners, but the axes run along others: not the same grid.
    turned = Volume(np.zeros((2, 2, 2)), direction=np.eye(3)[:, [1, 0, 2]])
    assert not volume.same_grid(turned)
