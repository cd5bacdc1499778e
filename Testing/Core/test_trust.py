"""Consistency with the input, the card check, and needs told before a run."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import ndimage

from microctsr_core import GeometryError, ResourceError, Volume, memory, superresolve
from microctsr_core.memory import free_memory_bytes, peak_memory_bytes
from microctsr_core.resources import check_disk, check_memory, estimate, resolve_device
from microctsr_core.trust import bring_back, check_card, consistency, scanner_at
from microctsr_core.volume import parse_box
from toy_models import make_card, make_model

SCANNER = {"psf_sigma_mm": 0.2, "noise_sd_hu": 50.0}


def scan(
    shape: tuple[int, int, int] = (6, 20, 20),
    spacing: tuple[float, float, float] = (0.3, 0.3, 0.3),
    low: float = -1000,
    high: float = 2000,
    **metadata: str,
) -> Volume:
    values = np.random.default_rng(0).uniform(low, high, shape)
    return Volume(values.astype(np.float32), spacing, metadata=metadata)


# Consistency


def test_bringing_back_is_a_gaussian_then_the_mean_over_each_voxel() -> None:
    fine = np.random.default_rng(0).normal(size=(6, 24, 40))
    blurred = ndimage.gaussian_filter(fine, (1.1, 2.5, 2.5), mode="nearest")
    expected = blurred.reshape(2, 3, 3, 8, 5, 8).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(bring_back(fine, (3, 8, 8), [1.1, 2.5, 2.5]), expected, atol=1e-5)


@pytest.mark.parametrize("factors", [(1, 8, 8), (4, 8, 8)])
def test_a_scan_made_by_the_scanner_model_is_consistent_with_its_truth(
    factors: tuple[int, int, int],
) -> None:
    low = scan((5, 10, 12), (0.6, 0.3, 0.3))
    fine_shape = tuple(n * f for n, f in zip(low.shape, factors, strict=True))
    truth = np.random.default_rng(1).uniform(-1000, 2000, fine_shape)
    sigmas = [0.2 / (step / f) for step, f in zip(low.spacing, factors, strict=True)]
    blurred = ndimage.gaussian_filter(truth, sigmas, mode="nearest")
    k, j, i = low.shape
    imaged = blurred.reshape(k, factors[0], j, 8, i, 8).mean(axis=(1, 3, 5))
    difference = consistency(low.on_refined_grid(truth, factors), low.with_array(imaged), SCANNER)
    assert np.abs(difference.array).max() < 1e-2


def test_a_lesion_invented_by_the_result_shows_in_hu_where_it_is() -> None:
    low = scan((5, 10, 10)).with_array(np.zeros((5, 10, 10)))
    fine = np.zeros((5, 80, 80), np.float32)
    fine[2, 40:48, 40:48] = 1000
    difference = consistency(low.on_refined_grid(fine, (1, 8, 8)), low, SCANNER)
    assert np.unravel_index(difference.array.argmax(), low.shape) == (2, 5, 5)
    # All of it is there, spread by the point spread: 1000 HU times one voxel.
    assert difference.array.sum() == pytest.approx(1000, rel=1e-3)
    assert difference.array.dtype == np.float32


def test_consistency_lies_on_the_grid_of_an_oblique_scan(
    oblique_volume: Callable[..., Volume],
) -> None:
    low = oblique_volume(3)
    fine = low.on_refined_grid(np.zeros([n * 2 for n in low.shape]), (2, 2, 2))
    difference = consistency(fine, low, SCANNER)
    assert difference.same_grid(low)
    np.testing.assert_allclose(difference.array, -low.array.astype(float))


def test_consistency_with_another_part_of_the_scan_is_refused() -> None:
    low = scan((6, 20, 20))
    fine = low.crop(((0, 3), (0, 10), (0, 10))).on_refined_grid(np.zeros((3, 80, 80)), (1, 8, 8))
    with pytest.raises(GeometryError, match="the part of the scan it was made from"):
        consistency(fine, low.crop(((3, 6), (0, 10), (0, 10))), SCANNER)
    with pytest.raises(GeometryError, match="does not divide"):
        consistency(fine, low.crop(((0, 3), (0, 11), (0, 10))), SCANNER)


def test_the_point_spread_follows_the_voxel_size_where_the_card_gives_two() -> None:
    card = make_card(scanner={"psf_sigma_mm": [0.18, 0.22], "noise_sd_hu": 50})
    assert scanner_at(card, (0.7, 0.25, 0.25))["psf_sigma_mm"] == pytest.approx(0.2)
    assert scanner_at(card, (0.7, 0.6, 0.6))["psf_sigma_mm"] == pytest.approx(0.22)
    assert scanner_at(make_card(), (0.7, 0.6, 0.6)) == SCANNER


# Card check


def test_a_scan_like_those_of_the_training_raises_no_warning() -> None:
    assert check_card(scan(modality="CT"), make_card()) == []


@pytest.mark.parametrize(
    ("volume", "said"),
    [
        (scan(spacing=(0.6, 0.6, 0.6)), "Voxels of 0.6 mm .* outside the 0.15 to 0.35 mm"),
        (scan(spacing=(0.1, 0.1, 0.1)), "Voxels of 0.1 mm"),
        (scan(spacing=(0.3, 0.3, 0.2)), "not square in the plane"),
        (scan(spacing=(1.2, 0.3, 0.3)), "1.2 mm apart, 4.0 times the voxel size"),
        (scan(high=9000), "lie outside the -1000 to 3000 HU"),
        (scan(low=0, high=255), "do not look like Hounsfield units"),
        (scan(low=0, high=4000), "do not look like Hounsfield units"),
        (scan(modality="MR"), "modality is MR"),
    ],
)
def test_what_lies_outside_the_card_is_said_in_one_sentence(volume: Volume, said: str) -> None:
    warnings = check_card(volume, make_card())
    assert len(warnings) == 1
    assert re.search(said, warnings[0])
    assert warnings[0].endswith(".")


def test_a_network_that_looks_at_tile_statistics_says_so() -> None:
    assert any(
        "own statistics" in w
        for w in check_card(scan(), make_model("resnet", norm="instance").card)
    )
    without = make_model("resnet", dropout="none").card
    assert any("no dropout" in w for w in check_card(scan(), without))


def test_a_model_with_statistics_of_its_own_is_not_asked_for_hounsfield_units() -> None:
    card = make_card(intensity={"kind": "zscore_unit"})
    assert check_card(scan(low=0, high=255), card) == []


# Needs


def test_the_estimate_counts_the_fine_volumes_and_does_not_know_of_passes() -> None:
    ct, model = scan((40, 200, 200)), make_model()
    small = estimate(ct, model, ((0, 2), (0, 200), (0, 200)))
    large = estimate(ct, model)
    fine_voxels = 38 * 1600 * 1600
    assert large.memory - small.memory >= 3 * 4 * fine_voxels
    assert large.disk - small.disk == pytest.approx(2 * 4 * fine_voxels, rel=0.02)
    isotropic = estimate(ct, model, scale_mode="isotropic")
    assert isotropic.disk == pytest.approx(8 * large.disk, rel=0.02)


def test_a_result_larger_than_memory_names_a_box_that_fits() -> None:
    ct, model, available = scan((40, 200, 200)), make_model(), 300_000_000
    with pytest.raises(ResourceError, match=r"about 1\.\d GB of memory.* 0\.3 GB") as error:
        check_memory(ct, model, available_bytes=available)
    box = parse_box(str(error.value).split("the box ")[1].split(" would fit")[0])
    needs = check_memory(ct, model, box, available_bytes=available)
    assert 0.8 * available < needs.memory <= available
    middle = [(first + last) / 2 for first, last in box]
    np.testing.assert_allclose(middle, [20, 100, 100], atol=0.51)


def test_a_full_disk_is_told_before_the_run(tmp_path: Path) -> None:
    ct, model = scan(), make_model()
    folder = tmp_path / "not" / "there yet"
    assert check_disk(ct, model, folder) == estimate(ct, model)
    with pytest.raises(
        ResourceError, match=r"of disk, but only .* are free in .*there yet; the box"
    ):
        check_disk(ct, model, folder, available_bytes=500_000)


@pytest.mark.parametrize(("limit", "free"), [("50000000", 32_000_000), ("max", None)])
def test_a_container_has_what_its_limit_leaves(
    limit: str, free: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in {
        "memory.max": limit,
        "memory.current": "20000000",
        "memory.stat": "anon 17000000\ninactive_file 2000000",
    }.items():
        (tmp_path / name).write_text(text)
    group = (tmp_path, "memory.max", "memory.current", "inactive_file")
    monkeypatch.setattr(memory, "_CONTAINER_MEMORY", (group,))
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=10**12))
    assert free_memory_bytes() == (free or 10**12)


def test_where_no_box_fits_none_is_named() -> None:
    with pytest.raises(ResourceError, match="too little for any box"):
        check_memory(scan(), make_model(), available_bytes=1000)


def test_the_estimate_is_not_below_the_memory_really_taken() -> None:
    """Traced without the network's own working memory, which tracemalloc cannot see."""
    ct, model = scan((2, 24, 24)), make_model()
    tracemalloc.start()
    superresolve(ct, model, samples=1, device="cpu")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < estimate(ct, model).memory


def test_peak_memory_is_that_of_the_process() -> None:
    before = peak_memory_bytes()
    block = np.ones(30_000_000)
    assert peak_memory_bytes() >= before
    assert peak_memory_bytes() > block.nbytes
    assert before < 64e9


def test_auto_takes_cuda_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for there in (False, True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert resolve_device("auto").type == ("cuda" if there else "cpu")


def test_cuda_without_cuda_is_one_clear_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ResourceError, match=r"'cuda' was asked for, .* choose auto or cpu"):
        resolve_device("cuda")
    with pytest.raises(ResourceError, match=r"no device 'tpu'; choose auto, cpu or cuda"):
        resolve_device("tpu")
