"""What the loop asks of a method, and the memory of generated images that some methods keep."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..networks import Generator
from ..networks.patchgan import PatchGAN
from .chance import Chance, generator
from .losses import Term

Batch = Mapping[str, Tensor]


class Method(nn.Module, ABC):
    """Networks that learn together, and their losses.

    Losses are told domain by domain and are means over the slots given, so that the loop can share
    a batch among processes and passes. The first dimension of every tensor is that of the slots.

    Attributes:
        up: the generator that a model package will hold (the paper's G_L).
        generators, judges: networks of the two turns of a step; without judges there is one turn.
        alone: share of the run in which the generators learn without the judges.
        later: domains that nothing is learned from in that share.
        pool: generated images kept to show the judges again, over all slots together.
    """

    up: nn.Module
    alone: float = 0.0
    later: Sequence[str] = ()
    pool: int = 0

    @property
    def generators(self) -> Sequence[nn.Module]:
        return [self.up]

    @property
    def judges(self) -> Sequence[PatchGAN]:
        return []

    @abstractmethod
    def generator_terms(
        self, domain: str, batch: Batch, chance: Chance, alone: bool
    ) -> tuple[list[Term], Tensor | None]:
        """The generators' losses from one domain, and what they made for the judges to see.

        Args:
            domain: ``low`` or ``high``: where the batch is from.
            batch: tensors by name, each (slots, ...).
            chance: for these slots.
            alone: whether the generators learn without the judges at this step.
        """

    def judge_terms(
        self,
        domain: str,  # noqa: ARG002 - for methods with judges
        batch: Batch,  # noqa: ARG002
        made: Tensor,  # noqa: ARG002
    ) -> list[Term]:
        """The judges' losses from the same batch and from (slots, ...) of generated images."""
        return []


class ImagePool:
    """Generated images of earlier steps (Shrivastava et al. 2017), for each slot apart.

    The judges see a new image, or, once the slot's pool is full, half of the time an old one whose
    place it takes.

    Args:
        capacity: images that a slot keeps.
        seed: of the run.
    """

    def __init__(self, capacity: int, seed: int) -> None:
        self._capacity, self._seed = capacity, seed
        self.images: dict[str, Tensor] = {}

    def exchange(self, domain: str, step: int, slots: Sequence[int], made: Tensor) -> Tensor:
        """What the judges are shown instead of ``made`` (slots, ...)."""
        if not self._capacity:
            return made
        return torch.stack(
            [self._one(domain, step, slot, image) for slot, image in zip(slots, made, strict=True)]
        )

    def _one(self, domain: str, step: int, slot: int, image: Tensor) -> Tensor:
        key = f"{domain} {slot}"
        kept = self.images.get(key)
        count = 0 if kept is None else len(kept)
        if kept is None or count < self._capacity:
            self.images[key] = image[None] if kept is None else torch.cat([kept, image[None]])
            return image
        coin = generator(self._seed, step, slot, f"{domain} pool")
        if coin.random() < 0.5:
            return image
        place = int(coin.integers(count))
        old = kept[place].clone()
        kept[place] = image
        return old


def frozen(module: nn.Module, wanted: bool) -> None:
    """Take a network's weights out of the gradient, or back in."""
    module.requires_grad_(not wanted)


def called(network: Any, x: Tensor, chance: Chance, name: str) -> Tensor:
    """A generator's pass with dropout masks of its own, one per slot.

    ``x`` is (slots * n, planes, H, W) with the n images of a slot one after the other; they share
    the slot's masks, as the planes of one volume do in a posterior pass.
    """
    typed: Generator = network
    masks = chance.masks(name, typed, (x.shape[-2], x.shape[-1]))
    repeats = len(x) // len(chance.slots)
    if masks is not None and repeats > 1:
        masks = [mask.repeat_interleave(repeats, 0) for mask in masks]
    return typed(x, masks)
