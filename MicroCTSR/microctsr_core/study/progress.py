"""How far the raters are; nothing of what they said."""

from __future__ import annotations

from dataclasses import dataclass

from .folder import ReaderStudy


@dataclass(frozen=True)
class RaterProgress:
    """How far a rater is.

    Args:
        name: of the rater.
        done: trials with stars for every criterion.
        trials: of the rater in all.
        last: time of the last rating in UTC, ISO 8601; ``None`` before the first.
    """

    name: str
    done: int
    trials: int
    last: str | None


def progress_of(study: ReaderStudy) -> list[RaterProgress]:
    """How far each rater of a study is.

    Raises:
        ReadError: the ratings cannot be read.
    """
    found = []
    for number, rater in enumerate(study.raters):
        ratings = study.ratings.last(number).values()
        done = sum(rating.complete for rating in ratings)
        last = max((rating.given_at for rating in ratings), default=None)
        found.append(RaterProgress(rater.name, done, len(rater.order), last))
    return found
