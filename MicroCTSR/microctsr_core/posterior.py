"""Monte-Carlo dropout: mean and variance over many passes, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .masks import ChannelMasks, MaskSource
from .networks import Generator
from .tiles import Region, bounds, relative, widened

Samples: TypeAlias = int | Literal["auto"]

# The error of the uncertainty is estimated from every second pixel along both axes: neighbours on
# the fine grid are all but equal.
_SPARSE = 2
# The passes still to run shrink to the blocks that need them once that saves this share.
_WORTH_SHRINKING = 0.15


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

    def asked_after(self, passes: int) -> bool:
        """Whether blocks are asked after this number of passes: each time a sixth more."""
        asked = self.minimum
        while asked < passes:
            asked += max(1, asked // 6)
        return passes == asked or passes >= self.maximum

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


class Moments:
    """Running sums of powers of the passes, from which come their mean and central moments.

    Memory is that of a few images, however many are added. Powers are those of the difference from
    the first pass, which is near the mean, so single precision is enough: rounding would show only
    where the first pass lies hundreds of standard deviations away.

    Args:
        powers: 2 for the mean and the variance, 4 for the error of the variance as well.
    """

    def __init__(self, powers: int) -> None:
        self.count = 0
        self._powers = powers
        self._sums: list[Tensor] = []

    def add(self, values: Tensor) -> None:
        """Add one pass; all have the same shape."""
        self.count += 1
        if self.count == 1:
            self._first = values.clone()
            self._sums = [torch.zeros_like(values) for _ in range(self._powers)]
            return
        difference = values - self._first
        square = difference.square()
        self._sums[0] += difference
        self._sums[1] += square
        if self._powers == 4:
            self._sums[2].addcmul_(square, difference)
            self._sums[3].addcmul_(square, square)

    def part(self, place: tuple[slice, slice]) -> Moments:
        """The same passes in a part of their pixels; later ones are added to that alone."""
        part = Moments(self._powers)
        part.count, part._first = self.count, self._first[place]
        part._sums = [each[place] for each in self._sums]
        return part

    @property
    def mean(self) -> Tensor:
        """Mean of the passes."""
        return self._first + self._sums[0] / self.count

    @property
    def variance(self) -> Tensor:
        """Mean squared deviation from the mean (divided by n, as in the paper)."""
        return self.central(2)

    def central(self, power: int) -> Tensor:
        """Mean of the second, third or fourth power of the deviation from the mean."""
        raw = [each.double() / self.count for each in self._sums[:power]]
        shift = raw[0]
        if power == 2:
            moment = raw[1] - shift**2
        elif power == 3:
            moment = raw[2] - 3 * shift * raw[1] + 2 * shift**3
        else:
            moment = raw[3] - 4 * shift * raw[2] + 6 * shift**2 * raw[1] - 3 * shift**4
        return moment if power == 3 else moment.clamp(min=0)

    def relative_error(self, floor: float) -> float:
        """Relative standard error of the standard deviation, over all pixels (see `settled`)."""
        n = self.count
        m2, m4 = n * self.central(2), n * self.central(4)
        k2 = m2 / (n - 1)
        scatter = n * (n + 1) * m4 - 3 * (n - 1) * m2.square()
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

    What lies ahead of the first dropout is computed once; each pass computes only the rest, and
    only around the blocks that still need it.

    Args:
        network: in evaluation mode, on the stack's device.
        stack: planes the network reads, shape (in_slices, H, W), scaled intensities.
        samples: number of passes, or ``"auto"`` to decide per block (see :func:`settled`).
        seed: of the channel masks.
        masks: where masks come from instead, such as :class:`ElementMasks`.
        read: region of the scan that the stack shows; by default it starts at (0, 0).
        blocks: rectangles of the scan inside ``read``, each of which decides on its own number of
            passes; by default the whole stack.
        stopping: tolerance and bounds for ``"auto"``.
        after_pass: called with the number of passes done; may raise to end the work.

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
    result = _Result(blocks, network.scale)
    running = list(range(len(blocks)))
    with torch.inference_mode():
        encoded = network.encode(stack[None])
        part = _Part(network, encoded, read, blocks)
        for pass_number in range(total):
            drawn = masks(pass_number, part.read) if dropout else None
            part.add(network.decode(part.encoded, drawn)[0, 0], higher=automatic)
            if after_pass is not None:
                after_pass(pass_number + 1)
            if pass_number + 1 == total:
                break
            if automatic and stopping.asked_after(pass_number + 1):
                done = [n for n in running if settled(part.sparse_moments(blocks[n]), stopping)]
                for n in done:
                    result.note(n, part.moments_of(blocks[n]))
                running = [n for n in running if n not in done]
                if not running:
                    break
                part = part.shrunk([blocks[n] for n in running])
        for n in running:
            result.note(n, part.moments_of(blocks[n]))
    return result.posterior()


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

    def sparse_moments(self, block: Region) -> Moments:
        """Of the passes in every second pixel of a block, with their higher moments."""
        return self._sparse.part(self._sparse_place(block))

    def shrunk(self, blocks: Sequence[Region]) -> _Part:
        """The part around fewer blocks; itself where that would save little."""
        smaller = _Part(self._network, self.encoded, self.read, blocks)
        if _area(smaller.read) > (1 - _WORTH_SHRINKING) * _area(self.read):
            return self
        smaller._moments = self.moments_of(smaller.area)
        smaller._sparse = self.sparse_moments(smaller.area)
        return smaller

    @property
    def _phases(self) -> tuple[slice, slice]:
        """Every second pixel, counted from the slice's first."""
        scale = self._network.scale
        rows, columns = (slice(-start * scale % _SPARSE, None, _SPARSE) for start, _ in self.area)
        return rows, columns

    def _sparse_place(self, block: Region) -> tuple[slice, slice]:
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
    """Mean and variance of the rectangle around blocks, and the passes of each."""

    def __init__(self, blocks: Sequence[Region], scale: int) -> None:
        self._blocks, self._scale, self._area = blocks, scale, bounds(blocks)
        shape = tuple((stop - start) * scale for start, stop in self._area)
        self._mean, self._variance = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._passes = [0] * len(blocks)

    def note(self, number: int, moments: Moments) -> None:
        """Block ``number`` is done."""
        place = relative(self._blocks[number], self._area, self._scale)
        self._mean[place] = moments.mean.float().cpu().numpy()
        self._variance[place] = moments.variance.float().cpu().numpy()
        self._passes[number] = moments.count

    def posterior(self) -> Posterior:
        return Posterior(self._mean, self._variance, tuple(self._passes))


def _cropped(encoded: Tensor, wanted: Region, have: Region) -> Tensor:
    """A region of encoded features, whatever grid they lie on."""
    rows, columns = (
        slice((start - first) * length // (last - first), (stop - first) * length // (last - first))
        for (start, stop), (first, last), length in zip(
            wanted, have, encoded.shape[-2:], strict=True
        )
    )
    return encoded[..., rows, columns]


def _area(region: Region) -> int:
    (j0, j1), (i0, i1) = region
    return (j1 - j0) * (i1 - i0)


def has_dropout(network: Generator) -> bool:
    """Whether passes differ at all."""
    return network.dropout_rate > 0 and len(network.dropout_channels) > 0


def _passes(network: Generator, samples: Samples, stopping: Stopping) -> int:
    if not has_dropout(network):
        return 1
    return stopping.maximum if samples == "auto" else samples
