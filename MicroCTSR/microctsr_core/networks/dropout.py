"""Where dropout acts: masks come from outside, from a posterior pass or from a training step."""

from __future__ import annotations

from torch import Tensor


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """Features (N, C, H, W) times a mask; as they are without one.

    Args:
        x: features.
        mask: (C,) or (N, C) for whole channels, (N, C, H, W) for single elements; zeros for what
            is dropped, and 1 / (1 - rate) for what is kept.
    """
    if mask is None:
        return x
    return x * (mask if mask.ndim == 4 else mask.reshape(-1, x.shape[1], 1, 1))
