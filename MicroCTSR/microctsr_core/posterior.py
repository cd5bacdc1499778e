"""Monte-Carlo dropout: mean and variance over many passes, in constant memory.

A pass is a sample of the network, not of a tile (Gal & Ghahramani 2016; Li et al. 2021 use
T = 100): its channel mask is drawn from (seed, pass number) alone, so neighbouring tiles and
slices agree, and nothing depends on how the work was cut or on how many workers shared it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .networks import Generator
from .tiles import Region, relative

Samples: TypeAlias = int | Literal["auto"]

# Masks of the first passes are kept: as many as "auto" and the paper ever run.
_KEPT_PASSES = 100
# Element masks are drawn in squares of this many values along an edge.
_SHEET_BLOCK = 32


class MaskSource(Protocol):
    """Gives the masks of a pass; the same pass number always gives the same masks."""

    def __call__(self, pass_number: int) -> list[Tensor]: ...


@dataclass(frozen=True)
class Stopping:
    """When ``samples="auto"`` knows the uncertainty of a block well enough.

    Args:
        tolerance: relative standard error of the uncertainty at which passes end: 0.15 says that
            where a block is uncertain, its standard deviation is known to about 15 %.
        minimum, maximum: passes run in any case, and at most.
        floor: uncertainty, in the scaled units of the network, below which it counts as none.
    """

    tolerance: float = 0.15
    minimum: int = 10
    maximum: int = 100
    floor: float = 0.0

    def __post_init__(self) -> None:
        if not (self.tolerance > 0 and 4 <= self.minimum <= self.maximum):
            raise ValueError(
                f"Stopping needs a tolerance above 0 and 4 <= minimum <= maximum not {self}."
            )


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

    Later passes draw theirs anew for every tile: the same numbers, in constant memory.
    """

    def __init__(self, network: Generator, seed: int, device: torch.device) -> None:
        self._network = network
        self._seed = seed
        self._device = device
        self._drawn: dict[int, list[Tensor]] = {}

    def __call__(self, pass_number: int) -> list[Tensor]:
        if pass_number in self._drawn:
            return self._drawn[pass_number]
        drawn = channel_masks(self._network, self._seed, pass_number)
        masks = [torch.from_numpy(mask).to(self._device) for mask in drawn]
        if pass_number < _KEPT_PASSES:
            self._drawn[pass_number] = masks
        return masks


class ElementMasks:
    """The paper's dropout of single values.

    Values belong to places of a sheet and not to the tile that covers them, so tiles of one sheet
    agree as those of channel masks do.

    Args:
        network: its dropout sites lie on the input's grid made coarser by ``network.stride``.
        seed: with the pass and the sheet, it fixes the masks.
        sheet: whole numbers that tell this sheet from every other, such as the plane.
        read: region of the sheet that the network reads, in pixels of its input.
        device: where masks are drawn; another kind of device draws other masks.
    """

    def __init__(
        self,
        network: Generator,
        seed: int,
        sheet: Sequence[int],
        read: Region,
        device: torch.device,
    ) -> None:
        self._network = network
        self._entropy = (seed, *sheet)
        stride = getattr(network, "stride", 1)
        self._rows, self._columns = (
            (start // stride, start // stride + (stop - start) // stride) for start, stop in read
        )
        self._device = device

    def __call__(self, pass_number: int) -> list[Tensor]:
        (j0, j1), (i0, i1) = self._rows, self._columns
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


class Moments:
    """Running mean and central moments of passes (Welford 1962; Pébay 2008 for the higher two).

    Memory is that of a few images, however many are added. The third and fourth moment are kept
    only where the error of the variance is wanted.
    """

    def __init__(self, higher: bool) -> None:
        self.count = 0
        self._higher = higher

    def add(self, values: Tensor) -> None:
        """Add one pass, in double precision."""
        values = values.double()
        self.count += 1
        if self.count == 1:
            self.mean = values.clone()
            self._m2, self._m3, self._m4 = (torch.zeros_like(values) for _ in range(3))
            return
        n = self.count
        delta = values - self.mean
        step = delta / n
        growth = delta * step * (n - 1)
        if self._higher:
            self._m4 += growth * step.square() * (n * n - 3 * n + 3)
            self._m4 += 6 * step.square() * self._m2 - 4 * step * self._m3
            self._m3 += growth * step * (n - 2) - 3 * step * self._m2
        self.mean += step
        self._m2 += growth

    @property
    def variance(self) -> Tensor:
        """Mean squared deviation from the mean (divided by n, as in the paper)."""
        return self._m2 / self.count

    def relative_error(self, floor: float) -> float:
        """Relative standard error of the standard deviation, over all pixels (see `settled`)."""
        n = self.count
        k2 = self._m2 / (n - 1)
        scatter = n * (n + 1) * self._m4 - 3 * (n - 1) * self._m2.square()
        k4 = scatter / ((n - 1) * (n - 2) * (n - 3))
        error = ((2 * n * k2.square() + (n - 1) * k4) / (n * (n + 1))).mean().item()
        signal = k2.square().mean().item() - error  # the mean of k2² is too large by the error
        if k2.square().mean().item() <= floor**4:
            return 0.0
        return 0.5 * (max(error, 0.0) / signal) ** 0.5 if signal > 0 else float("inf")


def settled(moments: Moments, stopping: Stopping) -> bool:
    """Whether a block needs no further pass.

    The rule estimates how far the standard deviation s of the passes would scatter if the run
    were repeated with another seed. The variance of the sample variance k2 is estimated without
    bias and without assuming normal samples, from the k-statistics k2 and k4 of the passes
    (Kenney & Keeping 1951):

        var(k2) ~ (2 n k2² + (n - 1) k4) / (n (n + 1))

    averaged over the block's pixels, and the relative error of s is half that of its square:

        SE(s) / s = 1/2 sqrt(mean(var(k2)) / mean(σ⁴)),    mean(σ⁴) ~ mean(k2²) - mean(var(k2))

    For normal samples this is the well-known 1 / sqrt(2 (n - 1)), 24 passes for a tolerance of
    0.15; samples that fall into a few groups need fewer, samples with rare outliers more. Pixels
    weigh with the square of their variance: what counts is where the block is uncertain.
    """
    if moments.count < stopping.minimum:
        return False
    if moments.count >= stopping.maximum:
        return True
    return moments.relative_error(stopping.floor) <= stopping.tolerance


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
) -> Posterior:
    """Mean and variance of a tile over passes with dropout.

    What lies ahead of the first dropout is computed once; each pass computes only the rest.

    Args:
        network: in evaluation mode, on the stack's device.
        stack: planes the network reads, shape (in_slices, H, W), scaled intensities.
        samples: number of passes, or ``"auto"`` to decide per block (see :func:`settled`).
        seed: of the channel masks.
        masks: where masks come from instead, such as :class:`ElementMasks`.
        read: region of the scan that the stack shows; by default it starts at (0, 0).
        blocks: rectangles of the scan, together one rectangle inside ``read``, each of which
            decides on its own number of passes; by default the whole stack.
        stopping: tolerance and bounds for ``"auto"``.
        after_pass: called with the number of passes done; may raise to end the work.

    Returns:
        Arrays of the blocks' rectangle, ``network.scale`` times finer than the stack.
    """
    height, width = stack.shape[-2:]
    read = read or ((0, height), (0, width))
    blocks = blocks or [read]
    stopping = stopping or Stopping()
    automatic = samples == "auto"
    dropout = has_dropout(network)
    total = _passes(network, samples, stopping)
    masks = masks or ChannelMasks(network, seed, stack.device)
    moments = [Moments(higher=automatic) for _ in blocks]
    running = list(range(len(blocks)))
    with torch.inference_mode():
        x = stack[None]
        features = network.encode(x)
        for pass_number in range(total):
            plane = network.decode(features, x, masks(pass_number) if dropout else None)[0, 0]
            for number in running:
                moments[number].add(plane[relative(blocks[number], read, network.scale)])
            if after_pass is not None:
                after_pass(pass_number + 1)
            if automatic:
                running = [n for n in running if not settled(moments[n], stopping)]
            if not running:
                break
    return _assembled(moments, blocks, network.scale)


def has_dropout(network: Generator) -> bool:
    """Whether passes differ at all."""
    return network.dropout_rate > 0 and len(network.dropout_channels) > 0


def _passes(network: Generator, samples: Samples, stopping: Stopping) -> int:
    if not has_dropout(network):
        return 1
    return stopping.maximum if samples == "auto" else samples


def _assembled(moments: Sequence[Moments], blocks: Sequence[Region], scale: int) -> Posterior:
    """Put the blocks' results into one rectangle."""
    rows = min(b[0][0] for b in blocks), max(b[0][1] for b in blocks)
    columns = min(b[1][0] for b in blocks), max(b[1][1] for b in blocks)
    shape = (rows[1] - rows[0]) * scale, (columns[1] - columns[0]) * scale
    mean, variance = np.empty(shape, np.float32), np.empty(shape, np.float32)
    for moment, block in zip(moments, blocks, strict=True):
        place = relative(block, (rows, columns), scale)
        mean[place] = moment.mean.float().cpu().numpy()
        variance[place] = moment.variance.float().cpu().numpy()
    return Posterior(mean, variance, tuple(moment.count for moment in moments))
