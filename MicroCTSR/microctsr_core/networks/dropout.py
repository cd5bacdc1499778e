"""Where dropout acts: masks come from outside, from a posterior pass or from a training step.

A mask that is the same for all samples says before a convolution runs which of its channels are
dropped. They are left out, ahead of the site and behind it: the same numbers for less work.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


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


def kept_channels(mask: Tensor | None) -> Tensor | None:
    """Numbers of the channels that a mask (C,) keeps, at least one; ``None`` for other masks."""
    if mask is None or mask.ndim != 1:
        return None
    kept = mask.nonzero().flatten()
    return kept if len(kept) else kept.new_zeros(1)


def chosen(x: Tensor, kept: Tensor) -> Tensor:
    """Some channels of features (N, C, H, W), as the last axis in memory, as inference has them."""
    return x.permute(0, 2, 3, 1)[..., kept].permute(0, 3, 1, 2)


def outputs_kept(layer: nn.Conv2d, kept: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of the output channels that are kept; all where ``kept`` is ``None``."""
    if kept is None:
        return layer.weight, layer.bias
    return layer.weight[kept], None if layer.bias is None else layer.bias[kept]


def inputs_kept(layer: nn.Conv2d, kept: Tensor, mask: Tensor) -> Tensor:
    """Weight of the input channels that are kept, times what a mask (C,) says of them."""
    return layer.weight[:, kept] * mask[kept].reshape(1, -1, 1, 1)


def convolved_into(kept: Tensor | None, x: Tensor, layer: nn.Conv2d) -> Tensor:
    """The channels of a convolution that are kept; all where ``kept`` is ``None``."""
    if kept is None:
        convolved: Tensor = layer(x)
        return convolved
    return functional.conv2d(x, *outputs_kept(layer, kept), padding=layer.padding)


def convolved_from(
    hidden: Tensor, layer: nn.Conv2d, mask: Tensor | None, pad: nn.Module | None = None
) -> Tensor:
    """A convolution of masked features.

    Args:
        hidden: features in all channels, or in those alone that the mask keeps.
        layer: the convolution.
        mask: of all channels.
        pad: what comes between mask and convolution.
    """
    pad = pad or nn.Identity()
    kept = kept_channels(mask)
    if kept is None or mask is None:
        convolved: Tensor = layer(pad(masked(hidden, mask)))
        return convolved
    if hidden.shape[1] > len(kept):
        hidden = chosen(hidden, kept)
    weight = inputs_kept(layer, kept, mask)
    return functional.conv2d(pad(hidden), weight, layer.bias, padding=layer.padding)


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions around a skip, an activation and then the dropout site between them.

    Args:
        width: channels throughout.
        activation: acts on every channel alike.
    """

    def __init__(self, width: int, activation: nn.Module) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.activation = activation
        self.second = nn.Conv2d(width, width, 3, padding=1)
        with torch.no_grad():
            # Blocks start close to the identity, so depth costs no stability without normalisation.
            self.second.weight.mul_(0.1)
            self.second.get_parameter("bias").zero_()

    def before_dropout(self, x: Tensor, kept: Tensor | None = None) -> Tensor:
        """The first convolution and the activation, of all channels or of those kept."""
        hidden: Tensor = self.activation(convolved_into(kept, x, self.first))
        return hidden

    def after_dropout(self, x: Tensor, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """Drop channels of ``hidden``, convolve it again and add it to the block's input ``x``."""
        return convolved_from(hidden, self.second, mask).add_(x)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x is (N, width, H, W); mask is (width,) or (N, width), zeros for dropped channels."""
        return self.after_dropout(x, self.before_dropout(x, kept_channels(mask)), mask)
