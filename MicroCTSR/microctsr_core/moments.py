"""Running moments of passes, and when they are known well enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

Place: TypeAlias = tuple[slice, slice]
"""Rows and columns of an array, with both ends given."""


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

    def next_asked(self, passes: int) -> int:
        """The number of passes above this after which blocks are asked: each time a sixth more."""
        asked = self.minimum
        while asked <= passes:
            asked += max(1, asked // 6)
        return min(asked, self.maximum)

    def __post_init__(self) -> None:
        if not (self.tolerance > 0 and 4 <= self.minimum <= self.maximum):
            raise ValueError(
                f"Stopping needs a tolerance above 0 and 4 <= minimum <= maximum not {self}."
            )


class Moments:
    """Running sums of powers of the passes, from which come their mean and central moments.

    Memory is that of a few images, however many are added. Powers are those of the difference from
    the first pass, which is near the mean, so single precision is enough: rounding would show only
    where the first pass lies hundreds of standard deviations away.

    Args:
        powers: 2 for the mean and the variance, 4 for the error of the variance as well.

    Attributes:
        count: passes so far.
        first: the first of them.
        sums: of each power of the difference from it, from the first power on.
    """

    def __init__(self, powers: int) -> None:
        self.count = 0
        self._powers = powers
        self.first = torch.empty(0)
        self.sums: list[Tensor] = []

    def add(self, values: Tensor) -> None:
        """Add one pass; all have the same shape."""
        self.count += 1
        if self.count == 1:
            self.first = values.clone()
            self.sums = [torch.zeros_like(values) for _ in range(self._powers)]
            return
        difference = values - self.first
        square = difference.square()
        self.sums[0] += difference
        self.sums[1] += square
        if self._powers == 4:
            self.sums[2].addcmul_(square, difference)
            self.sums[3].addcmul_(square, square)

    def part(self, place: Place) -> Moments:
        """The same passes in a part of their pixels; later ones are added to that alone."""
        part = Moments(self._powers)
        part.count, part.first = self.count, self.first[place]
        part.sums = [each[place] for each in self.sums]
        return part

    @property
    def mean(self) -> Tensor:
        """Mean of the passes."""
        return self.first + self.sums[0] / self.count

    @property
    def variance(self) -> Tensor:
        """Mean squared deviation from the mean (divided by n, as in the paper)."""
        return self.central(2)

    def central(self, power: int) -> Tensor:
        """Mean of the second, third or fourth power of the deviation from the mean."""
        raw = [each.double() / self.count for each in self.sums[:power]]
        shift = raw[0]
        if power == 2:
            moment = raw[1] - shift**2
        elif power == 3:
            moment = raw[2] - 3 * shift * raw[1] + 2 * shift**3
        else:
            moment = raw[3] - 4 * shift * raw[2] + 6 * shift**2 * raw[1] - 3 * shift**4
        return moment if power == 3 else moment.clamp(min=0)

    def relative_errors(self, places: Sequence[Place], floor: float) -> list[float]:
        """Relative standard error of the standard deviation in each place (see `settled`)."""
        n = self.count
        m2, m4 = n * self.central(2), n * self.central(4)
        k2 = m2 / (n - 1)
        scatter = n * (n + 1) * m4 - 3 * (n - 1) * m2.square()
        k4 = scatter / ((n - 1) * (n - 2) * (n - 3))
        error = (2 * n * k2.square() + (n - 1) * k4) / (n * (n + 1))
        averages = _averages(torch.stack([k2.square(), error]), places)
        return [_relative(square, error, floor) for square, error in averages]


class Ended:
    """What the passes over each block of a tile say, each after its own number of passes.

    Args:
        shape: rows and columns of the tile's result; zero where no block has ended.
        device: of the passes.
    """

    def __init__(self, shape: Sequence[int], device: torch.device) -> None:
        self._first, *self._sums = torch.zeros(3, *shape, device=device)
        self._counts = torch.ones(*shape, device=device)

    def note(self, place: Place, moments: Moments) -> None:
        """A block has seen its last pass."""
        for whole, part in zip(
            (self._first, *self._sums), (moments.first, *moments.sums), strict=True
        ):
            whole[place] = part
        self._counts[place] = moments.count

    def mean_and_variance(self) -> Tensor:
        """Both in single precision, (2, rows, columns); see :class:`Moments`."""
        mean = self._first + self._sums[0] / self._counts
        shift, square = (each.double() / self._counts for each in self._sums)
        return torch.stack([mean, (square - shift**2).clamp(min=0).float()])


def settled(moments: Moments, places: Sequence[Place], stopping: Stopping) -> list[bool]:
    """Whether blocks need no further pass, each for itself.

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

    Args:
        moments: up to the fourth power.
        places: of the blocks.
        stopping: tolerance and bounds.
    """
    if moments.count < stopping.minimum:
        return [False] * len(places)
    if moments.count >= stopping.maximum:
        return [True] * len(places)
    errors = moments.relative_errors(places, stopping.floor)
    return [error <= stopping.tolerance for error in errors]


def _relative(square: float, error: float, floor: float) -> float:
    """From the means of k2² and of its error over a block."""
    if square <= floor**4:
        return 0.0
    signal = square - error  # the mean of k2² is too large by the error
    return 0.5 * (max(error, 0.0) / signal) ** 0.5 if signal > 0 else float("inf")


def _averages(maps: Tensor, places: Sequence[Place]) -> list[list[float]]:
    """The mean of each map (M, rows, columns) in each place.

    Places lie in rows and columns, along which they are averaged together: a graphics card is
    given few pieces of work, and is waited for once.
    """
    rows, columns = (
        sorted({(place[axis].start, place[axis].stop) for place in places}) for axis in range(2)
    )
    bands = torch.stack([maps[:, start:stop].mean(1) for start, stop in rows])
    means = torch.stack([bands[..., start:stop].mean(2) for start, stop in columns]).tolist()
    return [
        means[columns.index((column.start, column.stop))][rows.index((row.start, row.stop))]
        for row, column in places
    ]
