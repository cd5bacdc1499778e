"""Monte-Carlo dropout: mean and variance over many passes, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .masks import ChannelMasks, MaskSource
from .moments import Ended, Moments, Place, Stopping, settled
from .networks import Generator
from .passes import PassDecoder
from .tiles import Region, area, bounds, relative, widened
from .transfer import fetched

Samples: TypeAlias = int | Literal["auto"]

# The error of the uncertainty is estimated from every second pixel along both axes: neighbours on
# the fine grid are all but equal.
_SPARSE = 2
# The passes still to run shrink to the blocks that need them once that saves this share.
_WORTH_SHRINKING = 0.15


@dataclass(frozen=True)
class Posterior:
    """What the passes say about one tile, in the scaled units of the network.

    Args:
        mean: prediction, mean over passes, shape (rows, columns).
        variance: mean squared deviation from it (the paper's variance map), same shape.
        passes: passes used for each block, in the order of the tile's blocks.
    """

    mean: NDArray[np.float32]
    variance: NDArray[np.float32]
    passes: tuple[int, ...]


def posterior(
    network: Generator,
    stack: Tensor,
    samples: Samples,
    seed: int = 0,
    *,
    masks: MaskSource | None = None,
    read: Region | None = None,
    blocks: Sequence[Region] | None = None,
    stopping: Stopping | None = None,
    after_pass: Callable[[int], None] | None = None,
    decoder: PassDecoder | None = None,
) -> Posterior:
    """Mean and variance of a tile over passes with dropout.

    What lies ahead of the first dropout is computed once; each pass computes only the rest, and
    only around the blocks that still need it.

    Args:
        network: in evaluation mode, on the stack's device.
        stack: planes the network reads, shape (in_slices, H, W), scaled intensities.
        samples: number of passes, or ``"auto"`` to decide per block (see ``moments.settled``).
        seed: of the channel masks.
        masks: where masks come from instead, such as :class:`ElementMasks`.
        read: region of the scan that the stack shows; by default it starts at (0, 0).
        blocks: rectangles of the scan inside ``read``, each of which decides on its own number of
            passes; by default the whole stack.
        stopping: tolerance and bounds for ``"auto"``.
        after_pass: called with the number of passes done; may raise to end the work.
        decoder: runs the network's passes; by default one after the other.

    Returns:
        Arrays of the smallest rectangle around the blocks, ``network.scale`` times finer than the
        stack; zero between the blocks.
    """
    height, width = stack.shape[-2:]
    read = read or ((0, height), (0, width))
    blocks = blocks or [read]
    stopping = stopping or Stopping()
    automatic = samples == "auto"
    dropout = has_dropout(network)
    total = _passes(network, samples, stopping)
    masks = masks or ChannelMasks(network, seed, stack.device)
    decoder = decoder or PassDecoder(network)
    result = _Result(blocks, network.scale, stack.device)
    running = list(range(len(blocks)))
    done = 0
    with torch.inference_mode():
        part = _Part(network, network.encode(stack[None]), read, blocks)
        while running:
            until = min(total, stopping.next_asked(done)) if automatic else total
            draw = partial(masks, region=part.read) if dropout else _no_masks
            for planes in decoder.passes(part.encoded, draw, range(done, until)):
                for plane in planes:
                    part.add(plane, higher=automatic)
                    done += 1
                    if after_pass is not None:
                        after_pass(done)
            ended = running
            if done < total:
                answers = part.settled([blocks[n] for n in running], stopping)
                ended = [n for n, answer in zip(running, answers, strict=True) if answer]
            for n in ended:
                result.note(n, part.moments_of(blocks[n]))
            running = [n for n in running if n not in ended]
            if running:
                part = part.shrunk([blocks[n] for n in running])
    return result.posterior()


def joined(
    parts: Sequence[Posterior],
    blocks_of_parts: Sequence[Sequence[Region]],
    blocks: Sequence[Region],
    scale: int,
) -> Posterior:
    """The posterior of a tile from those of its parts.

    Args:
        parts: of the rectangles around some of the blocks.
        blocks_of_parts: the blocks of each part.
        blocks: of the whole tile, in its order.
        scale: of the network.
    """
    whole = bounds(blocks)
    rows, columns = ((stop - start) * scale for start, stop in whole)
    mean, variance = np.zeros((2, rows, columns), np.float32)
    passes: dict[Region, int] = {}
    for part, owned in zip(parts, blocks_of_parts, strict=True):
        place = relative(bounds(owned), whole, scale)
        mean[place], variance[place] = part.mean, part.variance
        passes.update(zip(owned, part.passes, strict=True))
    return Posterior(mean, variance, tuple(passes[block] for block in blocks))


class _Part:
    """The rectangle around some blocks: what its passes read, and what is known of them.

    Args:
        network: that decodes.
        encoded: of the region ``read``.
        read: region that the encoded features show.
        blocks: rectangles inside it.
    """

    def __init__(
        self,
        network: Generator,
        encoded: Sequence[Tensor],
        read: Region,
        blocks: Sequence[Region],
    ) -> None:
        self.area = bounds(blocks)
        halo = getattr(network, "decode_radius", network.radius)
        self.read = widened(self.area, halo, read, getattr(network, "stride", 1))
        self.encoded = [_cropped(each, self.read, read) for each in encoded]
        self._network = network
        self._moments, self._sparse = Moments(2), Moments(4)

    def add(self, plane: Tensor, higher: bool) -> None:
        """Add a pass over all that is read."""
        inside = plane[relative(self.area, self.read, self._network.scale)]
        self._moments.add(inside)
        if higher:
            self._sparse.add(inside[self._phases])

    def moments_of(self, block: Region) -> Moments:
        """Of the passes in a block."""
        return self._moments.part(relative(block, self.area, self._network.scale))

    def settled(self, blocks: Sequence[Region], stopping: Stopping) -> list[bool]:
        """Whether blocks need no further pass, judged by every second pixel."""
        return settled(self._sparse, [self._sparse_place(block) for block in blocks], stopping)

    def shrunk(self, blocks: Sequence[Region]) -> _Part:
        """The part around fewer blocks; itself where that would save little."""
        smaller = _Part(self._network, self.encoded, self.read, blocks)
        if area(smaller.read) > (1 - _WORTH_SHRINKING) * area(self.read):
            return self
        smaller._moments = self.moments_of(smaller.area)
        smaller._sparse = self._sparse.part(self._sparse_place(smaller.area))
        return smaller

    @property
    def _phases(self) -> Place:
        """Every second pixel, counted from the slice's first."""
        scale = self._network.scale
        rows, columns = (slice(-start * scale % _SPARSE, None, _SPARSE) for start, _ in self.area)
        return rows, columns

    def _sparse_place(self, block: Region) -> Place:
        """Where a block lies among every second pixel of the area."""
        scale = self._network.scale
        rows, columns = (
            slice(
                -(-start * scale // _SPARSE) - -(-first * scale // _SPARSE),
                -(-stop * scale // _SPARSE) - -(-first * scale // _SPARSE),
            )
            for (start, stop), (first, _) in zip(block, self.area, strict=True)
        )
        return rows, columns


class _Result:
    """The blocks of a tile that need no further pass."""

    def __init__(self, blocks: Sequence[Region], scale: int, device: torch.device) -> None:
        self._blocks, self._scale, self._area = blocks, scale, bounds(blocks)
        shape = [(stop - start) * scale for start, stop in self._area]
        self._ended = Ended(shape, device)
        self._passes = [0] * len(blocks)

    def note(self, number: int, moments: Moments) -> None:
        """Block ``number`` is done."""
        place = relative(self._blocks[number], self._area, self._scale)
        self._ended.note(place, moments)
        self._passes[number] = moments.count

    def posterior(self) -> Posterior:
        mean, variance = fetched(self._ended.mean_and_variance())
        return Posterior(mean, variance, tuple(self._passes))


def _cropped(encoded: Tensor, wanted: Region, have: Region) -> Tensor:
    """A region of encoded features, whatever grid they lie on."""
    rows, columns = (
        slice((start - first) * length // (last - first), (stop - first) * length // (last - first))
        for (start, stop), (first, last), length in zip(
            wanted, have, encoded.shape[-2:], strict=True
        )
    )
    return encoded[..., rows, columns]


def has_dropout(network: Generator) -> bool:
    """Whether passes differ at all."""
    return network.dropout_rate > 0 and len(network.dropout_channels) > 0


def _no_masks(_number: int) -> None:
    """For networks in which nothing is dropped."""


def _passes(network: Generator, samples: Samples, stopping: Stopping) -> int:
    if not has_dropout(network):
        return 1
    return stopping.maximum if samples == "auto" else samples
