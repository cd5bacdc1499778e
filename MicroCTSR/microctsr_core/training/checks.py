"""What is wrong with a configuration as a whole, found before a run prepares anything."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import cast, get_type_hints

import torch
from torch import nn

from ..card import check_card_schema, find_package, load_card
from ..entries import validated
from ..errors import MicroCTSRError, ModelError
from ..networks import NETWORKS, Generator, build
from .config import AcrossLosses, Config, CycleLosses
from .trainer import METHODS

# A run writes these itself: another value would not be true of the weights.
_NOT_OWN = ("schema_version", "network", "scale", "intensity", "dropout", "weights_sha256")


def check_config(config: Config, world_size: int = 1) -> None:
    """Compare the parts of a configuration with each other; takes about a second.

    Args:
        config: each of its entries is valid by itself.
        world_size: processes that share a batch.

    Raises:
        MicroCTSRError: names the entry that does not fit, and what would.
    """
    _check_shares(config, world_size)
    _check_card(config)
    _check_folder(config)
    network = _network(config)
    _check_role(config, network)
    _check_patch(config, network)
    _check_networks_on_a_patch(config, network)


def _check_shares(config: Config, world_size: int) -> None:
    sizes = {"size": config.batch.size}
    if config.method == "cyclegan" and config.batch.low_size is not None:
        sizes["low_size"] = config.batch.low_size
    for name, size in sizes.items():
        if size < world_size:
            raise MicroCTSRError(
                f"batch.{name} is {size}, fewer than the {world_size} processes that share it; "
                f"give at least {world_size}, or fewer processes."
            )


def _check_card(config: Config) -> None:
    """Lay the entries over a card that is valid, as a run will over its own."""
    own = config.card
    for key in _NOT_OWN:
        if key in own:
            raise MicroCTSRError(f"card.{key} is what a run writes itself; leave it out.")
    training = own.get("training", {})
    if not isinstance(training, dict):
        raise MicroCTSRError(
            f"card.training is {training!r}, which is no mapping; "
            f"give entries such as `data: Our own.` under it."
        )
    try:
        json.dumps(own, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise MicroCTSRError(
            f"card holds what JSON cannot ({error}); write it as text in quotes."
        ) from None
    valid = load_card(find_package())
    check_card_schema(
        {**valid, **own, "training": {**valid["training"], **training}},
        "The configuration's card",
    )


def _check_folder(config: Config) -> None:
    folder = config.validation.folder
    if folder is not None and not Path(folder).is_dir():
        raise MicroCTSRError(
            f"validation.folder is {folder!r}, which is no folder; correct it, or leave it out."
        )


def _network(config: Config) -> Generator:
    name, arguments = config.network.name, config.network.arguments
    if name not in NETWORKS:
        raise MicroCTSRError(
            f"network.name is {name!r}, which is none of {', '.join(sorted(NETWORKS))}."
        )
    known = get_type_hints(NETWORKS[name].__init__)
    del known["return"]
    for key, value in arguments.items():
        if key not in known:
            raise MicroCTSRError(
                f"network.arguments.{key} is no argument of the network {name!r}, which takes "
                f"{', '.join(known)}."
            )
        validated(known[key], value, f"network.arguments.{key}", strict=True)
    try:
        network = _built(name, arguments)
    except (ValueError, ArithmeticError, AttributeError, ModelError) as error:
        raise MicroCTSRError(f"network.arguments is not valid: {_text(error)}.") from None
    rate = network.dropout_rate
    if not 0 <= rate < 1:
        raise MicroCTSRError(
            f"network.arguments.dropout_rate is {rate!r}; give a share from 0 to below 1."
        )
    if not all(weight.numel() for weight in cast(nn.Module, network).parameters()):
        raise MicroCTSRError(
            f"network.arguments makes layers of the network {name!r} that have no channels; "
            f"give at least 1 for each."
        )
    return network


def _built(name: str, arguments: dict[str, object]) -> Generator:
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # layers without channels have their sentence
        return build(name, **arguments)


def _check_role(config: Config, network: Generator) -> None:
    """Whether the network's grids and planes are those that the method gives it."""
    scale, name = config.data.scale, config.network.name
    fact = f"has in_slices {network.in_slices} and scale {network.scale}"
    if isinstance(config.losses, AcrossLosses):
        read = config.network.arguments.get("in_slices", 5)
        if name != "compact" and read != network.in_slices:
            raise MicroCTSRError(
                f"network.name is {name!r}, which cannot learn across resolutions from several "
                f"planes; give compact, or --preset paper for resnet."
            )
        if network.scale != scale or network.in_slices % 2 == 0:
            raise MicroCTSRError(
                f"network.arguments: {name!r} {fact}, but the method needs an odd in_slices and "
                f"the scale {scale} of data.scale; {_advice(network, scale)}."
            )
        return
    scales = (1,) if isinstance(config.losses, CycleLosses) else (1, scale)
    if network.in_slices != 1 or network.scale not in scales:
        wanted = " or ".join(str(each) for each in scales)
        fits = "resnet or unet" if scales == (1,) else "srresnet, unet or resnet"
        raise MicroCTSRError(
            f"network.name: {name!r} {fact}, but the method needs in_slices 1 and scale {wanted}; "
            f"give {fits}, or arguments that make it so."
        )


def _advice(network: Generator, scale: int) -> str:
    """How ``compact`` gets another scale."""
    if network.scale != scale:
        doublings = (scale & -scale).bit_length() - 1  # how often two divides it
        return f"give scale: {scale} and no more than {doublings} entries of upsampling"
    return "give in_slices: 7"


def _check_patch(config: Config, network: Generator) -> None:
    patch, scale, stride = config.batch.patch, config.data.scale, getattr(network, "stride", 1)
    unit = scale * stride if network.scale > 1 else math.lcm(scale, stride)
    if patch % unit:
        raise MicroCTSRError(
            f"batch.patch is {patch}, which is no multiple of {unit} (data.scale is {scale}, the "
            f"network's stride {stride}); give {max(patch // unit, 1) * unit}."
        )


def _check_networks_on_a_patch(config: Config, network: Generator) -> None:
    """Try the shapes on the meta device, where there are no numbers to work out."""
    patch, low = config.batch.patch, config.batch.patch // config.data.scale
    edge = patch if network.scale == 1 else low
    generator = cast(nn.Module, network).eval()
    if not _takes(generator, network.in_slices, edge):
        raise MicroCTSRError(
            f"batch.patch {patch} is too small for the network {config.network.name!r}; "
            f"give a larger one."
        )
    try:
        with torch.random.fork_rng(devices=[]):
            judges = METHODS[type(config.losses)](config).judges
    except RuntimeError:  # sizes PyTorch cannot make
        filters = getattr(config.losses, "judge_filters", None)
        raise MicroCTSRError(
            f"losses.judge_filters is {filters}, too many for the memory; give fewer."
        ) from None
    edges: Sequence[int] = (patch, low) if isinstance(config.losses, AcrossLosses) else (patch,) * 2
    for judge, edge in zip(judges, edges, strict=False):
        if not _takes(judge, 1, edge):
            layers = getattr(config.losses, "judge_layers", None)
            what = "the discriminators" if layers is None else f"judge_layers {layers}"
            remedy = "" if layers is None else ", or fewer losses.judge_layers"
            raise MicroCTSRError(
                f"batch.patch {patch} is too small for {what}; give a larger one{remedy}."
            )


def _takes(network: nn.Module, planes: int, edge: int) -> bool:
    try:
        with torch.no_grad():
            network.to("meta")(torch.zeros(1, planes, edge, edge, device="meta"))
    except (RuntimeError, ValueError):  # ValueError: instance normalisation of a single pixel
        return False
    return True


def _text(error: Exception) -> str:
    """A message as a part of a sentence."""
    return " ".join(str(error).split()).rstrip(".")
