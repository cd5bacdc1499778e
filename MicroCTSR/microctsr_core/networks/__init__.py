"""Generators: networks that turn a low-resolution plane into a high-resolution one.

Every generator keeps the same small promise (:class:`Generator`), so that tiling, Monte-Carlo
dropout and model packages need to know nothing else about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .compact import CompactGenerator
from .resnet import ResNetGenerator
from .srresnet import SRResNetGenerator
from .unet import UNetGenerator

__all__ = [
    "NETWORKS",
    "CompactGenerator",
    "Generator",
    "ResNetGenerator",
    "SRResNetGenerator",
    "UNetGenerator",
    "build",
]

NETWORKS: dict[str, type[nn.Module]] = {
    "compact": CompactGenerator,
    "resnet": ResNetGenerator,
    "srresnet": SRResNetGenerator,
    "unet": UNetGenerator,
}

_GREATEST = 2048  # of numbers that a card gives as arguments
_LONGEST_LIST = 64


class Generator(Protocol):
    """What inference asks of a network; every entry of :data:`NETWORKS` is also an ``nn.Module``.

    Attributes:
        in_slices: planes read for one output plane; odd, the middle one is the output's place.
        scale: output pixels per input pixel, along each in-plane axis.
        radius: radius of the receptive field in input pixels: the halo that makes tiles exact.
        dropout_channels: channels at each dropout site, in the order of the forward pass.
        dropout_rate: share of channels (or elements) dropped in a pass.

    Three more attributes are optional, with the value they stand for when a network lacks them:
    ``stride = 1``, the grid on which tiles must start for strided convolutions to see the same
    pixels, which is also the factor by which the dropout sites' grid is coarser than the input;
    ``dropout = "channel"``, or ``"element"`` when single values are dropped, or ``"none"``;
    ``decode_radius = radius``, the radius in input pixels of what ``decode`` reads.
    """

    in_slices: int
    scale: int
    dropout_channels: tuple[int, ...]
    dropout_rate: float

    @property
    def radius(self) -> int: ...

    def encode(self, x: Tensor) -> tuple[Tensor, ...]:
        """All that no mask changes, each tensor (N, C, ...) on a grid that divides the input's
        or is divided by it; a part of the plane is the same part of each."""

    def decode(self, encoded: Sequence[Tensor], masks: Sequence[Tensor] | None) -> Tensor:
        """The rest of the network, for one set of masks (``None``: no dropout), or for several of
        one encoded plane, one per sample."""

    def __call__(self, x: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """Stack (N, in_slices, H, W) in [0, 1] -> plane (N, 1, scale*H, scale*W).

        Channel masks are (C,) for all samples alike or (N, C) for each its own. Without masks
        nothing is dropped, not in training mode either: who trains draws them.
        """


def build(name: str, **arguments: Any) -> Generator:
    """Make an untrained generator.

    Args:
        name: a key of :data:`NETWORKS`: ``"compact"``, ``"resnet"``, ``"srresnet"`` or ``"unet"``.
        **arguments: the network's own arguments, as they stand in a model card.

    Raises:
        ValueError: the name is unknown or an argument does not fit the network.
        ModelError: the network is one of a library that is not installed (MONAI, for ``"unet"``).

    Example:
        >>> build("compact", width=8, blocks=2, dropout_blocks=1).scale
        8
    """
    if name not in NETWORKS:
        raise ValueError(f"There is no network {name!r}; there are {', '.join(sorted(NETWORKS))}.")
    try:
        _check_sizes(arguments)
        return cast(Generator, NETWORKS[name](**arguments))
    except (TypeError, RuntimeError, OverflowError, AttributeError) as error:
        # RuntimeError: sizes PyTorch cannot make; the others: arguments of another type
        raise ValueError(f"The network {name!r} cannot be built: {error}.") from None


def shapes(name: str, **arguments: Any) -> dict[str, tuple[int, ...]]:
    """Shapes of a generator's weights by their names; no memory is taken for them.

    Raises:
        ValueError: as :func:`build`.
        ModelError: as :func:`build`.
    """
    with torch.device("meta"), _Undrawn():
        network = cast(nn.Module, build(name, **arguments))
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


class _Undrawn(TorchFunctionMode):
    """Weights are not drawn: without memory there is nothing to draw, and PyTorch's way of doing
    so all the same loads its compiler."""

    def __torch_function__(
        self, function: Any, _types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if getattr(function, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return function(*args, **(kwargs or {}))


def _check_sizes(arguments: dict[str, Any]) -> None:
    """No network has so many channels or layers; trying to make them would take all memory."""
    for name, value in arguments.items():
        parts = value if isinstance(value, list | tuple) else [value]
        numbers = [part for part in parts if isinstance(part, int | float)]
        if len(parts) > _LONGEST_LIST or any(not abs(n) <= _GREATEST for n in numbers):
            raise ValueError(f"{name} is {repr(value)[:60]}, larger than in any network.")
