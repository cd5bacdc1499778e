"""Import of generators that others trained with the authors' code of CycleGAN or CUT.

Those are ``latest_net_G_A.pth`` and the like of pytorch-CycleGAN-and-pix2pix (Zhu et al. 2017) and
contrastive-unpaired-translation (Park et al. 2020): ResNet generators whose layers have the names
of :class:`~.networks.resnet.ResNetGenerator`. What the file does not say outright is told by
which layers it has. It is read as weights only: a pickle that wants to run code is refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, cast

import torch
from torch import Tensor, nn

from .errors import ModelError
from .io.tensors import read_tensors
from .model import Model
from .networks import build, shapes
from .preparation import HUWindow, Intensity

UNCALIBRATED = (
    "Its instance normalisation looks at each tile by itself, so tiles may differ in brightness "
    "until the model is calibrated (microctsr model calibrate)."
)

_PREFIXES = ("module.", "_orig_mod.")  # of networks that were parallel or compiled when saved
_FIRST_BLOCK = {False: 10, True: 12}  # its number among the layers, without and with anti-aliasing
_NOISE_SD_HU = 60.0


def import_cyclegan(
    checkpoint: str | os.PathLike[str],
    name: str,
    *,
    scale: int = 8,
    voxel_size_low_mm: tuple[float, float] = (0.15, 0.35),
    intensity: Intensity | None = None,
    dropout_rate: float = 0.5,
    licence: str = "NOASSERTION",
    authors: tuple[str, ...] = ("unknown",),
    trained_on: str = "Not known; imported from a checkpoint of CycleGAN or CUT.",
) -> Model:
    """Make a model of a CycleGAN or CUT generator; save it with :meth:`Model.save`.

    A generator of colour images is given the grey image three times, and the mean of the three
    it makes is taken.

    Args:
        checkpoint: the file with the generator's ``state_dict``.
        name: of the model: small letters, digits, dots, dashes and underscores.
        scale: pixels of the images that it was trained on, per voxel of the clinical CT.
        voxel_size_low_mm: least and greatest voxel size of that CT.
        intensity: how values become the images' range from black to white; by default the HU
            window from -1000 to 3000.
        dropout_rate: of its training, if it has dropout layers; the authors' code has 0.5.
        licence: SPDX identifier of the weights' licence.
        authors: who trained it.
        trained_on: the training data in words.

    Returns:
        A model that is not saved yet.

    Raises:
        ReadError: the file cannot be read, or wants to run code.
        ModelError: it holds no such generator.
    """
    path = Path(checkpoint).expanduser()
    state = _without_prefix(_read(path))
    _check_kind(path, state)
    arguments = {**_layout(path, state), "dropout_rate": dropout_rate}
    try:
        wanted = shapes("resnet", **arguments)
        weights = _converted(path, state, wanted, arguments)
        network = build("resnet", **arguments)
    except ValueError as error:
        raise ModelError(f"{path} cannot be imported: {error}") from None
    cast(nn.Module, network).load_state_dict(weights)
    limits = ["Imported; its quality has not been measured with this program."]
    if arguments["norm"] == "instance":
        limits.append(UNCALIBRATED)
    low = sorted(float(size) for size in voxel_size_low_mm)
    intensity = intensity or HUWindow()
    card = {
        "schema_version": 1,
        "name": name,
        "version": "1.0.0",
        "licence": licence,
        "authors": list(authors),
        "description": f"Imported generator of CycleGAN or CUT with {arguments['blocks']} blocks.",
        "network": {"name": "resnet", "arguments": arguments},
        "scale": scale,
        "voxel_size_low_mm": low,
        "voxel_size_high_mm": [size / scale for size in low],
        "intensity": intensity.to_dict(),
        "intensity_range_hu": [-1024.0, 3000.0],
        "modality": "CT",
        "dropout": {
            "kind": arguments["dropout"],
            "rate": network.dropout_rate,
            "sites": len(network.dropout_channels),
        },
        # The scanners that the bundled model was trained to undo, at these voxel sizes.
        "scanner": {
            "psf_sigma_mm": [round(0.18 + 0.2 * (size - 0.15), 4) for size in low],
            "noise_sd_hu": _NOISE_SD_HU,
        },
        "training": {"data": trained_on},
        "quality": {},
        "intended_use": "Research. Results are synthetic and not for diagnosis.",
        "limits": limits,
        "weights_sha256": "0" * 64,  # Model.save writes the true one
    }
    return Model(network, card)


def _read(path: Path) -> dict[str, Tensor]:
    state = read_tensors(path)
    named = isinstance(state, Mapping) and all(isinstance(key, str) for key in state)
    if not named or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(
            f"{path} is not the state_dict of one network, but something that holds more or less; "
            f"save the generator's alone with torch.save(network.state_dict(), file)."
        )
    for key, value in state.items():
        if not _is_plain(value):
            raise ModelError(
                f"{path} holds {key!r:.80} as a tensor that is no plain array of numbers (sparse, "
                f"quantised, complex, repeated or without values); save the state_dict again."
            )
    return {str(key): value for key, value in state.items()}


def _is_plain(value: Tensor) -> bool:
    """Whether a tensor lies in memory value by value; a few that are repeated may be any size."""
    if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
        return False
    stored = value.untyped_storage().nbytes()
    return not value.is_complex() and value.numel() * value.element_size() <= stored


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in state):
            return _without_prefix({name[len(prefix) :]: value for name, value in state.items()})
    return state


def _check_kind(path: Path, state: Mapping[str, Tensor]) -> None:
    """Refuse the other networks that the same programs save."""
    first = state.get("model.0.weight")
    if first is not None and first.ndim == 4 and first.shape[-1] in (1, 4):
        raise ModelError(
            f"{path} holds a discriminator, which judges images and makes none; give the "
            f"generator, a file such as latest_net_G_A.pth."
        )
    if any(name.startswith("model.model.") for name in state):
        raise ModelError(
            f"{path} holds a U-Net generator (unet_128 or unet_256); only ResNet generators, "
            f"such as resnet_9blocks, can be imported."
        )
    stem = state.get("model.1.weight")
    if stem is None or stem.ndim != 4 or stem.shape[-2:] != (7, 7):
        _no_generator(path, "it lacks the 7x7 convolution model.1.weight")
    for name, value in state.items():
        if name.endswith(".weight") and value.ndim == 0:
            _no_generator(path, f"{name} is a number")


def _layout(path: Path, state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The arguments of the network, from the layers that the file has."""
    found = [re.match(r"model\.(\d{1,4})\.conv_block\.", name) for name in state]
    numbers = sorted({int(match[1]) for match in found if match})
    if not numbers:
        _no_generator(path, "it has no residual blocks")
    antialias = any(name.endswith(".filt") for name in state)
    first = _FIRST_BLOCK[antialias]
    if numbers[0] != first:
        _no_generator(path, f"its residual blocks start at layer {numbers[0]}, not {first}")
    if len(numbers) != numbers[-1] - first + 1:
        gap = next(n for n in range(first, numbers[-1]) if n not in numbers)
        _no_generator(path, f"layer {gap} is missing among its residual blocks")
    # Without dropout the second convolution moves up by one; its weights have four dimensions.
    second = state.get(f"model.{first}.conv_block.5.weight")
    if "model.2.weight" in state:
        norm = "batch"
    else:
        # The authors' code gives convolutions a bias where instance normalisation follows.
        norm = "instance" if "model.1.bias" in state else "none"
    last = state.get(f"model.{numbers[-1] + (10 if antialias else 8)}.weight")
    return {
        "filters": state["model.1.weight"].shape[0],
        "blocks": len(numbers),
        "norm": norm,
        "dropout": "none" if second is not None and second.ndim == 4 else "element",
        "out_channels": 1 if last is None else last.shape[0],
        "antialias": antialias,
    }


def _converted(
    path: Path,
    state: Mapping[str, Tensor],
    wanted: Mapping[str, tuple[int, ...]],
    arguments: Mapping[str, Any],
) -> dict[str, Tensor]:
    """The file's weights under the network's names, with what the network has and it has not."""
    given = {
        name: value.float() if value.is_floating_point() else value
        for name, value in state.items()
        if not _is_dropped(path, name, value, arguments["norm"])
    }
    stem = given["model.1.weight"]
    if stem.shape[1] not in (1, 3) or arguments["out_channels"] not in (1, 3):
        _no_generator(
            path,
            f"it turns images of {stem.shape[1]} channels into images of "
            f"{arguments['out_channels']}, and only grey (1) and colour (3) are known",
        )
    # What three equal channels would add up to.
    given["model.1.weight"] = stem.sum(dim=1, keepdim=True)
    *_, last_bias = wanted
    for name, value in wanted.items():
        if name not in given and name != last_bias and _is_optional(name, state):
            given[name] = torch.zeros(value)
        if name not in given:
            _no_generator(path, f"it lacks {name}")
        if given[name].shape != value:
            _no_generator(
                path, f"{name} has the shape {_text(given[name].shape)} instead of {_text(value)}"
            )
        if not torch.isfinite(given[name]).all():
            raise ModelError(f"{path} holds values in {name} that are no numbers; get it again.")
    for name in given:
        if name not in wanted:
            _no_generator(path, f"it also holds {name}")
    return given


def _is_dropped(path: Path, name: str, value: Tensor, norm: str) -> bool:
    """What a file may hold that decides nothing."""
    if name.endswith(".filt"):
        # CUT saves its blurs, which are the same in every network.
        row = torch.tensor([1.0, 2.0, 1.0] if value.shape[-1:] == (3,) else [1.0, 3.0, 3.0, 1.0])
        row = row / row.sum() * (1 if len(row) == 3 else 2)
        square = row[:, None] * row
        if value.shape[-2:] != square.shape or not torch.allclose(value.float(), square):
            _no_generator(path, f"its blur {name} is not the usual one")
        return True
    # Before PyTorch 0.4 instance normalisation saved statistics that it did not use.
    unused = ("running_mean", "running_var", "num_batches_tracked")
    return norm == "instance" and name.endswith(unused)


def _is_optional(name: str, state: Mapping[str, Tensor]) -> bool:
    """What a file may leave out, since zero stands for it."""
    layer, _, kind = name.rpartition(".")
    if kind != "bias":
        return kind == "num_batches_tracked"
    # In the authors' code convolutions have no bias unless instance normalisation follows.
    weight = state.get(f"{layer}.weight")
    return "model.1.bias" not in state and weight is not None and weight.ndim == 4


def _text(shape: Sequence[int]) -> str:
    return " x ".join(str(length) for length in shape)


def _no_generator(path: Path, reason: str) -> NoReturn:
    raise ModelError(
        f"{path} does not hold a ResNet generator of CycleGAN or CUT: {reason}; give a file such "
        f"as latest_net_G_A.pth."
    )
