"""Layers written another way for inference: the same numbers, faster."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

_STRIP = 32
"""Rows that are computed at once, so that what lies between stays in the processor's cache."""
_WIDE = 7
"""Edge of a kernel from which :class:`OneChannelConvolution` is the faster form: measured for 7."""


def rewrite(network: nn.Module, wide: bool = True) -> None:
    """Fold normalisations with fixed statistics into convolutions, and hasten a wide last one.

    Normalisations by the statistics of an image stay as they are.

    Args:
        network: in evaluation mode, changed in place; of the layers that it calls one after the
            other, those to be folded stand in one ``nn.Sequential``.
        wide: whether wide convolutions to one channel are written another way, for a processor.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Sequential):
            _fold(module)
        for name, layer in list(module.named_children()):
            if wide and isinstance(layer, nn.Conv2d) and OneChannelConvolution.suits(layer):
                setattr(module, name, OneChannelConvolution(layer))


class OneChannelConvolution(nn.Module):
    """A wide convolution to one channel as a matrix product, whose rows are shifted and added.

    Libraries compute several output channels at once, of which there is only one.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        channels, self._edge, _ = layer.weight.shape[1:]
        taps = layer.weight.detach()[0].reshape(channels, -1).t().contiguous()
        self.register_buffer("taps", taps)
        self.register_buffer("bias", layer.bias)
        self._padding = int(layer.padding[0])

    @staticmethod
    def suits(layer: nn.Conv2d) -> bool:
        """Whether a convolution can be written so, and gains by it."""
        plain = layer.stride == layer.dilation == (1, 1) and layer.groups == layer.out_channels == 1
        square = layer.kernel_size[0] == layer.kernel_size[1] >= _WIDE
        return plain and square and not isinstance(layer.padding, str)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 1, H + 2·padding - edge + 1, W + 2·padding - edge + 1)."""
        x = functional.pad(x, (self._padding,) * 4)
        rows = x.shape[2] - self._edge + 1
        strips = [
            self._strip(x[:, :, start : min(start + _STRIP, rows) + self._edge - 1])
            for start in range(0, rows, _STRIP)
        ]
        return torch.cat(strips, 2)

    def _strip(self, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        pixels = x.permute(0, 2, 3, 1).reshape(-1, channels)
        weighted = (self.get_buffer("taps") @ pixels.t()).reshape(-1, n, height, width)
        rows, columns = height - self._edge + 1, width - self._edge + 1
        result = x.new_zeros(n, rows, columns)
        for tap, values in enumerate(weighted):
            row, column = divmod(tap, self._edge)
            result += values[:, row : row + rows, column : column + columns]
        bias = self._buffers["bias"]
        return (result if bias is None else result + bias)[:, None]


def _fold(sequence: nn.Sequential) -> None:
    for (name, layer), (behind, norm) in pairwise(list(sequence.named_children())):
        if not isinstance(norm, nn.BatchNorm2d):
            continue
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            transposed = isinstance(layer, nn.ConvTranspose2d)
            setattr(sequence, name, fuse_conv_bn_eval(layer, norm, transposed))
            setattr(sequence, behind, nn.Identity())
