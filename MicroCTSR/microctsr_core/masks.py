"""Which channels or values a pass drops.

A pass is a sample of the network, not of a tile (Gal & Ghahramani 2016; Li et al. 2021 use
T = 100): its channel mask is drawn from (seed, pass number) alone, so neighbouring tiles and
slices agree, and nothing depends on how the work was cut or on how many workers shared it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .networks import Generator
from .tiles import Region

# Masks of the first passes are kept: as many as "auto" and the paper ever run.
_KEPT_PASSES = 100
# Element masks are drawn in squares of this many values along an edge.
_SHEET_BLOCK = 32


class MaskSource(Protocol):
    """Gives the masks of a pass; the same pass number always gives the same masks."""

    def __call__(self, pass_number: int, region: Region) -> list[Tensor]:
        """The masks of one pass for a region of the slice, in pixels of the network's input."""


def channel_masks(network: Generator, seed: int, pass_number: int) -> list[NDArray[np.float32]]:
    """Channel masks of one pass, the same for every tile, slice, worker and device.

    Args:
        network: gives the channels per dropout site and the rate.
        seed, pass_number: whole numbers from 0; together they fix the masks.

    Returns:
        One array of shape (C,) per site: 0 for a dropped channel, 1 / (1 - rate) for a kept one.
    """
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, pass_number))))
    keep = 1 - network.dropout_rate
    return [
        ((rng.random(channels) < keep) / keep).astype(np.float32)
        for channels in network.dropout_channels
    ]


class ChannelMasks:
    """Channel masks on a device; those of the first passes are kept for the tiles to come.

    They are drawn before the first pass: small arrays that were kept one by one would come to lie
    between the large ones of the passes, and memory would grow with their number.

    Later passes draw theirs anew for every tile: the same numbers, in constant memory.
    """

    def __init__(self, network: Generator, seed: int, device: torch.device) -> None:
        self._network = network
        self._seed = seed
        self._device = device
        self._kept = [self._drawn(number) for number in range(_KEPT_PASSES)]

    def __call__(self, pass_number: int, region: Region | None = None) -> list[Tensor]:  # noqa: ARG002
        """The masks of one pass, the same for every region."""
        if pass_number < _KEPT_PASSES:
            return self._kept[pass_number]
        return self._drawn(pass_number)

    def _drawn(self, pass_number: int) -> list[Tensor]:
        masks = channel_masks(self._network, self._seed, pass_number)
        return [torch.from_numpy(mask).to(self._device) for mask in masks]


class ElementMasks:
    """The paper's dropout of single values.

    Values belong to places of a sheet and not to the tile that covers them, so tiles of one sheet
    agree as those of channel masks do.

    Args:
        network: its dropout sites lie on the input's grid made coarser by ``network.stride``.
        seed: with the pass and the sheet, it fixes the masks.
        sheet: whole numbers that tell this sheet from every other, such as the plane.
        device: where masks are drawn; another kind of device draws other masks.
    """

    def __init__(
        self,
        network: Generator,
        seed: int,
        sheet: Sequence[int],
        device: torch.device,
    ) -> None:
        self._network = network
        self._entropy = (seed, *sheet)
        self._device = device

    def __call__(self, pass_number: int, region: Region) -> list[Tensor]:
        """The masks of one pass for a region that begins at multiples of the stride."""
        stride = getattr(self._network, "stride", 1)
        (j0, j1), (i0, i1) = (
            (start // stride, start // stride + (stop - start) // stride) for start, stop in region
        )
        blocks = [
            [
                self._block(pass_number, row, column)
                for column in range(i0 // _SHEET_BLOCK, -(-i1 // _SHEET_BLOCK))
            ]
            for row in range(j0 // _SHEET_BLOCK, -(-j1 // _SHEET_BLOCK))
        ]
        top, left = j0 % _SHEET_BLOCK, i0 % _SHEET_BLOCK
        masks = []
        for site in range(len(self._network.dropout_channels)):
            strips = [torch.cat([block[site] for block in row], dim=3) for row in blocks]
            whole = torch.cat(strips, dim=2)
            masks.append(whole[:, :, top : top + j1 - j0, left : left + i1 - i0])
        return masks

    def _block(self, pass_number: int, row: int, column: int) -> list[Tensor]:
        """The masks of one square of the sheet, one per site."""
        # Seeds must not be negative, but tiles may begin outside the scan.
        place = (number % 2**64 for number in (pass_number, *self._entropy, row, column))
        sequence = np.random.SeedSequence(tuple(place))
        generator = torch.Generator(self._device)
        generator.manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1)))
        keep = 1 - self._network.dropout_rate
        shapes = [(1, n, _SHEET_BLOCK, _SHEET_BLOCK) for n in self._network.dropout_channels]
        return [
            (torch.rand(shape, generator=generator, device=self._device) < keep) / keep
            for shape in shapes
        ]
