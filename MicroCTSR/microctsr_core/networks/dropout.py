"""Channel dropout while training: every sample of a batch draws its own channels to drop."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def drawn_masks(
    channels: Sequence[int], rate: float, batch: int, device: torch.device
) -> list[Tensor]:
    """Draw one mask per dropout site from PyTorch's own random numbers.

    Args:
        channels: channels at each site.
        rate: share of channels dropped.
        batch: number of samples.
        device: of the masks.

    Returns:
        One tensor of shape (batch, C) per site: 0 for a dropped channel, 1 / (1 - rate) for a
        kept one.
    """
    keep = 1 - rate
    return [
        torch.bernoulli(torch.full((batch, count), keep, device=device)) / keep
        for count in channels
    ]


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """Features (N, C, H, W) times a channel mask, (C,) or (N, C); as they are without a mask."""
    return x if mask is None else x * mask.reshape(-1, x.shape[1], 1, 1)
