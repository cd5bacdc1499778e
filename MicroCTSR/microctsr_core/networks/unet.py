"""MONAI's U-Net as a generator, one slice in, one slice out, on the high grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ModelError
from .dropout import masked

NORMS = ("none", "batch")


class UNetGenerator(nn.Module):
    """A residual U-Net (Ronneberger et al. 2015; Kerfoot et al. 2018), as MONAI keeps it.

    It works on slices already interpolated to the high grid, and its result is added to its
    input, so that the untrained network is all but cubic interpolation. There is no instance
    normalisation, MONAI's default, since a tile's result would depend on the tile's own mean and
    spread. Channel dropout sits at the bottom and after every step upwards but the last: the way
    down is computed once for all passes.

    Args:
        channels: at each level, the top one first.
        strides: of the way down from each level to the next; one fewer than channels.
        res_units: convolutions in each residual unit on the way down; 0 for plain convolutions.
        norm: ``"none"``, or ``"batch"`` whose running statistics hold once it is trained.
        dropout_rate: share of channels dropped in a pass.

    Raises:
        ModelError: MONAI is not installed.
        ValueError: an argument outside these limits.
    """

    in_slices = 1
    scale = 1

    def __init__(
        self,
        channels: Sequence[int] = (16, 32, 64, 128, 256),
        strides: Sequence[int] = (2, 2, 2, 2),
        res_units: int = 2,
        norm: str = "none",
        dropout_rate: float = 0.2,
    ) -> None:
        super().__init__()
        sizes = (*channels, *strides)
        if len(channels) < 2 or len(strides) != len(channels) - 1 or min(sizes) < 1:
            raise ValueError(
                f"unet needs two or more channels and one stride fewer, all of at least 1, "
                f"not {list(channels)} and {list(strides)}."
            )
        if res_units < 0 or norm not in NORMS or not 0 <= dropout_rate < 1:
            raise ValueError(
                f"unet needs res_units from 0, a norm of {' or '.join(NORMS)} and a dropout rate "
                f"in [0, 1), not {res_units}, {norm!r} and {dropout_rate}."
            )
        self.stride = math.prod(strides)
        self.dropout_rate = dropout_rate
        self.dropout_channels = (channels[-1], *reversed(channels[:-2]))
        self._strides = tuple(strides)
        self._res_units = res_units
        self.unet = _monai_unet(
            spatial_dims=2,
            in_channels=1,
            out_channels=1,
            channels=tuple(channels),
            strides=tuple(strides),
            num_res_units=res_units,
            norm=None if norm == "none" else norm,
        )
        self._start_quietly()

    @property
    def radius(self) -> int:
        """Radius of the receptive field in input pixels: the halo that makes tiles exact.

        How far an output pixel reaches depends on where it lies on the strided grids; this is
        the farthest of any.
        """
        reach = 0
        for place in range(self.stride):
            first, last = self._read(place, place, level=0)
            reach = max(reach, place - first, last - place)
        return reach

    def encode(self, x: Tensor) -> tuple[Tensor, ...]:
        """The way down: (N, 1, H, W) -> it, and the features of every level, the top one first."""
        y = 4 * (x - 0.5)
        levels = [x]
        downs, bottom, _ = self._parts()
        for layer in (*downs, bottom):
            y = layer(y)
            levels.append(y)
        return tuple(levels)

    def decode(self, encoded: Sequence[Tensor], masks: Sequence[Tensor] | None) -> Tensor:
        """The way up, for one set of masks: -> (N, 1, H, W), multiples of the stride."""
        x, *skips, y = encoded
        _, _, ups = self._parts()
        chosen: Sequence[Tensor | None] = masks or [None] * len(ups)
        for skip, up, mask in zip(reversed(skips), reversed(ups), chosen, strict=True):
            # The order of the channels is that of MONAI's skip connection.
            y = masked(y, mask)
            y = up(torch.cat([skip.expand(len(y), -1, -1, -1), y], dim=1))
        return x + y

    def forward(self, x: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """Slice (N, 1, H, W) in [0, 1] -> slice (N, 1, H, W); multiples of the stride."""
        return self.decode(self.encode(x), masks)

    def _parts(self) -> tuple[list[nn.Module], nn.Module, list[nn.Module]]:
        """Layers down and up, the top ones first, and the bottom: MONAI nests them."""
        downs: list[nn.Module] = []
        ups: list[nn.Module] = []
        level: Any = self.unet.model
        for _ in self._strides:
            down, skip, up = level
            downs.append(down)
            ups.append(up)
            level = skip.submodule
        return downs, level, ups

    def _read(self, first: int, last: int, level: int) -> tuple[int, int]:
        """Pixels that a level reads to give its output pixels from ``first`` to ``last``."""
        convolutions = max(1, self._res_units)
        if level == len(self._strides):
            return first - convolutions, last + convolutions
        stride = self._strides[level]
        if self._res_units > 0:  # the residual unit after the transposed convolution
            first, last = first - 1, last + 1
        # Output o of the transposed convolution takes input i where o = stride * i - 1, + 0 or + 1.
        first, last = math.ceil((first - 1) / stride), (last + 1) // stride
        below = self._read(first, last, level + 1)
        first, last = min(first, below[0]), max(last, below[1])
        first, last = first - convolutions + 1, last + convolutions - 1
        return stride * first - 1, stride * last + 1

    def _start_quietly(self) -> None:
        top = self._parts()[2][0]
        transposed = next(m for m in top.modules() if isinstance(m, nn.ConvTranspose2d))
        with torch.no_grad():
            transposed.weight.mul_(0.01)
            for layer in top.modules():
                if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                    layer.get_parameter("bias").zero_()


def _monai_unet(**arguments: Any) -> nn.Module:
    try:
        # Here, because MONAI takes seconds to load and only this network needs it.
        from monai.networks.nets.unet import UNet
    except ModuleNotFoundError:
        raise ModelError(
            "The network 'unet' is MONAI's, which is not installed; install it with "
            "pip install monai (it belongs to microctsr[training])."
        ) from None
    network: nn.Module = UNet(**arguments)
    return network
