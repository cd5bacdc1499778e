"""Up-sampling by sub-pixel convolutions (Shi et al. 2016), and the quiet start they need."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional


def cubic(plane: Tensor, scale: int) -> Tensor:
    """Cubic interpolation of (N, 1, H, W) to (N, 1, scale·H, scale·W)."""
    return functional.interpolate(plane, scale_factor=scale, mode="bicubic", align_corners=False)


def radius_above(doublings: int, last_kernel: int) -> int:
    """Pixels of the low grid that the doublings and the last convolution reach to either side.

    Args:
        doublings: number of 3×3 sub-pixel convolutions, each on a grid twice as fine.
        last_kernel: edge of the last convolution, on the finest grid.
    """
    finest = 2**doublings
    return math.ceil(sum(1 / 2**level for level in range(doublings)) + last_kernel // 2 / finest)


def start_quietly(doublings: Iterable[nn.Module], last: nn.Module) -> None:
    """Start sub-pixel convolutions without a checkerboard, and the last layer near zero."""
    if last.get_parameter("weight").is_meta:
        return  # only shapes are asked for
    with torch.no_grad():
        for doubling in doublings:
            weight, bias = doubling.get_parameter("weight"), doubling.get_parameter("bias")
            # The four sub-pixels start equal, so that no checkerboard has to be unlearned.
            nn.init.kaiming_normal_(weight)
            weight.copy_(weight[::4].repeat_interleave(4, dim=0))
            bias.zero_()
        # The untrained network is all but cubic interpolation; sub-pixels of a last layer that
        # makes some at once start equal too.
        weight = last.get_parameter("weight")
        weight.copy_(0.01 * weight[:1].expand_as(weight))
        last.get_parameter("bias").zero_()
