"""Sharpness and surface distance: of steps, squares and spectra whose answer is known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from microctsr_core.evaluation import edges, resolution, surface_distance

SPACING_MM = 0.025
AIR, FLUID, BONE = -990.0, 0.0, 1500.0


def step(angle_deg: float = 0, low: float = FLUID, offset_mm: float = 0) -> np.ndarray:
    """A slice of 5 mm with bone on one side of a straight wall through its middle."""
    y, x = (np.indices((200, 200)) - 99.5) * SPACING_MM
    angle = np.deg2rad(angle_deg)
    away = x * np.cos(angle) + y * np.sin(angle) - offset_mm
    # Voxels that the wall cuts are of both sides.
    share = np.clip(away / SPACING_MM + 0.5, 0, 1)
    return (low + share * (BONE - low))[None]


def blurred(image: np.ndarray, sigma_mm: float) -> np.ndarray:
    sigma = sigma_mm / SPACING_MM
    return ndimage.gaussian_filter(image, (0, sigma, sigma), mode="nearest")


@pytest.mark.parametrize("angle", [0, 30, 45])
@pytest.mark.parametrize("beside", ["air", "fluid"])
def test_a_step_blurred_by_a_gaussian_rises_in_2563_of_its_sd(angle, beside):
    truth = step(angle, {"air": AIR, "fluid": FLUID}[beside])
    found = edges(blurred(truth, 0.12), truth, SPACING_MM, beside)
    assert found.rise_mm == pytest.approx(2.563 * 0.12, rel=0.03)
    assert found.shown == 1
    assert found.walls > 100
    other = {"air": "fluid", "fluid": "air"}[beside]
    assert edges(truth, truth, SPACING_MM, other).walls == 0
    assert np.isnan(edges(truth, truth, SPACING_MM, other).rise_mm)


def test_a_wall_out_of_place_is_as_sharp_as_it_is_steep():
    truth = step()
    moved = blurred(step(offset_mm=0.1), 0.08)
    assert edges(moved, truth, SPACING_MM).rise_mm == pytest.approx(2.563 * 0.08, rel=0.05)


def test_a_step_from_voxel_to_voxel_rises_in_four_fifths_of_one():
    assert edges(step(), step(), SPACING_MM).rise_mm <= 0.8 * SPACING_MM
    assert edges(step(30), step(30), SPACING_MM).rise_mm < 1.5 * SPACING_MM


def test_a_wall_that_an_image_hardly_shows_has_no_rise():
    truth = step()
    truth[0, 100:] = FLUID
    image = np.where(truth > 700, 300.0, truth)  # a fifth of the contrast
    found = edges(image, truth, SPACING_MM)
    assert found.shown == 0
    assert np.isnan(found.rise_mm)


def test_thin_walls_are_no_walls_to_measure_sharpness_at():
    truth = np.full((1, 200, 200), FLUID)
    truth[0, :, 95:105] = BONE  # 0.25 mm
    assert edges(truth, truth, SPACING_MM).walls == 0


def test_coarse_voxels_have_sharpness_too():
    truth = np.where(np.arange(40) < 20, FLUID, BONE) * np.ones((1, 40, 1))
    assert edges(truth, truth, 0.35).rise_mm == pytest.approx(0.8 * 0.35, rel=0.05)


def white(seed: int, shape=(2, 256, 256)) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 100, shape)


def test_power_of_a_blurred_image_is_half_at_the_frequency_of_its_gaussian():
    sigma_mm = 0.1
    image = ndimage.gaussian_filter(white(0), (0, 4, 4), mode="wrap")
    # exp(-4 π² s² f²) = 1/2
    expected = np.sqrt(np.log(2)) / (2 * np.pi * sigma_mm)
    assert resolution(image, white(0), SPACING_MM).power == pytest.approx(expected, rel=0.05)


def test_detail_is_shared_up_to_where_it_is_replaced_by_other_detail_of_the_same_power():
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256))) / SPACING_MM
    truth, other = white(0), white(1)
    kept = np.fft.fft2(truth) * (frequency < 6) + np.fft.fft2(other) * (frequency >= 6)
    found = resolution(np.fft.ifft2(kept).real, truth, SPACING_MM)
    assert found.shared == pytest.approx(6, abs=0.3)
    assert found.power == 0.5 / SPACING_MM


def test_noise_raises_the_power_above_the_truth():
    smooth = blurred(white(0), 0.1)
    noisy = smooth + white(1) / 10
    found = resolution(noisy, smooth, SPACING_MM)
    assert 1 < found.power < 4


def test_an_equal_image_follows_the_truth_to_the_limit_of_the_grid():
    found = resolution(white(0), white(0), SPACING_MM)
    assert found.power == found.shared == 20
    flat = np.full((1, 64, 64), BONE)
    assert np.isnan(resolution(flat, flat, SPACING_MM).power)


def square(shift: int = 0, slices: int = 1) -> np.ndarray:
    mask = np.zeros((slices, 40, 60), bool)
    mask[:, 10:30, 10 + shift : 30 + shift] = True
    return mask


def test_two_shifted_squares_are_as_far_apart_as_by_hand():
    """Squares of 20 voxels, five apart. Of each border of 76 voxels, the 20 of one side are five
    from the other square's side. Of the two sides along the shift, the first five, corner apart,
    are nearest to the other's corner, at 1 to 4 voxels, and the rest lie on the other's border; the
    far side is inside the other square, five from the side that is parallel to it, or nearer to
    the two along the shift: at 0, 1, 2, 3 and 4 voxels from the corners."""
    one_side = np.r_[np.full(20, 5)]
    along = np.r_[1, 2, 3, 4, np.zeros(14)]  # the corners belong to the other two sides
    inner = np.minimum(5, np.minimum(np.arange(20), np.arange(20)[::-1]))
    distances = np.r_[one_side, along, along, inner]
    assert distances.size == 76
    found = surface_distance(square(), square(5), (1.0, 0.1, 0.1))
    assert found.mean_mm == pytest.approx(0.1 * distances.mean())
    assert found.p95_mm == pytest.approx(0.5)


@pytest.mark.filterwarnings("ignore:monai")
def test_surface_distances_are_those_of_monai():
    metrics = pytest.importorskip("monai.metrics")
    torch = pytest.importorskip("torch")
    generator = np.random.default_rng(0)
    masks = []
    for _ in range(2):
        smooth = ndimage.gaussian_filter(generator.normal(size=(60, 60)), 4)
        mask = np.pad(smooth > 0, 5)
        masks.append(mask)
    first, second = (torch.tensor(mask)[None, None] for mask in masks)
    found = surface_distance(masks[0][None], masks[1][None], (1.0, 0.05, 0.04))
    options = {"include_background": True, "spacing": (0.05, 0.04)}
    mean = metrics.compute_average_surface_distance(first, second, symmetric=True, **options)
    p95 = metrics.compute_hausdorff_distance(first, second, percentile=95, **options)
    assert found.mean_mm == pytest.approx(float(mean), rel=1e-5)
    assert found.p95_mm == pytest.approx(float(p95), rel=1e-5)


def test_equal_surfaces_are_at_no_distance_and_absent_ones_at_none():
    assert surface_distance(square(), square(), (1.0, 0.1, 0.1)).mean_mm == 0
    for mask in (np.zeros((1, 40, 60), bool), np.ones((1, 40, 60), bool)):
        assert np.isnan(surface_distance(square(), mask, (1.0, 0.1, 0.1)).p95_mm)


def test_a_slice_that_lacks_a_tissue_is_as_far_from_it_as_the_next_that_has_it():
    first, second = square(slices=2), square(slices=2)
    second[1] = False
    found = surface_distance(first, second, (0.3, 0.1, 0.1))
    # A third of all: there are two slices in the first, one in the second.
    assert found.mean_mm == pytest.approx(0.3 / 3)
