"""The whole pipeline: where results lie, what they do not depend on, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from microctsr_core import (
    Cancelled,
    GeometryError,
    MicroCTSRError,
    Model,
    ReadError,
    ResourceError,
    Result,
    Volume,
    inference,
    superresolve,
)
from microctsr_core.masks import channel_masks
from microctsr_core.reconstruction import matched_to_input
from microctsr_core.volume import Box
from toy_models import make_model

HU_RANGE = 4000
BOX: Box = ((2, 4), (22, 36), (14, 34))


@pytest.fixture(scope="module")
def model() -> Model:
    return make_model(dropout_blocks=2)


@pytest.fixture(scope="module")
def ct() -> Volume:
    """Smooth structure and noise, in HU; 8 slices, thicker than wide."""
    rng = np.random.default_rng(0)
    array = 1500 * ndimage.gaussian_filter(rng.normal(size=(8, 40, 36)), (1, 3, 3)) * 10
    array += rng.normal(0, 60, array.shape)
    return Volume(array.astype(np.int16), (0.6, 0.3, 0.3), metadata={"modality": "CT"})


def run(ct: Volume, model: Model, **settings: Any) -> Result:
    return superresolve(ct, model, **{"samples": 3, "device": "cpu", **settings})


# The numbers are those of the network, computed directly.


def expected_passes(ct: Volume, model: Model, plane_mm: float, passes: int) -> np.ndarray:
    """The network on the whole slice, every pass from scratch: HU, (pass, j, i)."""
    offsets = (plane_mm + 0.3 * np.arange(-2, 3)) / 0.6
    k, j, i = np.meshgrid(offsets, np.arange(40), np.arange(36), indexing="ij")
    planes = ndimage.map_coordinates(ct.array.astype(float), (k, j, i), order=3, mode="nearest")
    x = torch.from_numpy(((planes[None] + 1000) / 4000).astype(np.float32))
    results = []
    for number in range(passes):
        masks = [torch.from_numpy(mask) for mask in channel_masks(model.network, 5, number)]
        plane = model.network(x, masks)[0, 0]
        results.append(plane.double().numpy() * 4000 - 1000)
    return np.stack(results)


def test_a_slice_is_the_networks_on_that_slice_and_its_neighbours(ct: Volume, model: Model) -> None:
    result = run(ct, model, seed=5, box=((3, 4), (0, 40), (0, 36)), tile=32)
    passes = expected_passes(ct, model, plane_mm=3 * 0.6, passes=3)
    assert np.abs(result.mean.array[0] - passes.mean(axis=0)).max() < 1e-5 * HU_RANGE
    assert np.abs(result.uncertainty.array[0] - passes.std(axis=0)).max() < 1e-5 * HU_RANGE
    assert passes.std(axis=0).max() > 0.01 * HU_RANGE


def test_isotropic_slices_lie_at_the_centres_of_fine_voxels(ct: Volume, model: Model) -> None:
    result = run(ct, model, seed=5, box=((0, 1), (0, 40), (0, 36)), scale_mode="isotropic")
    assert result.mean.shape == (16, 320, 288)
    # The first of 16 fine slices of the scan's first slice, whose centre is at 0 mm.
    passes = expected_passes(ct, model, plane_mm=-0.3 + 0.6 / 32, passes=3)
    assert np.abs(result.mean.array[0] - passes.mean(axis=0)).max() < 1e-5 * HU_RANGE


def test_a_network_on_the_high_grid_gets_the_slice_cubically_interpolated(ct: Volume) -> None:
    model = make_model("resnet", dropout_rate=0.2)
    result = run(ct, model, seed=5, box=((3, 4), (0, 40), (0, 36)), samples=2, tile=160)
    fine = ndimage.zoom(ct.array[3].astype(float), 8, order=3, mode="nearest", grid_mode=True)
    x = torch.from_numpy(((fine[None, None] + 1000) / 4000).astype(np.float32))
    passes = []
    for number in range(2):
        masks = [torch.from_numpy(mask) for mask in channel_masks(model.network, 5, number)]
        plane = model.network(x, masks)[0, 0]
        passes.append(plane.double().numpy() * 4000 - 1000)
    assert np.abs(result.mean.array[0] - np.mean(passes, axis=0)).max() < 1e-4 * HU_RANGE


# What results do not depend on.


def difference(a: Result, b: Result) -> float:
    """Greatest difference of mean and uncertainty, as a share of the HU range."""
    pairs = ((a.mean, b.mean), (a.uncertainty, b.uncertainty))
    return max(float(np.abs(x.array - y.array).max()) for x, y in pairs) / HU_RANGE


@pytest.mark.parametrize("samples", [3, "auto"])
def test_tile_size_does_not_matter(ct: Volume, model: Model, samples: int | str) -> None:
    box = ((3, 4), (5, 40), (0, 36))
    results = [run(ct, model, box=box, samples=samples, tile=tile) for tile in (32, 40, None)]
    assert max(difference(results[0], other) for other in results[1:]) < 1e-6
    assert len({result.report["passes_mean"] for result in results}) == 1


def test_the_order_of_the_tiles_does_not_matter_bit_for_bit(
    ct: Volume, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    forwards = run(ct, model, tile=32, box=BOX)
    in_order = inference.cover
    monkeypatch.setattr(inference, "cover", lambda *a: list(reversed(in_order(*a))))
    backwards = run(ct, model, tile=32, box=BOX)
    assert difference(forwards, backwards) == 0


def test_the_box_does_not_matter(ct: Volume, model: Model) -> None:
    large = run(ct, model, box=((1, 5), (0, 40), (0, 36)))
    small = run(ct, model, box=BOX)
    part = (slice(1, 3), slice(8 * 22, 8 * 36), slice(8 * 14, 8 * 34))
    assert np.abs(large.mean.array[part] - small.mean.array).max() < 1e-6 * HU_RANGE
    assert np.abs(large.uncertainty.array[part] - small.uncertainty.array).max() < 1e-6 * HU_RANGE


def test_a_strided_network_does_not_see_where_the_box_begins(ct: Volume) -> None:
    model = make_model("resnet")
    large = run(ct, model, box=((3, 4), (20, 30), (20, 32)))
    small = run(ct, model, box=((3, 4), (23, 28), (21, 30)))
    part = large.mean.array[:, 8 * 3 : 8 * 8, 8 * 1 : 8 * 10]
    assert np.abs(part - small.mean.array).max() < 1e-5 * HU_RANGE


def test_same_seed_same_bits_and_another_seed_another_sample(ct: Volume, model: Model) -> None:
    first, again, other = (run(ct, model, box=BOX, seed=seed) for seed in (1, 1, 2))
    assert difference(first, again) == 0
    assert difference(first, other) > 1e-3


def test_statistics_for_scaling_are_those_of_the_whole_scan(ct: Volume) -> None:
    network = make_model()
    card = {**network.card, "intensity": {"kind": "zscore_unit"}}
    model = Model(network.network, card)
    large = run(ct, model, box=((3, 4), (20, 32), (20, 32)))
    small = run(ct, model, box=((3, 4), (24, 29), (24, 29)))
    part = large.mean.array[:, 32:72, 32:72]
    assert np.abs(part - small.mean.array).max() < 1e-5 * HU_RANGE


def test_the_scan_and_the_model_are_left_as_they_were(ct: Volume, model: Model) -> None:
    before = ct.array.copy()
    weights = {name: value.clone() for name, value in model.network.state_dict().items()}
    run(ct, model, box=BOX)
    np.testing.assert_array_equal(ct.array, before)
    assert all(torch.equal(weights[n], v) for n, v in model.network.state_dict().items())


# Where results lie, and what they say about themselves.


@pytest.mark.parametrize(("scale_mode", "slices"), [("in-plane", 1), ("isotropic", None)])
def test_the_result_has_the_outer_corners_of_an_oblique_box(
    oblique_volume: Callable[..., Volume],
    model: Model,
    scale_mode: str,
    slices: int | None,
) -> None:
    ct = oblique_volume(7, (5, 9, 11))
    box = ((1, 3), (2, 6), (4, 9))
    result = run(ct, model, box=box, samples=2, scale_mode=scale_mode)
    crop = ct.crop(box)
    for volume in (result.mean, result.uncertainty, result.consistency):
        assert np.abs(volume.corners_lps() - crop.corners_lps()).max() < 1e-6
        assert volume.array.dtype == np.float32
        assert np.isfinite(volume.array).all()
    assert result.mean.shape[1:] == (32, 40)
    assert result.mean.same_grid(result.uncertainty)
    assert result.consistency.same_grid(crop)
    if slices is not None:
        assert result.mean.shape[0] == 2 * slices


def test_outputs_carry_what_they_are_and_nothing_of_the_patient(model: Model) -> None:
    array = np.random.default_rng(0).normal(500, 500, (4, 12, 12))
    ct = Volume(array, (0.6, 0.3, 0.3), metadata={"modality": "CT", "patient": "Doe"})
    result = run(ct, model)
    for volume in (result.mean, result.uncertainty, result.consistency):
        assert volume.metadata["notice"] == "synthetic, not for diagnosis"
        assert volume.metadata["model"] == "toy 1.0.0"
        assert volume.metadata["model_sha256"] == model.sha256
        assert json.loads(volume.metadata["settings"])["samples"] == 3
        assert "Doe" not in str(dict(volume.metadata))


def test_the_report_holds_the_promised_keys_as_plain_json(ct: Volume, model: Model) -> None:
    result = run(ct, model, box=BOX, samples="auto")
    report = json.loads(json.dumps(result.report))
    stages = {key: value for key, value in report["seconds"].items() if key != "total"}
    assert sum(stages.values()) == pytest.approx(report["seconds"]["total"], abs=0.1)
    assert 10 <= report["passes_mean"] <= 100
    assert report["device"] == "cpu"
    assert report["peak_memory_bytes"] > 1e7
    facts = {"name": "toy", "version": "1.0.0", "sha256": model.sha256, "uncertainty_scale": 1}
    assert report["model"] == facts
    assert isinstance(report["warnings"], list)
    rms = np.sqrt(np.mean(result.consistency.array.astype(float) ** 2))
    assert report["consistency_rms_hu"] == pytest.approx(rms)
    assert report["settings"]["box"] == [list(ends) for ends in BOX]


# Progress and cancelling.


def test_progress_rises_from_slice_to_slice_up_to_1(ct: Volume, model: Model) -> None:
    told: list[tuple[float, str]] = []
    run(ct, model, box=BOX, tile=32, samples="auto", progress=lambda *a: told.append(a))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] < 0.2
    assert fractions[-1] == 1
    assert {"Slice 1 of 2", "Slice 2 of 2"} <= {message for _, message in told}


def test_cancelling_ends_the_run_within_one_pass(ct: Volume, model: Model) -> None:
    asked: list[int] = []

    def cancel() -> bool:
        asked.append(1)
        return len(asked) >= 4

    with pytest.raises(Cancelled, match="nothing was written"):
        run(ct, model, box=BOX, samples=50, cancel=cancel)
    assert len(asked) == 4


# The paper preset.


def test_the_paper_preset_averages_matched_patches_and_filters(ct: Volume) -> None:
    model = make_model("resnet", norm="instance")
    box = ((3, 4), (4, 36), (0, 36))  # 256 x 288 on the high grid: two patches
    result = run(ct, model, box=box, samples=2, seed=5, preset="paper")
    fine = ndimage.zoom(ct.array[3].astype(float), 8, order=3, mode="nearest", grid_mode=True)
    fine = ((fine[32:288] + 1000) / 4000).astype(np.float32)
    total, weight = np.zeros((256, 288)), np.zeros((256, 288))
    for start in (0, 32):
        patch = fine[:, start : start + 256]
        passes = []
        for number in range(2):
            masks = [torch.from_numpy(mask) for mask in channel_masks(model.network, 5, number)]
            passes.append(model.network(torch.from_numpy(patch)[None, None], masks)[0, 0].numpy())
        total[:, start : start + 256] += matched_to_input(np.mean(passes, axis=0), patch)
        weight[:, start : start + 256] += 1
    expected = ndimage.median_filter(total / weight, 3, mode="nearest") * 4000 - 1000
    # Matching is by rank: where two pixels are nearly equal, rounding may swap them.
    assert np.abs(result.mean.array[0] - expected).mean() < 1e-3 * HU_RANGE
    assert result.report["passes_mean"] == 2


def test_the_paper_preset_works_on_a_box_smaller_than_a_patch(ct: Volume) -> None:
    model = make_model("resnet", dropout="element", norm="instance")
    first, again, other = (
        run(ct, model, box=((2, 3), (0, 10), (26, 36)), samples=2, preset="paper", seed=seed)
        for seed in (0, 0, 1)
    )
    assert first.mean.shape == (1, 80, 80)
    assert difference(first, again) == 0
    assert difference(first, other) > 0
    assert first.uncertainty.array.max() > 0


def test_the_paper_preset_takes_100_passes_by_itself(ct: Volume) -> None:
    model = make_model("resnet", filters=1, blocks=1)
    result = run(ct, model, box=((2, 3), (0, 2), (0, 2)), samples="auto", preset="paper")
    assert result.report["passes_mean"] == 100


def test_the_paper_preset_refuses_a_network_of_the_low_grid(ct: Volume, model: Model) -> None:
    with pytest.raises(MicroCTSRError, match="such as resnet; the model 'toy' is not one"):
        run(ct, model, preset="paper")


# Small, odd and bad input.


@pytest.mark.parametrize("shape", [(2, 3, 4), (3, 1 + 1, 30)])
def test_a_scan_smaller_than_a_tile_works(model: Model, shape: tuple[int, int, int]) -> None:
    values = np.random.default_rng(0).normal(500, 500, shape)
    result = run(Volume(values, (0.3, 0.3, 0.3)), model, samples=2)
    assert result.mean.shape == (shape[0], 8 * shape[1], 8 * shape[2])
    assert np.isfinite(result.mean.array).all()


def test_a_box_of_one_voxel_works(ct: Volume, model: Model) -> None:
    assert run(ct, model, box=((7, 8), (39, 40), (0, 1))).mean.shape == (1, 8, 8)


def test_a_network_without_dropout_has_no_uncertainty_and_says_so(ct: Volume) -> None:
    result = run(ct, make_model("resnet", dropout="none"), box=((3, 4), (0, 8), (0, 8)), samples=9)
    assert result.uncertainty.array.max() == 0
    assert result.report["passes_mean"] == 1
    assert any("no dropout" in warning for warning in result.report["warnings"])


NOISE = np.random.default_rng(0).normal(0, 300, (4, 8, 8))


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.full((4, 8, 8), 7.0), "same value"),
        (NOISE[:1], "single slice"),
        ((NOISE > 0).astype(np.int16), "segmentation"),
        (np.concatenate([NOISE, NOISE[:1] + np.inf]), "not numbers"),
        (np.concatenate([NOISE, NOISE[:1] * np.nan]), "not numbers"),
    ],
)
def test_what_is_no_image_is_refused_in_one_sentence(
    model: Model, array: np.ndarray, said: str
) -> None:
    with pytest.raises(ReadError, match=said):
        run(Volume(array), model)


@pytest.mark.parametrize("box", [((0, 9), (0, 8), (0, 8)), ((2, 2), (0, 8), (0, 8)), (1, 2, 3)])
def test_a_box_outside_the_scan_is_refused(ct: Volume, model: Model, box: Any) -> None:
    with pytest.raises(GeometryError, match="box"):
        run(ct, model, box=box)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"samples": 0}, "'auto' or a whole number of passes from 1, not 0"),
        ({"samples": "many"}, "not 'many'"),
        ({"seed": -1}, "seed is a whole number from 0, not -1"),
        ({"tile": 0}, "tile is a whole number of pixels, not 0"),
        ({"tolerance": 0}, "tolerance is a number above 0"),
        ({"scale_mode": "through-plane"}, "choices in-plane, isotropic"),
        ({"preset": "fast"}, "choices default, paper"),
        ({"device": "tpu"}, "no device 'tpu'"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(
    ct: Volume, model: Model, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(MicroCTSRError, match=said):
        run(ct, model, **settings)


def test_a_result_larger_than_memory_is_refused_before_the_run(
    ct: Volume, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Memory:
        available = 10_000_000

    monkeypatch.setattr("psutil.virtual_memory", lambda: Memory)
    with pytest.raises(ResourceError, match=r"but only 10\.0 MB are free; the box .* would fit"):
        run(ct, model)
