"""The generator of SRGAN, without its batch normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from .dropout import ResidualBlock
from .subpixel import cubic, radius_above, start_quietly


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
        self.blocks = nn.ModuleList(ResidualBlock(width, nn.PReLU()) for _ in range(blocks))
        self.after_blocks = nn.Conv2d(width, width, 3, padding=1)
        count = scale.bit_length() - 1
        self.doublings = nn.ModuleList(
            nn.Conv2d(width, 4 * width, 3, padding=1) for _ in range(count)
        )
        self.activations = nn.ModuleList(nn.PReLU() for _ in range(count))
        self._last_kernel = last_kernel
        self.last = nn.Conv2d(width, 1, last_kernel, padding=last_kernel // 2)
        start_quietly(self.doublings, self.last)

    @property
    def radius(self) -> int:
        """Radius of the receptive field in input pixels: the halo that makes tiles exact."""
        return 4 + 2 * len(self.blocks) + 1 + self._radius_above

    @property
    def _radius_above(self) -> int:
        return radius_above(len(self.doublings), self._last_kernel)

    @property
    def decode_radius(self) -> int:
        """Radius of what ``decode`` reads of the encoded features, in input pixels."""
        return 2 * len(self.dropout_channels) + self._radius_above

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What no mask changes, of a slice (N, 1, H, W).

        That is the long skip, the input of the first block with a dropout site and its half-way
        result, each (N, width, H, W), and what is added in the end, (N, 1, scale·H, scale·W).
        """
        skip = self.stem_activation(self.stem(4 * (x - 0.5)))
        features = skip
        for block in self.blocks[: -len(self.dropout_channels)]:
            features = block(features)
        hidden = self._sited_blocks()[0].before_dropout(features)
        return skip, features, hidden, cubic(x, self.scale)

    def decode(self, encoded: Sequence[Tensor], masks: Sequence[Tensor] | None) -> Tensor:
        """The rest, for one set of masks: -> (N, 1, scale·H, scale·W)."""
        skip, y, hidden, base = encoded
        first, *rest = self._sited_blocks()
        chosen: Sequence[Tensor | None] = masks or [None] * (1 + len(rest))
        y = first.after_dropout(y, hidden, chosen[0])
        for block, mask in zip(rest, chosen[1:], strict=True):
            y = block(y, mask)
        y = skip + self.after_blocks(y)
        for doubling, activation in zip(self.doublings, self.activations, strict=True):
            y = activation(functional.pixel_shuffle(doubling(y), 2))
        return base + self.last(y)

    def forward(self, x: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """Slice (N, 1, H, W) in [0, 1] -> slice (N, 1, scale·H, scale·W)."""
        return self.decode(self.encode(x), masks)

    def _sited_blocks(self) -> list[ResidualBlock]:
        blocks = list(self.blocks)[-len(self.dropout_channels) :]
        return [cast(ResidualBlock, block) for block in blocks]
