"""Layers written another way for inference: the same numbers, faster."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

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
    """A wide convolution to one channel as one along rows for each row of its kernel, then summed.

    Libraries compute 16 output channels at once. Of the whole convolution they would keep one; of
    this one, as many as the kernel has rows, which are then shifted and added.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        # (1, C, rows, columns) -> (rows, C, 1, columns): row r makes output channel r.
        rows = layer.weight.detach()[0].transpose(0, 1)[:, :, None]
        self.register_buffer("rows", rows.contiguous(memory_format=torch.channels_last))
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
        by_row = functional.conv2d(x, self.get_buffer("rows"), padding=self._padding)
        _, rows, height, _ = by_row.shape
        height -= rows - 1
        result = by_row[:, 0, :height]
        for row in range(1, rows):
            result = result + by_row[:, row, row : row + height]
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
