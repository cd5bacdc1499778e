"""Generators trained with the code of CycleGAN and CUT: imported exactly, or refused plainly."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from command_line import assert_one_line_error, run
from microctsr_core import ModelError, ReadError, Volume, load_model, write_volume
from microctsr_core.importing import import_cyclegan
from microctsr_core.preparation import ZScoreUnit

# The generator of the published code, as its papers and its printed layers describe it.


class BlurredDown(nn.Module):
    """Every second pixel of the image blurred by (1, 2, 1): twice the mean of neighbours."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        row = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("filt", torch.outer(row, row).repeat(channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.pad(x, (1, 1, 1, 1), mode="reflect")
        for _ in range(2):
            x = functional.avg_pool2d(x, 2, stride=1)
        return x[:, :, ::2, ::2]


class BlurredUp(nn.Module):
    """Doubling the grid by (1, 3, 3, 1), which is bilinear interpolation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
        self.register_buffer("filt", torch.outer(row, row).repeat(channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class OriginalBlock(nn.Module):
    def __init__(self, width: int, norm: Callable[[int], nn.Module], bias: bool, dropout: bool):
        super().__init__()
        layers = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3, bias=bias), norm(width)]
        layers += [nn.ReLU(), *([nn.Dropout(0.5)] if dropout else []), nn.ReflectionPad2d(1)]
        self.conv_block = nn.Sequential(*layers, nn.Conv2d(width, width, 3, bias=bias), norm(width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class Original(nn.Module):
    """Zhu et al.'s generator: c7s1-64, d128, d256, blocks of 256, u128, u64, c7s1, tanh."""

    def __init__(
        self,
        blocks: int = 9,
        norm: str = "instance",
        dropout: bool = False,
        channels: int = 1,
        filters: int = 16,
        antialias: bool = False,
    ) -> None:
        super().__init__()
        kinds = {"instance": nn.InstanceNorm2d, "batch": nn.BatchNorm2d, "none": nn.Identity}
        make, bias = kinds[norm], norm == "instance"
        f = filters
        model: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(channels, f, 7, bias=bias)]
        model += [make(f), nn.ReLU()]
        for width in (f, 2 * f):
            if antialias:
                model += [nn.Conv2d(width, 2 * width, 3, padding=1, bias=bias)]
                model += [make(2 * width), nn.ReLU(), BlurredDown(2 * width)]
            else:
                model += [nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=bias)]
                model += [make(2 * width), nn.ReLU()]
        model += [OriginalBlock(4 * f, make, bias, dropout) for _ in range(blocks)]
        for width in (4 * f, 2 * f):
            half = width // 2
            if antialias:
                model += [BlurredUp(width), nn.Conv2d(width, half, 3, padding=1, bias=bias)]
            else:
                model += [nn.ConvTranspose2d(width, half, 3, 2, 1, output_padding=1, bias=bias)]
            model += [make(half), nn.ReLU()]
        model += [nn.ReflectionPad2d(3), nn.Conv2d(f, channels, 7), nn.Tanh()]
        self.model = nn.Sequential(*model)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


def original(**layout: Any) -> Original:
    """With weights and statistics that leave no layer without effect."""
    torch.manual_seed(4)
    network = Original(**layout).eval().requires_grad_(False)
    for name, value in network.state_dict().items():
        if name.endswith("running_mean") or (name.endswith(".bias") and value.ndim == 1):
            value.normal_(0, 0.2)
        elif name.endswith("running_var") or (name.endswith(".weight") and value.ndim == 1):
            value.uniform_(0.3, 1.5)
    return network


def saved(network: nn.Module | dict[str, Tensor], folder: Path, name: str = "net_G.pth") -> Path:
    state = network.state_dict() if isinstance(network, nn.Module) else network
    torch.save(state, folder / name)
    return folder / name


def image(size: int = 256) -> Tensor:
    """Grey values from black, -1, to white, 1, as the original is given them."""
    return 2 * torch.rand((1, 1, size, size), generator=torch.Generator().manual_seed(5)) - 1


def assert_equal_to(original: nn.Module, checkpoint: Path, size: int = 256) -> None:
    channels = original.state_dict()["model.1.weight"].shape[1]
    x = image(size)
    expected = original(x.repeat(1, channels, 1, 1)).mean(dim=1, keepdim=True)
    made = import_cyclegan(checkpoint, "theirs").network((x + 1) / 2)
    assert (2 * made - 1 - expected).abs().max() < 1e-5
    assert expected.std() > 1e-3


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("blocks", [6, 9])
def test_an_imported_generator_computes_what_the_original_does(
    blocks: int, dropout: bool, norm: str, tmp_path: Path
) -> None:
    theirs = original(blocks=blocks, norm=norm, dropout=dropout)
    assert_equal_to(theirs, saved(theirs, tmp_path))


@pytest.mark.parametrize(
    "layout",
    [
        {"norm": "none", "dropout": True},
        {"channels": 3},
        {"channels": 3, "norm": "batch"},
        {"antialias": True},
        {"antialias": True, "norm": "batch", "dropout": True, "channels": 3},
        {"filters": 64, "blocks": 6},
    ],
    ids=str,
)
def test_so_do_its_variants(layout: dict[str, Any], tmp_path: Path) -> None:
    theirs = original(**{"blocks": 2, **layout})
    assert_equal_to(theirs, saved(theirs, tmp_path), size=128)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.module."])
def test_the_prefix_of_parallel_and_compiled_networks_is_taken_off(
    prefix: str, tmp_path: Path
) -> None:
    theirs = original(blocks=1)
    state = {prefix + name: value for name, value in theirs.state_dict().items()}
    assert_equal_to(theirs, saved(state, tmp_path), size=64)


def test_statistics_that_old_instance_normalisation_saved_without_use_are_left_out(
    tmp_path: Path,
) -> None:
    theirs = original(blocks=1)
    state = dict(theirs.state_dict())
    state["model.2.running_mean"] = torch.ones(16)
    state["model.10.conv_block.2.running_var"] = torch.ones(64)
    state["model.2.num_batches_tracked"] = torch.tensor(7)
    assert_equal_to(theirs, saved(state, tmp_path), size=64)


def test_files_of_the_old_format_and_of_half_precision_are_read(tmp_path: Path) -> None:
    theirs = original(blocks=1).half().float()
    state = {name: value.half() for name, value in theirs.state_dict().items()}
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert_equal_to(theirs, tmp_path / "old.pth", size=64)


# The package.


def test_the_card_says_what_was_found_and_what_was_told(tmp_path: Path) -> None:
    checkpoint = saved(original(blocks=2, dropout=True, channels=3), tmp_path)
    model = import_cyclegan(
        checkpoint,
        "theirs",
        scale=4,
        voxel_size_low_mm=(0.15, 0.2),
        intensity=ZScoreUnit(),
        licence="CC-BY-4.0",
        authors=("A. Body",),
        trained_on="Twelve ears.",
    )
    card = load_model(model.save(tmp_path / "theirs").path).card
    assert card["network"]["name"] == "resnet"
    assert card["network"]["arguments"] == {
        "filters": 16,
        "blocks": 2,
        "norm": "instance",
        "dropout": "element",
        "dropout_rate": 0.5,
        "out_channels": 3,
        "antialias": False,
    }
    assert card["dropout"] == {"kind": "element", "rate": 0.5, "sites": 2}
    assert (card["scale"], card["voxel_size_high_mm"]) == (4, [0.0375, 0.05])
    assert card["intensity"]["kind"] == "zscore_unit"
    assert (card["licence"], card["authors"]) == ("CC-BY-4.0", ["A. Body"])
    assert card["training"] == {"data": "Twelve ears."}
    assert any("model calibrate" in limit for limit in card["limits"])


def test_batch_normalisation_needs_no_calibration(tmp_path: Path) -> None:
    model = import_cyclegan(saved(original(blocks=1, norm="batch"), tmp_path), "theirs")
    assert not any("calibrate" in limit for limit in model.card["limits"])
    assert model.card["dropout"] == {"kind": "none", "rate": 0.0, "sites": 0}


def test_the_command_makes_a_package_that_super_resolves(tmp_path: Path) -> None:
    checkpoint = saved(original(blocks=1, norm="batch", filters=4), tmp_path)
    folder = tmp_path / "Our model"
    options = ("--scale", 2, "--window-hu", -1000, 2000, "--voxel-low", 0.25, 0.35)
    result = run("model", "import-cyclegan", checkpoint, folder, *options, "--author", "A. Body")
    assert (result.exit_code, result.stdout.strip()) == (0, str(folder)), result.stderr
    card = json.loads((folder / "card.json").read_text())
    assert (card["name"], card["authors"]) == ("our-model", ["A. Body"])
    assert card["intensity"] == {"kind": "hu_window", "low": -1000, "high": 2000}
    assert card["voxel_size_high_mm"] == [0.125, 0.175]
    array = np.random.default_rng(0).integers(-1000, 2000, (2, 16, 16), dtype=np.int16)
    write_volume(Volume(array, (0.6, 0.3, 0.3)), tmp_path / "ct.nrrd")
    files = (tmp_path / "ct.nrrd", tmp_path / "sr.nrrd")
    assert run("superresolve", *files, "--model", folder).exit_code == 0


def test_a_folder_that_holds_something_is_replaced_only_when_asked(tmp_path: Path) -> None:
    checkpoint = saved(original(blocks=1, filters=4), tmp_path)
    folder = tmp_path / "theirs"
    command = ("model", "import-cyclegan", checkpoint, folder)
    folder.mkdir()
    assert run(*command).exit_code == 0
    before = (folder / "card.json").read_bytes()
    assert_one_line_error(run(*command, "--scale", 4), "exists already", "--overwrite")
    assert (folder / "card.json").read_bytes() == before
    assert run(*command, "--scale", 4, "--overwrite").exit_code == 0
    assert load_model(folder).scale == 4
    in_the_way = ("model", "import-cyclegan", checkpoint, checkpoint)
    assert_one_line_error(run(*in_the_way), "is a file")


def test_a_window_that_runs_downwards_is_bad_usage(tmp_path: Path) -> None:
    result = run("model", "import-cyclegan", "x.pth", tmp_path / "m", "--window-hu", 2000, -1000)
    assert result.exit_code == 2
    assert "Black comes before white" in result.stderr


# What is refused.


class Trap:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.mark),))


@pytest.mark.parametrize("new_format", [True, False])
def test_a_pickle_that_wants_to_run_code_is_refused_and_does_not_run(
    new_format: bool, tmp_path: Path
) -> None:
    state = {**original(blocks=1).state_dict(), "extra": Trap(tmp_path / "sprung")}
    torch.save(state, tmp_path / "trap.pth", _use_new_zipfile_serialization=new_format)
    result = run("model", "import-cyclegan", tmp_path / "trap.pth", tmp_path / "theirs")
    assert_one_line_error(result, "trap.pth is refused", "run code", "mkdir")
    assert not (tmp_path / "sprung").exists()
    assert not (tmp_path / "theirs").exists()


def test_a_whole_network_instead_of_its_weights_is_refused_too(tmp_path: Path) -> None:
    torch.save(nn.Conv2d(1, 1, 1), tmp_path / "module.pth")
    with pytest.raises(ReadError, match=r"module\.pth is refused.*Conv2d.*state_dict"):
        import_cyclegan(tmp_path / "module.pth", "theirs")


@pytest.mark.parametrize("damage", ["truncated", "old format truncated", "empty", "text", "noise"])
def test_a_damaged_file_is_told_in_one_sentence(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "net_G.pth"
    new = damage != "old format truncated"
    torch.save(original(blocks=1).state_dict(), path, _use_new_zipfile_serialization=new)
    data = path.read_bytes()
    noise = np.random.default_rng(1).bytes(5000)
    path.write_bytes(
        {"empty": b"", "text": b"weights\n" * 9, "noise": noise}.get(damage, data[:-9])
    )
    with pytest.raises(ReadError, match=r"net_G\.pth is not a PyTorch checkpoint, or is damaged"):
        import_cyclegan(path, "theirs")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"nonesuch\.pth cannot be read"):
        import_cyclegan(tmp_path / "nonesuch.pth", "theirs")


def discriminator() -> nn.Module:
    layers = [nn.Conv2d(1, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 4, 1, 1)]
    network = nn.Module()
    network.model = nn.Sequential(*layers)
    return network


def unet() -> nn.Module:
    network, outermost = nn.Module(), nn.Module()
    outermost.model = nn.Sequential(nn.Conv2d(1, 8, 4, 2, 1))
    network.model = outermost
    return network


def changed(change: Callable[[dict[str, Tensor]], Any], **layout: Any) -> dict[str, Tensor]:
    state = dict(original(**{"blocks": 3, **layout}).state_dict())
    change(state)
    return state


def without(part: str, **layout: Any) -> dict[str, Tensor]:
    def drop(state: dict[str, Tensor]) -> None:
        for name in [name for name in state if part in name]:
            del state[name]

    return changed(drop, **layout)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (discriminator().state_dict(), "holds a discriminator.*latest_net_G_A"),
        (unet().state_dict(), "holds a U-Net generator"),
        ({"fc.weight": torch.ones(3, 3)}, "lacks the 7x7 convolution"),
        ({"epoch": 3, "netG": {}}, "not the state_dict of one network"),
        ([torch.ones(2)], "not the state_dict of one network"),
        ({}, "not the state_dict of one network"),
        (without("conv_block"), "has no residual blocks"),
        (without("model.10."), "blocks start at layer 11, not 10"),
        (without("model.11."), "layer 11 is missing among its residual blocks"),
        (without("model.12."), r"lacks model\.12\.weight"),
        (without("model.11.conv_block.1.weight"), r"lacks model\.11\.conv_block\.1\.weight"),
        (without("model.2.running_mean", norm="batch"), r"lacks model\.2\.running_mean"),
        (without("model.2.bias", norm="batch"), r"lacks model\.2\.bias"),
        (without("model.20.bias", norm="batch"), r"lacks model\.20\.bias"),
        (
            changed(lambda s: s.update({"model.4.weight": torch.ones(32, 8, 3, 3)})),
            r"model\.4\.weight has the shape 32 x 8 x 3 x 3 instead of 32 x 16 x 3 x 3",
        ),
        (
            changed(lambda s: s.update({"style.weight": torch.ones(1)})),
            r"it also holds style\.weight",
        ),
        (
            changed(lambda s: s.update({"model.20.bias": torch.tensor([torch.nan])})),
            r"model\.20\.bias that are no numbers",
        ),
        (
            changed(lambda s: s["model.7.filt"].mul_(2), antialias=True),
            r"blur model\.7\.filt is not the usual one",
        ),
        (original(blocks=1, channels=2).state_dict(), "images of 2 channels into images of 2"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_such_generator_is_refused_with_the_reason(
    state: Any, reason: str, tmp_path: Path
) -> None:
    torch.save(state, tmp_path / "net.pth")
    with pytest.raises(ModelError, match=rf"net\.pth .*{reason}"):
        import_cyclegan(tmp_path / "net.pth", "theirs")
