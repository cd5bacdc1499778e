"""Fidelity against a known truth: the figures of the quality table."""

from __future__ import annotations

import numpy as np
import pytest

from microctsr_core.evaluation import dice, fidelity, homogeneous, specks, tissue

SPACING_MM = 0.05


def test_tissues_are_those_of_the_phantoms():
    hu = np.array([-990.0, -500.1, -300.0, 0.0, 300.0, 500.0, 700.0, 2000.0])
    assert tissue(hu, "air").tolist() == [True, True] + [False] * 6
    assert tissue(hu, "fluid").tolist() == [False] * 3 + [True, True] + [False] * 3
    assert tissue(hu, "bone").tolist() == [False] * 6 + [True, True]


def test_dice_of_two_half_overlapping_squares_is_a_half():
    first, second = np.zeros((8, 8), bool), np.zeros((8, 8), bool)
    first[:, :4], second[:, 2:6] = True, True
    assert dice(first, second) == pytest.approx(0.5)
    assert np.isnan(dice(np.zeros(3, bool), np.zeros(3, bool)))


def test_a_perfect_result_is_perfect():
    truth = np.full((2, 60, 60), 1500.0)
    truth[:, 20:40, 20:40] = 0.0
    result = fidelity(truth, truth, SPACING_MM)
    assert result.ssim == pytest.approx(1)
    assert result.dice["bone"] == result.dice["fluid"] == 1
    assert result.specks_per_cm2["bone"] == 0
    assert result.noise_sd_hu["bone"] == 0


def test_noise_is_measured_inside_tissue_and_apart_from_a_bias():
    generator = np.random.default_rng(0)
    truth = np.full((2, 80, 80), 1500.0)
    truth[:, :, 60:] = -990.0
    image = truth + 100 + generator.normal(0, 25, truth.shape)
    image[:, :, 55:65] += 800  # a wall out of place is an error, but not noise
    assert fidelity(image, truth, SPACING_MM).noise_sd_hu["bone"] == pytest.approx(25, rel=0.05)


def test_psnr_follows_its_formula():
    generator = np.random.default_rng(0)
    truth = np.full((1, 64, 64), 1500.0, np.float32)
    image = truth + generator.normal(0, 30, truth.shape).astype(np.float32)
    error = float(((image - truth) ** 2).mean())
    expected = 10 * np.log10(3000**2 / error)
    assert fidelity(image, truth, SPACING_MM).psnr == pytest.approx(expected, abs=1e-3)


def test_homogeneous_regions_keep_clear_of_walls_and_texture():
    truth = np.full((1, 101, 101), 1500.0)
    truth[0, :, 70:] = -990.0
    truth[0, :40, :40] += 100 * np.random.default_rng(0).choice([-1, 1], (40, 40))
    region = homogeneous(truth, "bone", SPACING_MM)
    assert region[0, 60:, :50].all()
    # Column 69 is the last of bone: the margin of 0.2 mm is four voxels.
    assert not region[0, :, 66:].any()
    assert not region[0, :35, :35].any()


def test_specks_are_counted_by_area_and_only_where_invented():
    truth = np.full((1, 80, 80), 1500.0)
    truth[0, :, 70:] = -990.0
    region = homogeneous(truth, "bone", SPACING_MM)
    image = truth.copy()
    image[0, 10:13, 10:13] = 0.0  # 9 voxels of 0.0025 mm²: a speck
    image[0, 30, 30] = 0.0  # one voxel: too small to be one
    image[0, 50:54, 50:54] = 500.0  # between tissues: none
    image[0, 40:44, 66:69] = -990.0  # beside the wall: a wall out of place, not a speck
    assert specks(image, region, "bone", SPACING_MM) == 1
    assert specks(image, region, "dense bone", SPACING_MM) == 1
    assert specks(np.where(truth > 0, 900.0, truth), region, "dense bone", SPACING_MM) == 0
    area_cm2 = region.sum() * SPACING_MM**2 / 100
    assert fidelity(image, truth, SPACING_MM).specks_per_cm2["bone"] == pytest.approx(1 / area_cm2)
