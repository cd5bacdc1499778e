"""The rivals' generators: MONAI's U-Net and SRGAN's, and that they super-resolve as any other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from command_line import command_environment, run
from microctsr_core import ModelError, Volume, load_model, superresolve, write_volume
from microctsr_core.networks import build
from microctsr_core.resources import footprint
from toy_models import make_model, make_network

RIVALS = ["srresnet", "unet"]


def scan(shape: tuple[int, int, int] = (3, 20, 18)) -> Volume:
    array = np.random.default_rng(0).integers(-1000, 2000, shape, dtype=np.int16)
    return Volume(array, (0.6, 0.3, 0.3), metadata={"modality": "CT"})


def image(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(3))


# What they compute.


def test_unet_without_dropout_adds_what_monais_own_forward_pass_computes() -> None:
    network = make_network("unet", channels=[4, 6, 8, 10], strides=[2, 1, 2])
    x = image(2, 1, 16, 24)
    torch.testing.assert_close(network(x), x + network.unet(4 * x - 2))


@pytest.mark.parametrize(
    "arguments",
    [
        {"res_units": 0},
        {"res_units": 1, "strides": [1, 2]},
        {"channels": [4, 6], "strides": [3]},
        {"strides": [4, 2], "res_units": 0},
        {"norm": "batch"},
    ],
)
def test_the_radius_of_a_unet_is_exactly_how_far_its_pixels_look(arguments: dict[str, Any]) -> None:
    network = make_network("unet", **arguments)
    stride, reach = network.stride, 0
    size = 2 * stride * -(-(network.radius + stride) // stride)
    for place in range(size // 2, size // 2 + stride):
        x = image(1, 1, size, size).requires_grad_()
        network(x)[0, 0, place, place].backward()
        columns = torch.nonzero(x.grad.abs().sum(dim=(0, 1, 2)))[:, 0]
        reach = max(reach, int((columns - place).abs().max()))
    assert reach == network.radius


def test_srresnet_computes_what_its_layers_written_out_compute() -> None:
    network = make_network("srresnet", scale=2, width=4, blocks=1)
    with torch.no_grad():
        network.blocks[0].activation.weight.fill_(0.1)
    w = network.state_dict()

    def convolved(y: Tensor, layer: str) -> Tensor:
        return functional.conv2d(y, w[f"{layer}.weight"], w[f"{layer}.bias"], padding="same")

    def rectified(y: Tensor, slope: float = 0.25) -> Tensor:
        return torch.where(y > 0, y, slope * y)

    x, mask = image(1, 1, 12, 14), torch.tensor([0.0, 1.25, 1.25, 0.0])
    skip = rectified(convolved(4 * x - 2, "stem"))
    hidden = rectified(convolved(skip, "blocks.0.first"), 0.1) * mask[None, :, None, None]
    y = skip + convolved(skip + convolved(hidden, "blocks.0.second"), "after_blocks")
    y = convolved(y, "doublings.0").reshape(1, 4, 2, 2, 12, 14)
    y = rectified(y.permute(0, 1, 4, 2, 5, 3).reshape(1, 4, 24, 28))
    expected = functional.interpolate(x, size=(24, 28), mode="bicubic") + convolved(y, "last")
    assert w["last.weight"].shape == (1, 4, 9, 9)
    torch.testing.assert_close(network(x, [mask]), expected)


def test_srresnet_has_the_layers_of_the_paper_and_one_more_doubling() -> None:
    network = build("srresnet")
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert shapes["stem.weight"] == (64, 1, 9, 9)
    assert [shapes[f"blocks.{n}.first.weight"] for n in range(16)] == [(64, 64, 3, 3)] * 16
    assert [shapes[f"doublings.{n}.weight"] for n in range(3)] == [(256, 64, 3, 3)] * 3
    assert shapes["last.weight"] == (1, 64, 9, 9)
    assert build("srresnet", scale=4).scale == 4


@pytest.mark.parametrize("name", RIVALS)
def test_untrained_they_are_all_but_cubic_interpolation(name: str) -> None:
    torch.manual_seed(0)
    network = build(name).eval()
    x = image(1, 1, 32, 32)
    plain = functional.interpolate(x, scale_factor=network.scale, mode="bicubic")
    assert (network(x) - (plain if network.scale > 1 else x)).abs().max() < 0.1


# That they are models like any other.


@pytest.mark.parametrize("name", RIVALS)
def test_a_package_of_one_super_resolves_through_the_same_command(
    name: str, tmp_path: Path
) -> None:
    package = make_model(name).save(tmp_path / name).path
    write_volume(scan(), tmp_path / "ct.nrrd")
    arguments = ("--model", package, "--samples", 2, "--uncertainty", tmp_path / "sd.nrrd")
    result = run("superresolve", tmp_path / "ct.nrrd", tmp_path / "sr.nrrd", *arguments)
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "sr.nrrd").exists()
    assert (tmp_path / "sd.nrrd").exists()


@pytest.mark.parametrize("name", RIVALS)
def test_tiles_equal_the_whole(name: str) -> None:
    model, ct = make_model(name), scan((3, 40, 36))
    slice_1 = ((1, 2), (0, 40), (0, 36))
    whole = superresolve(ct, model, slice_1, samples=3, device="cpu", tile=320)
    tiled = superresolve(ct, model, slice_1, samples=3, device="cpu", tile=32)
    assert whole.mean.shape == (1, 320, 288)
    hu_range = 4000
    assert np.abs(whole.mean.array - tiled.mean.array).max() < 1e-5 * hu_range
    assert np.abs(whole.uncertainty.array - tiled.uncertainty.array).max() < 1e-5 * hu_range
    assert whole.uncertainty.array.max() > 0.01 * hu_range


def test_a_unet_whose_grid_is_coarser_than_a_probe_has_a_footprint() -> None:
    told = footprint(make_model("unet", channels=[2, 2, 2, 2], strides=[4, 4, 4]))
    assert (told.stride, told.network_scale, told.in_slices) == (64, 1, 1)
    assert told.layer_bytes > 0


def test_the_memory_of_a_unet_counts_what_it_keeps_between_passes() -> None:
    # Two more levels on the same grid keep two more times four channels of four bytes.
    shallow = footprint(make_model("unet", channels=[4, 4], strides=[1]))
    deep = footprint(make_model("unet", channels=[4, 4, 4, 4], strides=[1, 1, 1]))
    assert deep.layer_bytes - shallow.layer_bytes == 2 * 4 * 4


# What is refused.


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("srresnet", {"scale": 6}, r"scale of 2, 4, 8 and so on \(got 6\)"),
        ("srresnet", {"dropout_blocks": 3, "blocks": 2}, r"1 to 2 dropout blocks \(got 3\)"),
        ("srresnet", {"last_kernel": 4}, "odd last_kernel .* not 4"),
        ("unet", {"channels": [8, 16], "strides": [2, 2]}, "one stride fewer"),
        ("unet", {"channels": [8, 0, 8], "strides": [2, 2]}, "at least 1"),
        ("unet", {"norm": "instance"}, "a norm of none or batch .* 'instance'"),
        ("unet", {"dropout_rate": 1}, "dropout rate"),
        ("unet", {"depth": 4}, "cannot be built"),
    ],
)
def test_what_they_cannot_be_is_refused_by_name(name: str, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(name, **arguments)


def test_where_monai_is_missing_a_unet_says_so_and_other_models_do_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unet = make_model("unet").save(tmp_path / "unet").path
    other = make_model("srresnet").save(tmp_path / "srresnet").path
    monkeypatch.setitem(sys.modules, "monai.networks.nets.unet", None)
    with pytest.raises(ModelError, match=r"'unet' is MONAI's, which is not installed; .*pip"):
        load_model(unet)
    code = (
        "import sys, microctsr_core as sr\n"
        f"sr.load_model({str(other)!r})\n"
        "assert 'monai' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], env=command_environment(), check=True)
