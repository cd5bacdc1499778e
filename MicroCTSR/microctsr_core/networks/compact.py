"""The default generator: computes on the low grid, reaches the high one by pixel shuffling."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from .dropout import ResidualBlock
from .subpixel import cubic, radius_above, start_quietly


class CompactGenerator(nn.Module):
    """Super-resolves one plane, seen with its neighbours, eightfold in the plane.

    The input is a stack of `in_slices` planes one in-plane voxel apart around the output plane,
    interpolated from the scan where its slices lie further apart. All residual blocks work on this
    low grid; sub-pixel convolutions (Shi et al. 2016) then double the grid for every entry of
    `upsampling`, and a last one makes what is left of `scale` at once: the finest pixels are finer
    than what a scan can tell of, and a layer of features on their grid costs much and adds nothing.
    The result is added to the cubic interpolation of the middle plane. There are no normalisation
    layers, so nothing depends on the statistics of a tile. Channel dropout sits in the last
    `dropout_blocks` blocks only: what lies ahead of them is computed once for all passes.

    Parameters
    ----------
    in_slices : odd number of planes read.
    scale : in-plane factor, a multiple of two to the number of doublings.
    width, blocks : channels and number of residual blocks on the low grid.
    upsampling : channels after each doubling of the grid.
    dropout_blocks : how many of the last blocks hold a dropout site.
    dropout_rate : share of channels dropped in a pass.
    skip : whether the cubic interpolation is added; without it, it would have to be learned.
    """

    def __init__(
        self,
        in_slices: int = 7,
        scale: int = 8,
        width: int = 64,
        blocks: int = 10,
        upsampling: Sequence[int] = (32, 16),
        dropout_blocks: int = 4,
        dropout_rate: float = 0.2,
        skip: bool = True,
    ) -> None:
        super().__init__()
        self.last_factor, remainder = divmod(scale, 2 ** len(upsampling))
        if in_slices % 2 == 0 or remainder or scale < 1 or not 0 < dropout_blocks <= blocks:
            raise ValueError(
                f"compact needs an odd in_slices (got {in_slices}), a scale (got {scale}) that is "
                f"a multiple of 2 to the number of upsampling entries {list(upsampling)}, and 1 to "
                f"{blocks} dropout blocks (got {dropout_blocks})."
            )
        self.in_slices = in_slices
        self.scale = scale
        self.dropout_rate = dropout_rate
        self.skip = skip
        self.dropout_channels = (width,) * dropout_blocks
        self.stem = nn.Conv2d(in_slices, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            ResidualBlock(width, nn.ReLU(inplace=True)) for _ in range(blocks)
        )
        channels = (width, *upsampling)
        self.doublings = nn.ModuleList(
            nn.Conv2d(before, 4 * after, 3, padding=1) for before, after in pairwise(channels)
        )
        self.last = nn.Conv2d(channels[-1], self.last_factor**2, 3, padding=1)
        start_quietly(self.doublings, self.last)

    @property
    def radius(self) -> int:
        """Radius of the receptive field in input pixels: the halo that makes tiles exact."""
        return 1 + 2 * len(self.blocks) + self._radius_above

    @property
    def _radius_above(self) -> int:
        return radius_above(len(self.doublings), last_kernel=3)

    @property
    def decode_radius(self) -> int:
        """Radius of what ``decode`` reads of the encoded features, in input pixels."""
        return 2 * len(self.dropout_channels) - 1 + self._radius_above

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What no mask changes, of a stack (N, in_slices, H, W).

        That is the input of the first block with a dropout site and its half-way result, both
        (N, width, H, W), and what is added in the end, (N, 1, scale·H, scale·W).
        """
        features = self.stem(4 * (x - 0.5))
        for block in self.blocks[: -len(self.dropout_channels)]:
            features = block(features)
        middle = x[:, self.in_slices // 2 : self.in_slices // 2 + 1]
        base = cubic(middle, self.scale)
        if not self.skip:
            base = torch.zeros_like(base)
        hidden = self._sited_blocks()[0].before_dropout(features)
        return features, hidden, base

    def decode(self, encoded: Sequence[Tensor], masks: Sequence[Tensor] | None) -> Tensor:
        """The rest, for one set of masks: -> (N, 1, scale·H, scale·W)."""
        features, hidden, base = encoded
        first, *rest = self._sited_blocks()
        chosen: Sequence[Tensor | None] = masks or [None] * (1 + len(rest))
        features = first.after_dropout(features, hidden, chosen[0])
        for block, mask in zip(rest, chosen[1:], strict=True):
            features = block(features, mask)
        for doubling in self.doublings:
            features = functional.relu_(functional.pixel_shuffle(doubling(features), 2))
        return base + functional.pixel_shuffle(self.last(features), self.last_factor)

    def forward(self, x: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """Stack (N, in_slices, H, W) in [0, 1] -> plane (N, 1, scale·H, scale·W)."""
        return self.decode(self.encode(x), masks)

    def _sited_blocks(self) -> list[ResidualBlock]:
        blocks = list(self.blocks)[-len(self.dropout_channels) :]
        return [cast(ResidualBlock, block) for block in blocks]
