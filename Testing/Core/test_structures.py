"""Invented and missed structures: counted by tissue, whatever hangs together with them."""

from __future__ import annotations

import numpy as np
import pytest

from microctsr_core.evaluation import Structures, structures

SPACING_MM = 0.05
AIR, FLUID, BONE = -990.0, 0.0, 1500.0


def bone() -> np.ndarray:
    """A slice of 4 mm by 5 mm, 0.2 cm²: one structure in it is five per cm²."""
    return np.full((1, 80, 100), BONE)


def counts(found: Structures) -> dict[str, list[float]]:
    return {name: [found.invented[name], found.missed[name]] for name in found.invented}


def test_an_equal_image_invents_and_misses_nothing():
    truth = bone()
    truth[0, 20:40, 20:40] = FLUID
    for islands in (False, True):
        result = counts(structures(truth, truth, SPACING_MM, islands))
        assert result == {"air": [0, 0], "fluid": [0, 0], "bone": [0, 0]}


@pytest.mark.parametrize("islands", [False, True])
def test_a_blob_in_the_image_is_invented_and_one_in_the_truth_is_missed(islands):
    image, truth = bone(), bone()
    image[0, 10:20, 10:20] = FLUID
    truth[0, 60:66, 60:66] = AIR
    result = counts(structures(image, truth, SPACING_MM, islands))
    assert result["fluid"] == [pytest.approx(5), 0]
    assert result["air"] == [0, pytest.approx(5)]


def test_what_is_not_above_the_area_is_no_structure():
    image, truth = bone(), bone()
    image[0, 10, 10:17] = FLUID  # 7 voxels of 0.0025 mm²
    image[0, 40:43, 40:43] = FLUID  # 9 voxels: above 0.02 mm²
    assert structures(image, truth, SPACING_MM).invented["fluid"] == pytest.approx(5)


def test_a_wall_out_of_place_is_no_structure():
    image, truth = bone(), bone()
    image[0, :, 50:], truth[0, :, 54:] = FLUID, FLUID  # by 0.2 mm
    result = counts(structures(image, truth, SPACING_MM))
    assert result == {"air": [0, 0], "fluid": [0, 0], "bone": [0, 0]}


def test_a_lost_septum_is_missed_although_it_hangs_on_other_bone():
    truth = bone()
    truth[0, 20:60, 20:80] = AIR
    image = truth.copy()
    truth[0, 20:60, 49:51] = BONE  # 0.1 mm thick, 2 mm long
    assert structures(image, truth, SPACING_MM).missed["bone"] == pytest.approx(5)
    assert structures(image, truth, SPACING_MM, islands=True).missed["bone"] == 0


def test_a_bridge_is_invented_although_it_hangs_on_other_bone():
    truth = bone()
    truth[0, 20:60, 20:80] = FLUID
    image = truth.copy()
    image[0, 20:60, 49:51] = BONE
    assert structures(image, truth, SPACING_MM).invented["bone"] == pytest.approx(5)


def test_the_band_that_blur_makes_between_air_and_bone_is_not_invented_fluid():
    truth = bone()
    truth[0, :, 50:] = AIR
    image = truth.copy()
    image[0, :, 48:52] = FLUID
    assert structures(image, truth, SPACING_MM).invented["fluid"] == 0
    image[0, 30:40, 70:80] = FLUID  # 1 mm from the wall
    assert structures(image, truth, SPACING_MM).invented["fluid"] == pytest.approx(5)


def test_slices_are_counted_by_themselves():
    truth = np.concatenate([bone(), bone()])
    image = truth.copy()
    image[:, 10:20, 10:20] = FLUID
    assert structures(image, truth, SPACING_MM).invented["fluid"] == pytest.approx(5)


def test_structures_are_told_by_their_size():
    image, truth = bone(), bone()
    image[0, 5:9, 5:9] = FLUID  # 16 voxels of 0.0025 mm²: 0.04 mm²
    image[0, 30:39, 5:9] = FLUID  # 0.09 mm²
    image[0, 5:13, 30:38] = FLUID  # 0.16 mm²
    truth[0, 50:66, 50:66] = AIR  # 0.64 mm²
    found = structures(image, truth, SPACING_MM)
    none = {"small": 0, "medium": 0, "large": 0}
    # Of the bone in place of air, the 8 by 8 voxels farther than 0.2 mm from other bone.
    assert found.invented_by_size == {
        "air": none,
        "fluid": pytest.approx({"small": 10, "medium": 5, "large": 0}),
        "bone": pytest.approx({"small": 0, "medium": 5, "large": 0}),
    }
    assert found.missed_by_size == {
        "air": pytest.approx({"small": 0, "medium": 0, "large": 5}),
        "fluid": none,
        "bone": none,
    }
    assert found.invented["fluid"] == pytest.approx(15)
