"""How sure a difference between two methods is, and how large, over the same cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata, wilcoxon

MIN_PAIRS = 6
"""Pairs from which the Wilcoxon test can fall below 0.05: with five, 2 / 2⁵ is the least p."""


@dataclass(frozen=True)
class Paired:
    """Two methods compared over the cases in which both are known.

    Args:
        pairs: number of those cases.
        better: in how many the first is better; `worse`: in how many it is worse.
        difference: mean of first minus second.
        p: of the paired Wilcoxon signed-rank test, two-sided; ``None`` with fewer than MIN_PAIRS.
        effect: matched-pairs rank-biserial correlation, 1 where the first is better in every case
            and -1 where it is worse in every case; ``None`` as `p`.
    """

    pairs: int
    better: int
    worse: int
    difference: float
    p: float | None
    effect: float | None


def paired(first: ArrayLike, second: ArrayLike) -> Paired:
    """Compare two methods by one measure; higher is better.

    Cases in which either is not finite are left out. Cases in which both are equal count for
    neither in `p` and `effect`, as Wilcoxon has it.

    Args:
        first, second: (cases,), in the same order.

    References:
        Wilcoxon 1945, Individual comparisons by ranking methods. Kerby 2014, The simple difference
        formula: rank-biserial r = (W+ - W-) / (W+ + W-) with the sums W of the ranks.

    Example:
        >>> paired([2, 4, 6, 8, 10, 12], [1, 2, 3, 4, 5, 6])
        Paired(pairs=6, better=6, worse=0, difference=3.5, p=0.03125, effect=1.0)
    """
    with np.errstate(invalid="ignore"):  # of two equal infinities
        difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    difference = difference[np.isfinite(difference)]
    pairs = len(difference)
    better, worse = int((difference > 0).sum()), int((difference < 0).sum())
    mean = float(difference.mean()) if pairs else float("nan")
    if pairs < MIN_PAIRS:
        return Paired(pairs, better, worse, mean, None, None)
    unequal = difference[difference != 0]
    if not unequal.size:
        return Paired(pairs, better, worse, mean, 1.0, 0.0)
    ranks = rankdata(np.abs(unequal))
    effect = float((ranks * np.sign(unequal)).sum() / ranks.sum())
    return Paired(pairs, better, worse, mean, float(wilcoxon(difference).pvalue), effect)


def holm(values: Sequence[float | None]) -> list[float | None]:
    """P values corrected for their number (Holm 1979); ``None`` stays and does not count.

    Example:
        >>> holm([0.01, 0.04, None, 0.03])
        [0.03, 0.06, None, 0.06]
    """
    known = sorted((p, place) for place, p in enumerate(values) if p is not None)
    corrected: list[float | None] = [None] * len(values)
    greatest = 0.0
    for done, (p, place) in enumerate(known):
        greatest = max(greatest, min(1.0, p * (len(known) - done)))
        corrected[place] = greatest
    return corrected


def p_text(p: float) -> str:
    """A p value as journals write it."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
