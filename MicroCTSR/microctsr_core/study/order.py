"""In which order a rater sees the trials, and which of them twice."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_GAP = 10
"""Trials that lie at least between the two showings of one, in studies long enough for it."""


@dataclass(frozen=True)
class Trial:
    """One pair of images, as one rater sees it.

    Args:
        slice: number of the slice in the study, from 0.
        method: name of the method whose image is on the right.
        showing: 1, or 2 where the rater has rated the pair before.
    """

    slice: int
    method: str
    showing: int = 1


def draw_order(
    slices: int, methods: Sequence[str], repeated: float, chance: random.Random
) -> list[Trial]:
    """Every slice by every method in random order, a share of them a second time later on.

    As many trials of each method come twice, to within one. No slice comes twice in a row where
    that can be avoided, so that two methods are seldom compared from one pair to the next.

    Args:
        slices: number of slices.
        methods: their names.
        repeated: share of the trials that are shown twice, 0 to 1.
        chance: where the order comes from; the same state gives the same order.
    """
    trials = [Trial(number, method) for number in range(slices) for method in methods]
    chance.shuffle(trials)
    _part_slices(trials)
    count = round(repeated * len(trials))
    gap = min(LEAST_GAP, len(trials) // 3)
    early = trials[: len(trials) - gap]  # what comes later leaves no room for a second showing
    order: list[tuple[float, Trial]] = [(float(place), t) for place, t in enumerate(trials)]
    for trial in _chosen(early, methods, count, chance):
        first = trials.index(trial)
        # Between the trials, from `gap` after the first showing to behind the last trial.
        place = chance.uniform(first + gap, len(trials))
        order.append((place, Trial(trial.slice, trial.method, 2)))
    order.sort(key=lambda entry: entry[0])
    return [trial for _, trial in order]


def _part_slices(trials: list[Trial]) -> None:
    """Swap a trial that shows the slice of the one before with the next that fits."""
    for place in range(1, len(trials)):
        if trials[place].slice != trials[place - 1].slice:
            continue
        for other in range(place + 1, len(trials)):
            if trials[other].slice != trials[place - 1].slice:
                trials[place], trials[other] = trials[other], trials[place]
                break


def _chosen(
    trials: Sequence[Trial], methods: Sequence[str], count: int, chance: random.Random
) -> list[Trial]:
    """So many trials, the methods in turn."""
    left = {method: [t for t in trials if t.method == method] for method in methods}
    for rest in left.values():
        chance.shuffle(rest)
    turn = list(methods)
    chance.shuffle(turn)  # or the first method would come twice more often than the last
    chosen: list[Trial] = []
    while len(chosen) < count and any(left.values()):
        for method in turn:
            if left[method] and len(chosen) < count:
                chosen.append(left[method].pop())
    return chosen
