"""The benchmark: that it compares the same work, and that its answer has what others read."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from command_line import command_environment, run
from microctsr_core import MicroCTSRError, load_model
from microctsr_core.benchmark import (
    PlainResNet,
    growth,
    lines_of,
    measure,
    measuring,
    others,
    plain_slice,
    subjects,
    timing,
)
from microctsr_core.benchmark.memory import memory_growth, watched_memory
from microctsr_core.benchmark.stages import Stages
from microctsr_core.inference import Settings, infer
from microctsr_core.masks import channel_masks
from microctsr_core.memory import peak_memory_bytes, resident_memory_bytes
from microctsr_core.networks import build
from microctsr_core.networks.resnet import ResNetGenerator

CPU = torch.device("cpu")
SMALL = {"filters": 4, "blocks": 3}


@pytest.fixture(autouse=True)
def _small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = subjects.paper_model
    monkeypatch.setattr(measuring, "paper_model", lambda **more: whole(**SMALL, **more))


@pytest.fixture(scope="module")
def answer() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        whole = subjects.paper_model
        patch.setattr(measuring, "paper_model", lambda **more: whole(**SMALL, **more))
        patch.setattr(timing, "_GEMM_EDGE", 512)
        patch.setattr(growth, "_PASSES", (1, 2))
        patch.setattr(growth, "_SLICES", (1, 2))
        return measure(edge=256, passes=4, device="cpu", memory=False)


def test_the_answer_has_the_figures_that_other_programs_read(answer: dict[str, Any]) -> None:
    for name in ("exact", "adaptive", "default"):
        assert answer[name]["ratio"] > 0
    assert 0 < answer["gemm_fraction"] < 10
    assert json.loads(json.dumps(answer))["exact"]["ratio"] == answer["exact"]["ratio"]


def test_ours_is_compared_with_the_same_passes_and_auto_with_a_hundred(
    answer: dict[str, Any],
) -> None:
    assert answer["exact"]["passes"] == {"plain": 4, "ours": 4}
    for name in ("adaptive", "default"):
        assert answer[name]["passes"]["plain"] == 100
        assert 10 <= answer[name]["passes"]["ours"] <= 100


def test_ours_gives_what_the_network_gives_on_the_whole_slice(answer: dict[str, Any]) -> None:
    assert answer["exact"]["mean_error_of_range"] < 1e-4
    assert answer["exact"]["variance_error_of_range"] < 1e-4


def test_growth_is_told_by_passes_slices_and_cores(answer: dict[str, Any]) -> None:
    by = answer["growth"]
    assert list(by["passes"]) == list(by["slices"]) == ["1", "2"]
    assert list(by["cores"])[-1] == str(torch.get_num_threads())
    assert "1" in by["cores"]


def test_operations_are_those_of_the_convolutions_that_masks_leave() -> None:
    model = subjects.paper_model(filters=4, blocks=2)
    kept = [[int((mask > 0).sum()) for mask in channel_masks(model.network, 0, n)] for n in (0, 1)]
    # Multiplications a pixel: the way down, and the first half of the first block, once.
    once = 49 * 4 + 9 * 4 * 8 / 4 + 9 * 8 * 16 / 16 + 9 * 16 * 16 / 16
    last = 9 * 16 * 8 / 16 + 9 * 8 * 4 / 4 + 49 * 4
    each = sum(9 * 16 * first / 16 + 2 * 9 * 16 * second / 16 + last for first, second in kept)
    expected = 2 * (once + each) * 1000
    assert timing.convolution_operations(model, 1000, 2) == pytest.approx(expected)


def test_the_memory_that_each_way_held_is_told(answer: dict[str, Any]) -> None:
    for name in ("exact", "adaptive", "default", "plain"):
        assert 50e6 < answer[name]["peak_memory_bytes"] <= peak_memory_bytes()


def test_memory_is_watched_while_a_block_runs() -> None:
    with watched_memory(CPU) as peak:
        block = np.ones(30_000_000)
        time.sleep(0.1)
    before = resident_memory_bytes() - block.nbytes
    del block
    assert peak.bytes > before + 200e6


def test_the_papers_network_runs_on_the_whole_slice_and_others_in_their_own_tiles() -> None:
    scan = subjects.slab_of(48)
    assert timing.whole_tile(scan, subjects.paper_model(**SMALL)) == 8 * 48
    assert timing.whole_tile(scan, load_model()) is None


def test_sentences_tell_the_errors_and_the_rate(answer: dict[str, Any]) -> None:
    told = " ".join(lines_of(answer))
    assert "of the range" in told
    assert "rate of matrix products" in told
    assert "seconds by slices" in told


def test_the_figure_is_drawn_from_the_answers_of_several_slices(
    answer: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "speed.json").write_text(json.dumps([answer, answer]))
    script = Path(__file__).resolve().parents[1] / "Benchmarks/speed.py"
    command = [sys.executable, script, "--drawn", "--json", tmp_path / "speed.json"]
    command += ["--picture", tmp_path / "new/speed.png"]
    subprocess.run(command, env=command_environment(), check=True)
    assert (tmp_path / "new/speed.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_stages_are_told_as_parts_of_the_whole() -> None:
    told: list[tuple[float, str]] = []
    stages = Stages({"first": 1, "second": 3}, lambda *each: told.append(each))
    stages.begin("first")
    stages.begin("second")(0.5, "words of its own")
    stages.end()
    assert told == [(0, "first"), (0.25, "second"), (0.625, "second"), (1, "Done")]


def test_the_plain_network_without_dropout_is_ours() -> None:
    torch.manual_seed(0)
    network: Any = build("resnet", filters=4, blocks=2, norm="none", dropout_rate=0.5)
    x = torch.rand(1, 1, 64, 64)
    plain = PlainResNet(network).eval()
    torch.testing.assert_close(plain(x), network(x))


@pytest.mark.parametrize(("dropout", "whole"), [("channel", True), ("element", False)])
def test_the_plain_network_drops_at_its_rate_when_it_trains(dropout: str, whole: bool) -> None:
    network = ResNetGenerator(filters=16, blocks=2, norm="none", dropout=dropout, dropout_rate=0.3)
    plain = PlainResNet(network).train()
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    for block in plain.model[10:12]:
        block.conv_block[4].register_forward_hook(
            lambda _layer, inputs, output: seen.append((inputs[0].flatten(2), output.flatten(2)))
        )
    x = torch.rand(8, 1, 64, 64)
    with torch.no_grad():
        assert not torch.equal(plain(x), plain(x))
    before, after = (torch.cat(each) for each in zip(*seen, strict=True))
    alive = before > 0  # what is zero by itself tells nothing
    kept = alive & (after > 0)
    torch.testing.assert_close(after[kept], before[kept] / 0.7)
    assert kept.sum().item() / alive.sum().item() == pytest.approx(0.7, abs=0.05)
    of_channel = kept.sum(dim=2)
    all_or_none = (of_channel == 0) | (of_channel == alive.sum(dim=2))
    assert bool(all_or_none.all()) == whole


def test_the_plain_pipeline_is_the_papers_preset_given_the_same_masks() -> None:
    model, passes = subjects.paper_model(**SMALL), 3
    plan = timing.plan_of(subjects.slab_of(48), model, Settings(preset="paper"))
    settings = Settings(samples=passes, preset="paper")
    (ours,) = infer(plan, model, settings, CPU)
    network: Any = model.network
    plain = with_masks(PlainResNet(network), [channel_masks(network, 0, n) for n in range(passes)])
    mean, variance = plain_slice(plain, plan.stacks.stack(0)[0], passes, CPU)
    uncertainty = np.sqrt(variance) * plan.intensity.span
    assert np.ptp(ours.uncertainty) > 10  # HU
    # Matching histograms goes by rank, which rounding can change from one pixel to the next.
    np.testing.assert_allclose(plan.intensity.inverse(mean), ours.mean, atol=4)
    np.testing.assert_allclose(uncertainty, ours.uncertainty, atol=0.05)


def with_masks(plain: PlainResNet, drawn: list[list[np.ndarray]]) -> PlainResNet:
    """Drop what the masks say, pass by pass, instead of what chance does."""
    sites = [layer for layer in plain.modules() if isinstance(layer, torch.nn.Dropout2d)]
    for site, masks in zip(sites, zip(*drawn, strict=True), strict=True):
        upcoming = itertools.cycle(masks)
        site.register_forward_hook(
            lambda _layer, inputs, _output, upcoming=upcoming: (
                inputs[0] * torch.from_numpy(next(upcoming)).reshape(1, -1, 1, 1)
            )
        )
    return plain


def test_torch_uncertaintys_wrapper_is_asked_for_passes_of_a_plain_regression(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a stand-in: the package itself needs torchvision, which not every PyTorch has."""

    def mc_dropout(
        core_model: torch.nn.Module,
        num_estimators: int,
        last_layer: bool = False,
        on_batch: bool = True,
        task: str = "classification",
        probabilistic: bool | None = None,
    ) -> torch.nn.Module:
        assert (last_layer, on_batch, task, probabilistic) == (
            False,
            False,
            "pixel_regression",
            False,
        )

        class Wrapper(torch.nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return torch.cat([core_model(x) + n for n in range(num_estimators)])

        return Wrapper()

    methods = SimpleNamespace(mc_dropout=mc_dropout)
    monkeypatch.setitem(sys.modules, "torch_uncertainty", SimpleNamespace(methods=methods))
    monkeypatch.setitem(sys.modules, "torch_uncertainty.methods", methods)
    x = torch.rand(3, 1, 8, 8)
    mean, variance = others.passes_by_wrapper(torch.nn.Identity())(x)
    torch.testing.assert_close(mean, x + 0.5)  # passes that differ by 1
    torch.testing.assert_close(variance, torch.full_like(x, 0.25))


def test_memory_is_measured_in_processes_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    module = "microctsr_core.benchmark.memory."
    monkeypatch.setattr(module + "PASSES", (1, 2))
    monkeypatch.setattr(module + "SLICES", (2, 3))
    monkeypatch.setattr(module + "_EDGE", 16)
    monkeypatch.setattr(module + "_RUNS", 1)
    growth = memory_growth(CPU)
    assert abs(growth["growth_passes"]) < 0.5
    assert abs(growth["growth_slices"]) < 0.5
    assert min(growth["peak_bytes"]["slices"].values()) > 50e6


@pytest.mark.parametrize(("edge", "passes"), [(128, 4), (260, 4), (256, 1)])
def test_a_slice_or_passes_that_make_no_sense_are_told(edge: int, passes: int) -> None:
    with pytest.raises(MicroCTSRError, match=f"not {edge} and {passes}"):
        measure(edge, passes)


def test_the_command_writes_json_and_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]
) -> None:
    monkeypatch.setattr("microctsr_core.benchmark.measure", lambda *_: answer)
    result = run("benchmark", "--json", tmp_path / "speed.json")
    assert result.exit_code == 0
    assert "faster" in result.stdout
    assert json.loads((tmp_path / "speed.json").read_text())["default"] == answer["default"]
    again = run("benchmark", "--json", tmp_path / "speed.json")
    assert again.exit_code == 1
    assert "exists" in again.stderr
