"""Blocks in which there is nothing but air need no passes of their own.

That is part of ``samples="auto"``; who asks for a number of passes gets as many everywhere.

A block is air if nothing that its result depends on reaches -800 HU: no voxel of its receptive
field, in no plane of the stack. That is a fifth of the way from air to water. The noise of the
bundled CT's air (34 HU) reaches it at 5.7 standard deviations, and where tissue fills a fifth of a
voxel it is no longer air; skin, mucosa and fat lie far above.

Such a block gets what the network makes of flat air, once in a run, moved to the level of the
block. What is left out is what the network leaves of noise in air. Cubic interpolation would not
do instead: it keeps the noise, and a network may move air by some HU, so that its blocks would be
seen beside those of the network.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from .networks import Generator
from .posterior import Posterior
from .preparation import HUWindow, Intensity
from .tiles import BLOCK, Region, Tile, relative, widened

AIR_HU = -800.0
FLAT_HU = -1000.0

Sample: TypeAlias = Callable[[Tensor, Tile], Posterior]
"""Runs the passes of a tile, of which it is given the planes that the tile reads."""


class Air:
    """Finds blocks of air, and answers for them.

    Args:
        network: one whose result at a place depends on nothing beyond its radius.
        intensity: a window of HU.
        sample: gives the network's answer to flat air; asked once, when air is first met.
    """

    def __init__(self, network: Generator, intensity: HUWindow, sample: Sample) -> None:
        self._network = network
        self._sample = sample
        limits = np.array([AIR_HU, FLAT_HU], np.float32)
        self._limit, self._flat_level = intensity.forward(limits).tolist()
        self._flat: Posterior | None = None

    def levels(self, planes: Tensor, tile: Tile) -> dict[Region, float]:
        """The blocks of a tile that are air, and the mean of what each depends on.

        Args:
            planes: that the tile reads, (in_slices, rows, columns), scaled.
            tile: with its blocks.
        """
        fields = [
            planes[(slice(None), *relative(region, tile.read))]
            for region in (widened(b, self._network.radius, tile.read) for b in tile.blocks)
        ]
        highest = torch.stack([field.max() for field in fields]).tolist()
        return {
            block: float(field.mean())
            for block, field, value in zip(tile.blocks, fields, highest, strict=True)
            if value < self._limit
        }

    def answer(self, block: Region, level: float, device: torch.device) -> Posterior:
        """Mean and variance of a block of air; it took no passes."""
        if self._flat is None:
            self._flat = self._flat_air(device)
        place = relative(block, _square(block), self._network.scale)
        mean = self._flat.mean[place] + np.float32(level - self._flat_level)
        return Posterior(mean, self._flat.variance[place], (0,))

    def _flat_air(self, device: torch.device) -> Posterior:
        """What the network makes of flat air in one square of the scan's block grid."""
        stride = getattr(self._network, "stride", 1)
        unit = math.lcm(BLOCK, stride)
        first = -(-self._network.radius // unit) * unit
        square = ((first, first + BLOCK), (first, first + BLOCK))
        length = 2 * first + unit
        read = ((0, length), (0, length))
        planes = torch.full((self._network.in_slices, length, length), self._flat_level)
        return self._sample(planes.to(device), Tile(read, square, (square,)))


def air_of(network: Generator, intensity: Intensity, sample: Sample) -> Air | None:
    """Air for a network, if it can be known: by its HU, and by the network's answer alone.

    Not where intensities are scaled by the statistics of a scan, where the network normalises by
    those of a tile, nor where every place has masks of its own.
    """
    alone = getattr(network, "norm", "none") != "instance"
    everywhere_alike = getattr(network, "dropout", "channel") != "element"
    if isinstance(intensity, HUWindow) and alone and everywhere_alike:
        return Air(network, intensity, sample)
    return None


def _square(block: Region) -> Region:
    """The square of the scan's block grid in which a block lies."""
    rows, columns = ((start // BLOCK * BLOCK, start // BLOCK * BLOCK + BLOCK) for start, _ in block)
    return rows, columns
