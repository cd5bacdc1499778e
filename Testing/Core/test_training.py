"""Training: every method learns, and a run stopped, resumed or shared is the run that was not."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.fabric import Fabric
from scipy.ndimage import gaussian_filter, map_coordinates

from microctsr_core import MicroCTSRError
from microctsr_core.networks.compact import CompactGenerator
from microctsr_core.networks.patchgan import PatchGAN
from microctsr_core.phantom import SCALE
from microctsr_core.preparation import HUWindow
from microctsr_core.training import Config, Domains, Trainer, changed, load_config
from microctsr_core.training.across import ScannerGenerator, scan_in_plane
from microctsr_core.training.batches import (
    NODE_WEIGHTS,
    Batches,
    draws_of,
    large_enough,
    on_high_grid,
    patch_places,
    through_plane,
)
from microctsr_core.training.cases import HighCase, LowCase, Scan
from microctsr_core.training.chance import Chance
from microctsr_core.training.checkpoint import read_checkpoint, write_checkpoint
from microctsr_core.training.folders import Source
from microctsr_core.training.losses import adversarial, regional
from microctsr_core.training.method import ImagePool
from microctsr_core.training.trainer import schedule
from microctsr_core.training.watch import Diverged

TINY = {
    "compact": {"width": 8, "blocks": 2, "upsampling": [8, 6, 4], "dropout_blocks": 1},
    "resnet": {"filters": 4, "blocks": 2},
    "unet": {"channels": [4, 8], "strides": [2]},
    "srresnet": {"width": 8, "blocks": 2, "dropout_blocks": 1},
}


PSF = (0.18, 0.23)


def blobs(shape: tuple[int, int, int], size: float, seed: int) -> np.ndarray:
    """Random blobs in place of an ear, scaled to [0, 1]."""
    field = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), size)
    return np.where(field > 0, 0.6, 0.25).astype(np.float16)


def scan(path: Path, array: np.ndarray, spacing: tuple[float, float, float], psf: float) -> Scan:
    np.save(path, array)
    return Scan(path, spacing, psf)


@pytest.fixture
def domains(tmp_path) -> Domains:
    """Two clinical scans, and two micro-CT with a clinical scan of each."""
    low = [
        LowCase(
            f"low{n}",
            scan(
                tmp_path / f"low{n}.npy", blobs((6, 20, 20), 1, n), (0.4, 0.2, 0.2), 0.18 + 0.05 * n
            ),
            Source(f"low{n}", tmp_path / f"low{n}.nrrd"),
            ((0, 6), (0, 20), (0, 20)),
            None,
        )
        for n in range(2)
    ]
    high = []
    for n in range(2):
        fine = blobs((16, 96, 96), 8, 10 + n)
        coarse = fine.astype(float).reshape(2, 8, 12, 8, 12, 8).mean((1, 3, 5)).astype(np.float16)
        image = scan(tmp_path / f"high{n}.npy", fine, (0.025,) * 3, 0.0)
        imaged = scan(tmp_path / f"scan{n}.npy", coarse, (0.2,) * 3, 0.18)
        high.append(HighCase(f"high{n}", image, (imaged,)))
    return Domains(
        tuple(low), tuple(high), (), (), HUWindow(), (), (0.2, 0.2), (0.025, 0.025), (-1000, 1500)
    )


def tiny(method: str, preset: str = "compact", **entries: object) -> Config:
    """A method's preset with a tiny network and tiny batches of 64 x 64 pixels."""
    preset_config = load_config(method, preset)
    small = {
        "network": {
            "name": preset_config.network.name,
            "arguments": TINY[preset_config.network.name],
        },
        "batch": {"size": 2, "low_size": 2, "patch": 64, "stride": None},
        "epochs": 2,
        "steps_per_epoch": 3,
    }
    if method != "unet":
        small["losses"] = {"judge_filters": 4}
    config = changed(preset_config, **small)
    return changed(config, **entries)


METHODS = [
    ("cyclegan", "compact"),
    ("cyclegan", "paper"),
    ("unet", "compact"),
    ("srgan", "compact"),
]


@pytest.fixture
def fabric() -> Fabric:
    return Fabric(accelerator="cpu", devices=1)


def steps(trainer: Trainer, domains: Domains, count: int) -> list[Mapping[str, float]]:
    batches = trainer.batches(domains, workers=0)
    return [trainer.advance(next(batches)) for _ in range(count)]


def same(one: Mapping, other: Mapping) -> bool:
    """Whether two state dictionaries hold the same bits."""
    return all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize(("method", "preset"), METHODS)
def test_a_step_changes_every_network_of_a_method(domains, fabric, method, preset):
    losses = {"alone": 0.0} if method == "srgan" or (method, preset) == METHODS[0] else {}
    trainer = Trainer(tiny(method, preset, losses=losses), fabric)
    before = {name: value.clone() for name, value in trainer.method.named_parameters()}
    steps(trainer, domains, 2)
    for network in (*trainer.method.generators, *trainer.method.judges):
        changed_any = any(
            not torch.equal(before[name], value)
            for name, value in trainer.method.named_parameters()
            if any(value is own for own in network.parameters())
        )
        assert changed_any


# The judges take part from the first step, and the pools of images fill.
BUSY = {
    "compact": {"alone": 0.0, "pool": 2, "adversarial": 1.0},
    "paper": {"pool": 2},
}


def busy(method: str, preset: str) -> Config:
    losses = BUSY[preset] if method == "cyclegan" else {"alone": 0.0} if method == "srgan" else {}
    return tiny(method, preset, losses=losses)


@pytest.mark.parametrize(("method", "preset"), METHODS)
def test_a_stopped_run_goes_on_bit_for_bit(domains, fabric, method, preset, tmp_path):
    config = busy(method, preset)
    whole = Trainer(config, fabric)
    steps(whole, domains, 6)
    first = Trainer(config, fabric)
    steps(first, domains, 4)
    write_checkpoint(tmp_path / "checkpoint.pt", first.state(), {})
    resumed = Trainer(config, fabric)
    resumed.load(read_checkpoint(tmp_path / "checkpoint.pt", {}))
    steps(resumed, domains, 2)
    one, other = whole.state(), resumed.state()
    for part in ("method", "average", "pool"):
        assert same(one[part], other[part])
    for turn in ("generators", "judges"):
        moments = one["optimisers"][turn]["state"]
        assert all(same(moments[n], other["optimisers"][turn]["state"][n]) for n in moments)


@pytest.mark.parametrize(("method", "preset"), METHODS)
def test_accumulated_gradients_train_like_the_whole_batch(domains, fabric, method, preset):
    config = busy(method, preset)
    whole, parts = Trainer(config, fabric), Trainer(config, fabric, per_pass=1)
    for one, other in zip(steps(whole, domains, 2), steps(parts, domains, 2), strict=True):
        assert one == pytest.approx(other, abs=1e-5)


@pytest.mark.parametrize(("method", "preset"), METHODS)
def test_batches_can_be_sent_to_processes_that_draw_them(domains, fabric, method, preset):
    config = tiny(method, preset)
    batches = Batches(draws_of(config, domains), Trainer(config, fabric).slots)
    again = pickle.loads(pickle.dumps(batches))
    for domain, tensors in batches[1].items():
        assert same(tensors, again[1][domain])


def test_weights_are_kept_from_a_gradient_that_is_no_number(domains, fabric):
    trainer = Trainer(tiny("unet"), fabric)
    before = {name: value.clone() for name, value in trainer.method.state_dict().items()}
    batch = next(trainer.batches(domains, 0))
    batch["high"]["image"][0, 0, 0, 0] = float("nan")
    with pytest.raises(Diverged, match="gradient of the generators is nan at step 0"):
        trainer.advance(batch)
    assert same(before, trainer.method.state_dict())


def test_both_domains_of_the_paper_are_shuffled_apart():
    batch = {"stride": 16, "patches": 30, "size": 3}
    config = tiny("cyclegan", "paper", batch=batch)
    coin = np.random.default_rng(0)
    orders = [
        [patch_places(config, [(16, 96, 96)], domain)(step, 0, coin) for step in range(10)]
        for domain in ("low", "high")
    ]
    assert orders[0] != orders[1]


def test_supervised_training_lowers_its_loss(domains, fabric):
    config = tiny("srgan", losses={"alone": 1.0}, epochs=10, steps_per_epoch=6)
    config = replace(config, optimiser=replace(config.optimiser, rise=0, rate=2e-3))
    losses = [step["pixel"] for step in steps(Trainer(config, fabric), domains, 40)]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_weights_do_not_depend_on_what_was_drawn_elsewhere(domains, fabric):
    torch.manual_seed(1)
    one = Trainer(tiny("cyclegan"), fabric)
    torch.manual_seed(2)
    np.random.seed(3)  # noqa: NPY002 - that is what must not matter
    other = Trainer(tiny("cyclegan"), fabric)
    steps(one, domains, 1)
    torch.rand(5)
    steps(other, domains, 1)
    assert same(one.method.state_dict(), other.method.state_dict())


def test_without_a_moving_average_the_last_weights_are_kept(domains, fabric):
    config = tiny("unet")
    trainer = Trainer(
        replace(config, optimiser=replace(config.optimiser, average_decay=0.0)), fabric
    )
    steps(trainer, domains, 2)
    assert same(trainer.average.state_dict(), trainer.method.up.state_dict())


def test_patches_of_both_domains_have_the_shapes_that_the_networks_read(domains):
    draws = draws_of(tiny("cyclegan"), domains)
    high, low = draws["high"](0, 0), draws["low"](0, 0)
    assert high["image"].shape == (1, 64, 64)
    assert high["stack"].shape == (7, 8, 8)
    assert low["stacks"].shape == (3, 7, 8, 8)
    assert low["sigma"] in (pytest.approx(0.18 / 0.025), pytest.approx(0.23 / 0.025))


@pytest.mark.parametrize("scanner", [True, False])
def test_patch_and_its_scan_show_the_same_place(domains, scanner):
    config = tiny("cyclegan", losses={"scanner": scanner}, augmentation={"scan_noise": 0.2})
    draw = draws_of(config, domains)["high"]
    for slot in range(6):
        pair = draw(0, slot)
        averaged = pair["image"][0].reshape(8, SCALE, 8, SCALE).mean((1, 3))
        assert np.corrcoef(averaged.ravel(), pair["stack"][3].ravel())[0, 1] > 0.8


def test_clinical_patches_are_first_drawn_when_they_are_first_learned_from(domains, fabric):
    config = tiny("cyclegan", losses={"alone": 0.5}, epochs=3, steps_per_epoch=3)
    drawn = [sorted(batch) for batch in Trainer(config, fabric).batches(domains, 0)]
    assert drawn == 5 * [["high"]] + 4 * [["high", "low"]]


def test_the_same_slot_of_the_same_step_is_the_same_patch(domains):
    draw = draws_of(tiny("cyclegan"), domains)["low"]
    np.testing.assert_array_equal(draw(3, 1)["stacks"], draw(3, 1)["stacks"])
    assert not np.array_equal(draw(3, 1)["stacks"], draw(4, 1)["stacks"])


def test_paper_patches_lie_on_a_grid_and_an_epoch_sees_each_once():
    config = tiny("cyclegan", "paper", batch={"stride": 16, "patches": 12, "size": 3})
    places = patch_places(config, [(16, 96, 96), (4, 64, 80)], "high")
    coin = np.random.default_rng(0)
    seen = [places(step, slot, coin) for step in range(4) for slot in range(3)]
    corners = {(number, plane, rows.start, columns.start) for number, plane, rows, columns in seen}
    assert len(corners) == 12
    assert all(row % 16 == 0 and column % 16 == 0 for _, _, row, column in corners)


def test_clinical_patches_on_the_high_grid_are_the_spline_through_the_whole_slice():
    plane = np.random.default_rng(0).random((40, 50))
    window = on_high_grid(plane, slice(100, 164), slice(37, 101), SCALE)
    # SciPy's spline through all samples of the slice, the last of which go on beyond it.
    rows, columns = ((np.arange(start, start + 64) + 0.5) / SCALE - 0.5 for start in (100, 37))
    places = np.meshgrid(rows, columns, indexing="ij")
    expected = map_coordinates(plane, places, order=3, mode="nearest")
    np.testing.assert_allclose(window, expected, atol=1e-4)


def test_images_smaller_than_a_patch_are_named_with_their_size(domains):
    config = tiny("cyclegan", batch={"patch": 192})
    with pytest.raises(MicroCTSRError, match=r"low0.*20 x 20.*smaller batch\.patch"):
        large_enough(config, domains)


def test_scanner_blurs_like_scipy_and_area_samples():
    image = np.random.default_rng(0).random((2, 1, 128, 128)).astype(np.float32)
    image = gaussian_filter(image, (0, 0, 2, 2))
    sigmas = (5.0, 9.0)
    ours = scan_in_plane(torch.from_numpy(image), torch.tensor(sigmas), SCALE).numpy()
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


def test_planes_lie_one_in_plane_voxel_apart_whatever_the_slice_spacing(tmp_path):
    # A scan that grows linearly through its slices: 0.1 per mm, slices 0.5 mm apart.
    slices = (0.1 * (np.arange(40) + 0.5) * 0.5).astype(np.float32)
    array = np.broadcast_to(slices[:, None, None], (40, 4, 4))
    imaged = scan(tmp_path / "scan.npy", array, (0.5, 0.2, 0.2), 0.2)
    planes = through_plane(imaged.array, imaged, 10.0, 5)
    np.testing.assert_allclose(planes[:, 0, 0], 0.1 * (10.0 + 0.2 * np.arange(-2, 3)), atol=1e-4)


@pytest.mark.parametrize(("form", "level"), [("log", np.log(2)), ("least-squares", 0.25)])
def test_a_discriminator_in_doubt_has_its_loss_at_chance_level(form, level):
    # In doubt: a probability of one half, which is the score 0 before a sigmoid, or 0.5 itself.
    scores = torch.full((2, 1, 4, 4), 0.0 if form == "log" else 0.5)
    assert adversarial(scores, True, form).item() == pytest.approx(level)
    assert adversarial(scores, False, form).item() == pytest.approx(level)


def test_image_pool_fills_first_and_then_gives_back_old_images():
    pool = ImagePool(2, seed=0)
    made = [torch.full((1, 1, 1, 1), float(n)) for n in range(40)]
    shown = [pool.exchange("low", step, [0], image).item() for step, image in enumerate(made)]
    assert shown[:2] == [0, 1]
    old = [value for step, value in enumerate(shown[2:], start=2) if value != step]
    assert 8 < len(old) < 30  # half of 38, by chance
    assert all(value < step for step, value in enumerate(shown[2:], start=2) if value != step)


def test_draws_do_not_depend_on_who_shares_the_batch():
    cpu = torch.device("cpu")
    together = Chance(0, 5, [0, 1, 2, 3], cpu).normal("noise", (3,))
    apart = Chance(0, 5, [1, 3], cpu).normal("noise", (3,))
    assert torch.equal(together[[1, 3]], apart)


def test_masks_keep_as_many_channels_as_the_rate_says():
    generator = CompactGenerator(width=64, blocks=2, dropout_blocks=1, dropout_rate=0.25)
    masks = Chance(0, 0, range(50), torch.device("cpu")).masks("pass", generator, (8, 8))
    (mask,) = masks
    assert mask.shape == (50, 64)
    assert (mask > 0).float().mean().item() == pytest.approx(0.75, abs=0.03)
    assert mask.max().item() == pytest.approx(1 / 0.75)


def test_learning_rate_schedules():
    assert [schedule("linear", done) for done in (0, 0.5, 0.75, 1)] == [1, 1, 0.5, 0]
    assert schedule("cosine", 0.0) == 1
    assert schedule("cosine", 1.0) == pytest.approx(0.02)
    assert schedule("constant", 0.9) == 1


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
    stack = torch.rand(1, 7, 12, 12)
    cubic = torch.nn.functional.interpolate(
        stack[:, 3:4], scale_factor=8, mode="bicubic", align_corners=False
    )
    generator = CompactGenerator().eval()
    assert (generator(stack) - cubic).abs().max() < 0.05
