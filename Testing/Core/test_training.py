"""Training: the scanner in the loop is the real one, and a run can be stopped and taken up."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from microctsr_core import load_model
from microctsr_core.networks.compact import CompactGenerator
from microctsr_core.networks.patchgan import PatchGAN
from microctsr_core.phantom import SCALE
from microctsr_core.training import bundled
from microctsr_core.training.cyclegan import ScannerGenerator, regional, scan_in_plane
from microctsr_core.training.phantoms import HighCase, LowCase
from microctsr_core.training.sampling import NODE_WEIGHTS, Sampler, through_plane


@pytest.fixture
def domains() -> tuple[list[LowCase], list[HighCase]]:
    """Random blobs in place of ears: clinical scans, and micro-CT with a scan of it."""
    g = np.random.default_rng(0)

    def blobs(shape: tuple[int, int, int], size: float) -> np.ndarray:
        field = gaussian_filter(g.standard_normal(shape), size)
        return np.where(field > 0, 1500, 0).astype(np.int16)

    low = [LowCase(blobs((6, 20, 20), 1), (0.4, 0.2, 0.2), 0.18) for _ in range(2)]
    high = []
    for _ in range(2):
        fine = blobs((16, 96, 96), 8)
        coarse = fine.reshape(2, 8, 12, 8, 12, 8).mean((1, 3, 5)).astype(np.int16)
        high.append(HighCase(fine, 0.2, [LowCase(coarse, (0.2,) * 3, 0.18)]))
    return low, high


@pytest.fixture
def recipe() -> bundled.Recipe:
    return bundled.Recipe(warm_steps=2, steps=4, size=8, warm_batch=1, batch=1, low_batch=1)


def test_scanner_blurs_like_scipy_and_area_samples():
    image = np.random.default_rng(0).random((2, 1, 128, 128)).astype(np.float32)
    image = gaussian_filter(image, (0, 0, 2, 2))
    sigmas = (5.0, 9.0)
    ours = scan_in_plane(torch.from_numpy(image), torch.tensor(sigmas)).numpy()
    for sample, sigma in enumerate(sigmas):
        blurred = gaussian_filter(image[sample, 0].astype(float), sigma, mode="nearest")
        expected = blurred.reshape(16, SCALE, 16, SCALE).mean((1, 3))
        inside = (slice(4, -4), slice(4, -4))
        contrast = np.ptp(expected[inside])
        np.testing.assert_allclose(ours[sample, 0][inside], expected[inside], atol=0.03 * contrast)


def test_untrained_scanner_generator_adds_nothing_to_the_physics():
    scanned = torch.rand(2, 5, 12, 12)
    assert torch.equal(ScannerGenerator()(scanned, torch.randn_like(scanned)), scanned)


def test_node_weights_integrate_a_gaussian_blur_exactly_up_to_the_fifth_power():
    nodes = np.sqrt(3) * np.array([-1, 0, 1])
    for power, moment in enumerate((1, 0, 1, 0, 3, 0)):
        assert np.dot(NODE_WEIGHTS, nodes**power) == pytest.approx(moment)


def test_noise_hardly_counts_in_a_regional_difference_but_a_bias_does():
    noise = torch.randn(8, 1, 40, 40)
    # The mean of 25 independent values has a fifth of their SD.
    assert regional(noise).std().item() == pytest.approx(0.2, rel=0.1)
    assert torch.allclose(regional(torch.full((1, 1, 8, 8), 0.3)), torch.tensor(0.3))


def test_planes_lie_one_in_plane_voxel_apart_whatever_the_slice_spacing():
    # A scan that grows linearly through its slices: 100 HU per mm, slices 0.5 mm apart.
    slices = (100 * (np.arange(40) + 0.5) * 0.5).astype(np.float32)
    scan = LowCase(np.broadcast_to(slices[:, None, None], (40, 4, 4)), (0.5, 0.2, 0.2), 0.2)
    planes = through_plane(scan, 10.0, 5)
    np.testing.assert_allclose(planes[:, 0, 0], 100 * (10.0 + 0.2 * np.arange(-2, 3)), atol=0.1)


def test_patches_of_both_domains_have_the_shapes_that_the_networks_read(domains):
    sampler = Sampler(*domains, size=8, generator=np.random.default_rng(0))
    high, low = sampler.high_batch(3), sampler.low_batch(2)
    assert high.images.shape == (3, 1, 64, 64)
    assert high.stacks.shape == (3, 5, 8, 8)
    assert low.stacks.shape == (2, 3, 5, 8, 8)
    assert low.sigma_pixels.tolist() == pytest.approx([0.18 / (0.2 / SCALE)] * 2)


def test_patch_and_its_scan_show_the_same_place(domains):
    sampler = Sampler(*domains, size=8, generator=np.random.default_rng(0))
    batch = sampler.high_batch(6)
    averaged = torch.nn.functional.avg_pool2d(batch.images, SCALE)[:, 0]
    together = torch.stack([averaged.flatten(), batch.stacks[:, 2].flatten()])
    assert torch.corrcoef(together)[0, 1] > 0.9


def test_a_stopped_run_goes_on_bit_for_bit(domains, recipe, tmp_path):
    whole = _run(bundled.Training(recipe), domains, steps=4)
    first = _run(bundled.Training(recipe), domains, steps=3)
    first.save(tmp_path / "state.pt")
    resumed = bundled.Training(recipe)
    resumed.load(tmp_path / "state.pt")
    _run(resumed, domains, steps=1)
    for expected, got in zip(
        whole.networks.state_dict().values(), resumed.networks.state_dict().values(), strict=True
    ):
        assert torch.equal(expected, got)


def test_a_trained_package_loads_with_its_card(domains, recipe, tmp_path):
    training = _run(bundled.Training(recipe), domains, steps=1)
    bundled.export(training, tmp_path / "ear")
    model = load_model(tmp_path / "ear")
    assert model.card["training"]["steps"] == 1
    assert model.scale == SCALE


def test_learning_rate_rises_and_falls_to_a_fiftieth():
    recipe = bundled.Recipe()
    assert recipe.rate(0) < recipe.rate(500)
    assert recipe.rate(recipe.steps) == pytest.approx(recipe.learning_rate / 50)


@pytest.mark.parametrize("norm", ["instance", "spectral"])
def test_patchgan_judges_patches_not_images(norm):
    judge = PatchGAN(1, 4, 3, norm)
    # Three strides of two, then two 4×4 convolutions without stride and one pixel of padding.
    assert judge(torch.rand(2, 1, 128, 128)).shape == (2, 1, 14, 14)


def test_unknown_patchgan_norm_is_named():
    with pytest.raises(ValueError, match="'batch'"):
        PatchGAN(norm="batch")


def test_untrained_compact_generator_is_all_but_cubic_interpolation():
    torch.manual_seed(0)
    stack = torch.rand(1, 5, 12, 12)
    cubic = torch.nn.functional.interpolate(
        stack[:, 2:3], scale_factor=8, mode="bicubic", align_corners=False
    )
    generator = CompactGenerator().eval()
    assert (generator(stack) - cubic).abs().max() < 0.05


def _run(training: bundled.Training, domains: tuple, steps: int) -> bundled.Training:
    sampler = Sampler(*domains, size=training.recipe.size, generator=training.random)
    for _ in range(steps):
        training.advance(sampler)
    return training
