"""The generator of SRGAN, without its batch normalisation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .dropout import masked
from .subpixel import cubic, radius_above, start_quietly


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions around a skip, a PReLU and then the dropout site between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.activation = nn.PReLU()
        self.second = nn.Conv2d(width, width, 3, padding=1)
        with torch.no_grad():
            # Blocks start close to the identity, so depth costs no stability without normalisation.
            self.second.weight.mul_(0.1)
            self.second.get_parameter("bias").zero_()

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x is (N, width, H, W); mask is (width,) or (N, width), zeros for dropped channels."""
        return x + self.second(masked(self.activation(self.first(x)), mask))


class SRResNetGenerator(nn.Module):
    """SRGAN's generator (Ledig et al. 2017): one slice on the low grid in, the high grid out.

    A 9×9 convolution, residual blocks and one more convolution around a long skip, sub-pixel
    convolutions that double the grid, and a 9×9 convolution at the end. Three things differ from
    the paper: the grid is doubled as often as the scale asks for; the result is added to the
    cubic interpolation of the input; and there is no batch normalisation, whose statistics of the
    batch tie an image's result to its neighbours in training and to averages of them later, cost
    sharpness and make artefacts in super-resolution (Lim et al. 2017; Wang et al. 2018).

    Args:
        scale: in-plane factor, a power of two from 2.
        width: channels throughout.
        blocks: residual blocks on the low grid.
        dropout_blocks: how many of the last blocks hold a dropout site.
        dropout_rate: share of channels dropped in a pass.
        last_kernel: edge of the last convolution in pixels of the high grid; odd.

    Raises:
        ValueError: an argument outside these limits.
    """

    in_slices = 1

    def __init__(
        self,
        scale: int = 8,
        width: int = 64,
        blocks: int = 16,
        dropout_blocks: int = 4,
        dropout_rate: float = 0.2,
        last_kernel: int = 9,
    ) -> None:
        super().__init__()
        power_of_two = scale >= 2 and scale & (scale - 1) == 0
        if not power_of_two or width < 1 or not 0 < dropout_blocks <= blocks:
            raise ValueError(
                f"srresnet needs a scale of 2, 4, 8 and so on (got {scale}), a width of at least 1 "
                f"(got {width}) and 1 to {blocks} dropout blocks (got {dropout_blocks})."
            )
        if last_kernel < 1 or last_kernel % 2 == 0 or not 0 <= dropout_rate < 1:
            raise ValueError(
                f"srresnet needs an odd last_kernel and a dropout rate in [0, 1), "
                f"not {last_kernel} and {dropout_rate}."
            )
        self.scale = scale
        self.dropout_rate = dropout_rate
        self.dropout_channels = (width,) * dropout_blocks
        self.stem = nn.Conv2d(1, width, 9, padding=4)
        self.stem_activation = nn.PReLU()
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(blocks))
        self.after_blocks = nn.Conv2d(width, width, 3, padding=1)
        count = scale.bit_length() - 1
        self.doublings = nn.ModuleList(
            nn.Conv2d(width, 4 * width, 3, padding=1) for _ in range(count)
        )
        self.activations = nn.ModuleList(nn.PReLU() for _ in range(count))
        self.last = nn.Conv2d(width, 1, last_kernel, padding=last_kernel // 2)
        start_quietly(self.doublings, self.last)

    @property
    def radius(self) -> int:
        """Radius of the receptive field in input pixels: the halo that makes tiles exact."""
        on_low_grid = 4 + 2 * len(self.blocks) + 1
        return on_low_grid + radius_above(len(self.doublings), self.last.kernel_size[0])

    def encode(self, x: Tensor) -> Tensor:
        """Everything ahead of the first dropout: (N, 1, H, W) -> (N, 2·width, H, W).

        The long skip and the features at the first site lie one after the other in the channels.
        """
        skip = self.stem_activation(self.stem(4 * (x - 0.5)))
        features = skip
        for block in self.blocks[: -len(self.dropout_channels)]:
            features = block(features)
        return torch.cat([skip, features], dim=1)

    def decode(self, features: Tensor, x: Tensor, masks: Sequence[Tensor] | None) -> Tensor:
        """The rest, for one set of masks: encoded features -> (N, 1, scale·H, scale·W)."""
        sites = len(self.dropout_channels)
        chosen: Sequence[Tensor | None] = masks or [None] * sites
        skip, y = features.chunk(2, dim=1)
        for block, mask in zip(self.blocks[-sites:], chosen, strict=True):
            y = block(y, mask)
        y = skip + self.after_blocks(y)
        for doubling, activation in zip(self.doublings, self.activations, strict=True):
            y = activation(functional.pixel_shuffle(doubling(y), 2))
        return cubic(x, self.scale) + self.last(y)

    def forward(self, x: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """Slice (N, 1, H, W) in [0, 1] -> slice (N, 1, scale·H, scale·W)."""
        return self.decode(self.encode(x), x, masks)
