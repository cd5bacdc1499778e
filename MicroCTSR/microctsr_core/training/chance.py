"""Chance without state: every random number is drawn from what it is for.

A draw is keyed by (seed, step, slot, name), where a slot is a place in the batch of the whole run.
A run that was stopped and goes on therefore draws the same numbers as one that was not, and two
processes that share a batch draw what one would.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..networks import Generator


@dataclass(frozen=True)
class Chance:
    """Draws for some slots of one step's batch.

    Args:
        seed: of the run.
        step: number of the step.
        slots: places in the whole batch of one domain, in the order of the tensors drawn.
        device: where the tensors go.
    """

    seed: int
    step: int
    slots: Sequence[int]
    device: torch.device

    def normal(self, name: str, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers, (slots, *shape)."""
        return torch.stack(
            [
                torch.randn(tuple(shape), generator=g, device=self.device)
                for g in self._generators(name)
            ]
        )

    def masks(self, name: str, network: Generator, grid: tuple[int, int]) -> list[Tensor] | None:
        """Dropout masks for one forward pass, a row for each slot; ``None`` without dropout.

        Args:
            name: tells this pass from the others of the step.
            network: whose sites, rate and kind of dropout count.
            grid: rows and columns of the network's input, which element dropout goes by.
        """
        kind = getattr(network, "dropout", "channel")
        if kind == "none" or not network.dropout_channels:
            return None
        stride = getattr(network, "stride", 1)
        extent = tuple(length // stride for length in grid) if kind == "element" else ()
        keep = 1 - network.dropout_rate
        rows = [
            [
                torch.empty((channels, *extent), device=self.device).bernoulli_(keep, generator=g)
                for channels in network.dropout_channels
            ]
            for g in self._generators(name)
        ]
        return [torch.stack(site) / keep for site in zip(*rows, strict=True)]

    def _generators(self, name: str) -> list[torch.Generator]:
        return [
            torch.Generator(self.device).manual_seed(_key(self.seed, self.step, slot, name))
            for slot in self.slots
        ]


def generator(seed: int, step: int, slot: int, name: str) -> np.random.Generator:
    """NumPy's generator for one draw of one slot of one step."""
    return np.random.default_rng(_key(seed, step, slot, name))


def _key(seed: int, step: int, slot: int, name: str) -> int:
    sequence = np.random.SeedSequence([seed, step, slot, zlib.crc32(name.encode())])
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)
