"""Normalisation folded into the convolutions ahead of it, for inference."""

from __future__ import annotations

from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold(network: nn.Module) -> None:
    """Let convolutions do what a normalisation with fixed statistics does behind them, in place.

    Normalisations by the statistics of an image stay as they are.

    Args:
        network: in evaluation mode; layers that follow each other stand in one ``nn.Sequential``.
    """
    for sequence in network.modules():
        if not isinstance(sequence, nn.Sequential):
            continue
        for (name, layer), (behind, norm) in pairwise(list(sequence.named_children())):
            if not isinstance(norm, nn.BatchNorm2d):
                continue
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                transposed = isinstance(layer, nn.ConvTranspose2d)
                setattr(sequence, name, fuse_conv_bn_eval(layer, norm, transposed))
                setattr(sequence, behind, nn.Identity())
