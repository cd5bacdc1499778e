"""Frozen instance normalisation: the same numbers as before, and tiles that agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.nn import functional

from command_line import assert_one_line_error, run
from microctsr_core import (
    Cancelled,
    GeometryError,
    MicroCTSRError,
    Model,
    ModelError,
    ResourceError,
    Volume,
    load_model,
    superresolve,
    write_volume,
)
from microctsr_core.importing import UNCALIBRATED
from microctsr_core.normalisation import calibrate
from microctsr_core.trust import check_card
from toy_models import make_card, make_model, make_network


@pytest.fixture(scope="module")
def ct() -> Volume:
    """Smooth structure, brighter to one side."""
    rng = np.random.default_rng(0)
    array = 9000 * ndimage.gaussian_filter(rng.normal(size=(4, 40, 44)), (0.5, 2, 2))
    array += np.linspace(-400, 1200, 44)
    return Volume(array.astype(np.int16), (0.6, 0.3, 0.3), metadata={"modality": "CT"})


def on_its_own_grid(**arguments: Any) -> Model:
    """A network with instance normalisation that neither enlarges nor is given enlarged slices."""
    network = make_network("resnet", norm="instance", **arguments)
    entry = {"name": "resnet", "arguments": {"filters": 2, "blocks": 2, "norm": "instance"}}
    entry["arguments"] |= arguments
    card = make_card("resnet", scale=1, limits=["Few.", UNCALIBRATED])
    return Model(network, {**card, "network": entry})


def scaled(ct: Volume, k: int) -> torch.Tensor:
    return torch.from_numpy((ct.array[k].astype(np.float32) + 1000) / 4000)[None, None]


SLICE_2 = ((2, 3), (0, 40), (0, 44))


def test_on_the_slice_it_was_calibrated_on_the_network_computes_what_it_did(ct: Volume) -> None:
    model = on_its_own_grid(dropout="none")
    frozen = calibrate(model, [ct], "frozen", box=SLICE_2)
    x = scaled(ct, 2)
    torch.testing.assert_close(frozen.network(x), model.network(x), atol=1e-5, rtol=0)
    assert (frozen.network(scaled(ct, 0)) - model.network(scaled(ct, 0))).abs().max() > 1e-3


def test_statistics_are_the_mean_over_whole_slices(ct: Volume) -> None:
    frozen = calibrate(on_its_own_grid(), [ct, ct], "frozen", slices=2)
    state = frozen.network.state_dict()
    weight, bias = state["model.1.weight"], state["model.1.bias"]
    # Two slices of four: the middles of both halves.
    ins = [functional.pad(2 * scaled(ct, k) - 1, (3,) * 4, mode="reflect") for k in (1, 3)]
    outs = [functional.conv2d(x, weight, bias)[0].flatten(1).numpy() for x in ins]
    mean = np.mean([y.mean(axis=1) for y in outs], axis=0)
    variance = np.mean([y.var(axis=1) for y in outs], axis=0)
    np.testing.assert_allclose(state["model.2.running_mean"], mean, atol=1e-5)
    np.testing.assert_allclose(state["model.2.running_var"], variance, atol=1e-5)
    seen = frozen.card["training"]["instance_norm_frozen_on"]
    assert seen == {"scans": 2, "whole_slices": 4}


@pytest.mark.parametrize("dropout", ["element", "channel"])
def test_layers_after_a_dropout_get_the_statistics_of_passes(ct: Volume, dropout: str) -> None:
    passes = calibrate(on_its_own_grid(dropout=dropout), [ct], "passes")
    none = calibrate(on_its_own_grid(dropout="none"), [ct], "none")
    after, before = "model.10.conv_block.7.running_var", "model.10.conv_block.2.running_var"
    with_dropout, without = passes.network.state_dict(), none.network.state_dict()
    torch.testing.assert_close(with_dropout[before], without[before])
    assert not torch.allclose(
        with_dropout[after], without["model.10.conv_block.6.running_var"], rtol=0.02
    )


def tiles_differ_by(model: Model, ct: Volume) -> float:
    """Greatest difference in HU between part of a slice in one tile and in four."""
    box = ((2, 3), (8, 16), (16, 24))
    results = [superresolve(ct, model, box, 2, "cpu", tile=tile).mean for tile in (64, 32)]
    return float(np.abs(results[0].array - results[1].array).max())


@pytest.mark.parametrize("dropout", ["none", "element", "channel"])
def test_tiles_agree_once_a_model_is_calibrated(ct: Volume, dropout: str) -> None:
    model = make_model("resnet", norm="instance", blocks=1, dropout=dropout)
    frozen = calibrate(model, [ct], "frozen", slices=1)
    assert tiles_differ_by(model, ct) > 50
    assert tiles_differ_by(frozen, ct) < 0.1
    assert any("normalises each tile" in warning for warning in check_card(ct, model.card))
    assert not any("normalises" in warning for warning in check_card(ct, frozen.card))


def test_frozen_statistics_stay_as_they_are_in_training(ct: Volume) -> None:
    frozen = calibrate(on_its_own_grid(dropout="none"), [ct], "frozen")
    network, x = frozen.network, scaled(ct, 0)
    before = network(x)
    assert torch.equal(network.train()(x), before)
    assert torch.equal(network.eval()(x), before)


def test_the_command_writes_a_package_that_says_what_was_done(ct: Volume, tmp_path: Path) -> None:
    model = on_its_own_grid().save(tmp_path / "theirs").path
    write_volume(ct, tmp_path / "ct.nrrd")
    command = ("model", "calibrate", model, tmp_path / "ct.nrrd", "--output", tmp_path / "Frozen")
    result = run(*command, "--slices", 2, "--box", "0:4,4:40,0:44")
    assert (result.exit_code, result.stdout.strip()) == (0, str(tmp_path / "Frozen")), result.stderr
    card = load_model(tmp_path / "Frozen").card
    assert card["name"] == "frozen"
    assert card["network"]["arguments"]["norm"] == "frozen"
    assert card["limits"] == ["Few."]
    assert_one_line_error(run(*command), "exists already", "--overwrite")
    assert run(*command, "--overwrite").exit_code == 0


# What is refused.


def test_a_model_without_instance_normalisation_needs_none_of_this(ct: Volume) -> None:
    for model in (make_model(), make_model("resnet")):
        with pytest.raises(ModelError, match="no instance normalisation to freeze"):
            calibrate(model, [ct], "frozen")


def test_slices_that_do_not_serve_are_refused(ct: Volume) -> None:
    model = on_its_own_grid()
    with pytest.raises(MicroCTSRError, match=r"31 x 44 voxels are too small .* at least 32 x 32"):
        calibrate(model, [ct], "frozen", box=((0, 4), (0, 31), (0, 44)))
    with pytest.raises(GeometryError):
        calibrate(model, [ct], "frozen", box=((0, 9), (0, 40), (0, 44)))
    with pytest.raises(MicroCTSRError, match="at least one scan and one slice"):
        calibrate(model, [], "frozen")
    padded = ct.array.copy()
    padded[:, :, :34] = -1000
    with pytest.raises(MicroCTSRError, match="Slice 1 is constant there"):
        calibrate(model, [ct.with_array(padded)], "frozen", box=((1, 2), (0, 32), (0, 32)))


def test_slices_too_large_for_the_memory_are_refused(
    ct: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("microctsr_core.normalisation.free_memory_bytes", lambda: 1e5)
    with pytest.raises(ResourceError, match=r"40 x 44 voxels needs .* choose a smaller box"):
        calibrate(on_its_own_grid(), [ct], "frozen")


def test_it_tells_its_progress_and_can_be_cancelled(ct: Volume) -> None:
    told: list[tuple[float, str]] = []
    calibrate(on_its_own_grid(), [ct], "f", slices=2, progress=lambda *step: told.append(step))
    assert told == [(0.0, "Slice 1 of 2"), (0.5, "Slice 2 of 2")]
    with pytest.raises(Cancelled):
        calibrate(on_its_own_grid(), [ct], "f", cancel=lambda: True)
