"""What a study found: stars by method, how sure the differences are, and how far raters agree."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

from ..errors import MicroCTSRError, ReadError
from ..evaluation.comparison.statistics import Paired, holm, paired
from .folder import ReaderStudy, open_study
from .progress import progress_of
from .protocol import STARS


@dataclass(frozen=True)
class Row:
    """A rating, and what it was of.

    Args:
        rater: name.
        position: of the trial in the rater's order, from 1.
        slice: number of the slice in the study, from 0; `case` and `index` say which it is.
        showing: 1, or 2 where the rater saw the pair for the second time.
        stars: for each criterion; ``None`` where none were given.
        revision: how often something in the rating was changed, the first time included.
    """

    rater: str
    position: int
    case: str
    index: int
    slice: int
    method: str
    showing: int
    stars: tuple[int | None, ...]
    remark: str
    revision: int
    given_at: str


@dataclass(frozen=True)
class Summary:
    """The stars of a method for a criterion, over all raters and slices."""

    criterion: str
    method: str
    count: int
    mean: float
    sd: float
    median: float
    quartile_1: float
    quartile_3: float


@dataclass(frozen=True)
class Comparison:
    """The method that matters and another one, by a criterion.

    Args:
        criterion, method, rival: which are compared.
        rank_sum_p: of Wilcoxon's rank-sum test over all ratings, as in the paper: two-sided,
            corrected for ties. It takes the ratings of a slice, and of a rater, for independent.
        delta: Cliff's delta of that test: 1 where every rating of the method is above every one of
            the rival, -1 where it is below.
        signed_rank: Wilcoxon's signed-rank test over the slices, each with the mean difference
            over the raters; its effect is the matched-pairs rank-biserial correlation.
        signed_rank_p_holm: its p, corrected by Holm for all comparisons of the study.
    """

    criterion: str
    method: str
    rival: str
    rank_sum_p: float | None
    delta: float | None
    signed_rank: Paired
    signed_rank_p_holm: float | None


@dataclass(frozen=True)
class Between:
    """Agreement between raters about a criterion.

    Args:
        alpha: Krippendorff's, for ordinal ratings: 1 for full agreement, 0 for what chance gives;
            ``None`` where fewer than two raters rated the same pair, or all gave the same stars.
        pairs: pairs of images that at least two raters rated.
    """

    criterion: str
    alpha: float | None
    pairs: int


@dataclass(frozen=True)
class Within:
    """Agreement of a rater with himself or herself, in pairs shown twice.

    Args:
        pairs: rated both times.
        same: share of them with the same stars; `within_one`: with one star more or less.
        mean_change: mean of second minus first, in stars.
        alpha: as of :class:`Between`.
    """

    rater: str
    criterion: str
    pairs: int
    same: float
    within_one: float
    mean_change: float
    alpha: float | None


@dataclass(frozen=True)
class Analysis:
    """The ratings of a study with their methods, and what they say.

    Args:
        study: which was rated.
        closed_at: time in UTC, ISO 8601.
        rows: all ratings, rater by rater in the order in which they were shown.
    """

    study: ReaderStudy
    closed_at: str
    rows: tuple[Row, ...]

    @property
    def criteria(self) -> list[str]:
        """Names of the criteria."""
        return [criterion.name for criterion in self.study.criteria]

    @cached_property
    def stars(self) -> NDArray[np.float64]:
        """First ratings, (criteria, raters, slices, methods); NaN where there is none."""
        return self._table(1)

    @cached_property
    def repeated(self) -> NDArray[np.float64]:
        """Second ratings of the pairs shown twice, as :attr:`stars`."""
        return self._table(2)

    def _table(self, showing: int) -> NDArray[np.float64]:
        study = self.study
        raters = {rater.name: number for number, rater in enumerate(study.raters)}
        methods = {method: number for number, method in enumerate(study.methods)}
        shape = (len(self.criteria), len(raters), len(study.slices), len(methods))
        table = np.full(shape, np.nan)
        for row in self.rows:
            if row.showing == showing:
                stars = [np.nan if given is None else given for given in row.stars]
                table[:, raters[row.rater], row.slice, methods[row.method]] = stars
        return table

    def of(self, criterion: str, method: str) -> NDArray[np.float64]:
        """All first ratings of a method for a criterion, (ratings,)."""
        number, place = self.criteria.index(criterion), self.study.methods.index(method)
        values = self.stars[number, :, :, place].ravel()
        return values[np.isfinite(values)]

    @cached_property
    def summaries(self) -> list[Summary]:
        """Of each criterion and method that has ratings."""
        found = []
        for criterion in self.criteria:
            for method in self.study.methods:
                values = self.of(criterion, method)
                if not values.size:
                    continue
                first, median, third = (float(q) for q in np.percentile(values, (25, 50, 75)))
                sd = float(values.std(ddof=1)) if values.size > 1 else float("nan")
                found.append(
                    Summary(
                        *(criterion, method, values.size, float(values.mean()), sd),
                        *(median, first, third),
                    )
                )
        return found

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """Of the method that matters with each other one, by each criterion."""
        against = self.study.against
        rivals = [method for method in self.study.methods if method != against]
        pairs = [(criterion, rival) for criterion in self.criteria for rival in rivals]
        tests = [self._signed_rank(criterion, rival) for criterion, rival in pairs]
        corrected = holm([test.p for test in tests])
        found = []
        for (criterion, rival), test, p in zip(pairs, tests, corrected, strict=True):
            rank_sum_p, delta = _rank_sum(self.of(criterion, against), self.of(criterion, rival))
            found.append(Comparison(criterion, against, rival, rank_sum_p, delta, test, p))
        return found

    def _signed_rank(self, criterion: str, rival: str) -> Paired:
        table = self.stars[self.criteria.index(criterion)]
        first, second = (self.study.methods.index(name) for name in (self.study.against, rival))
        difference = table[:, :, first] - table[:, :, second]
        rated = np.isfinite(difference).any(axis=0)
        means = np.nanmean(difference[:, rated], axis=0)
        # Thirds of a star that are equal have to be equal for the ranks, too.
        return paired(np.round(means, 9), np.zeros(len(means)))

    @cached_property
    def between(self) -> list[Between]:
        """Agreement between the raters, by criterion, over the first ratings."""
        found = []
        for criterion, table in zip(self.criteria, self.stars, strict=True):
            data = table.reshape(len(table), -1)
            pairs = int((np.isfinite(data).sum(axis=0) > 1).sum())
            found.append(Between(criterion, _alpha(data), pairs))
        return found

    @cached_property
    def within(self) -> list[Within]:
        """Agreement of each rater with himself or herself, by criterion."""
        found = []
        for place, rater in enumerate(self.study.raters):
            for number, criterion in enumerate(self.criteria):
                data = np.stack([t[number, place].ravel() for t in (self.stars, self.repeated)])
                data = data[:, np.isfinite(data).all(axis=0)]
                if not data.size:
                    continue
                change = data[1] - data[0]
                found.append(
                    Within(
                        rater.name,
                        criterion,
                        change.size,
                        float((change == 0).mean()),
                        float((np.abs(change) <= 1).mean()),
                        float(change.mean()),
                        _alpha(data),
                    )
                )
        return found


def analyse(folder: str | os.PathLike[str], close: bool = False) -> Analysis:
    """Unblind a study, which has to be closed for that, or finished by all raters.

    Args:
        folder: of the study.
        close: whether to close it first. A study that all have finished is closed in any case.

    Raises:
        MicroCTSRError: the study is still open, or nothing was rated.
        MicroCTSRError: the criteria were changed after the first rating.
        ReadError: it cannot be read, or a rating is of an image that is not the trial's.
    """
    study = open_study(folder)
    ratings = study.ratings
    ratings.check_criteria([criterion.name for criterion in study.criteria])
    if ratings.closed_at() is None:
        missing = sum(rater.trials - rater.done for rater in progress_of(study))
        if missing and not close:
            are = "rating is" if missing == 1 else "ratings are"
            raise MicroCTSRError(
                f"{study.folder} is still open, and {missing} {are} missing; close it on "
                f"its progress page or with --close, after which no more ratings are taken."
            )
        ratings.close()
    rows = tuple(_rows(study))
    if not rows:
        raise MicroCTSRError(f"{study.folder} holds no ratings; there is nothing to analyse.")
    return Analysis(study, ratings.closed_at() or "", rows)


def _rows(study: ReaderStudy) -> Iterable[Row]:
    for number, rater in enumerate(study.raters):
        for place, rating in sorted(study.ratings.last(number).items()):
            known = place < len(rater.order) and len(rating.stars) == len(study.criteria)
            if not known or rating.image != study.image(rater.order[place], "right").name:
                raise ReadError(
                    f"{study.ratings.path} holds a rating by {rater.name} that is of no trial of "
                    f"this study; restore study.json and the ratings from one copy."
                )
            trial = rater.order[place]
            shown = study.slices[trial.slice]
            yield Row(
                *(rater.name, place + 1, shown.case, shown.index, trial.slice, trial.method),
                *(trial.showing, rating.stars, rating.remark, rating.revision, rating.given_at),
            )


def _rank_sum(
    first: NDArray[np.float64], second: NDArray[np.float64]
) -> tuple[float | None, float | None]:
    if not (first.size and second.size):
        return None, None
    if np.ptp(np.concatenate([first, second])) == 0:
        return 1.0, 0.0
    found = mannwhitneyu(first, second, alternative="two-sided", method="asymptotic")
    return float(found.pvalue), float(2 * found.statistic / (first.size * second.size) - 1)


def _alpha(data: NDArray[np.float64]) -> float | None:
    """Krippendorff's alpha of ratings (raters, units), NaN where there is none."""
    import krippendorff

    compared = data[:, np.isfinite(data).sum(axis=0) > 1]
    if not compared.size or np.nanmin(compared) == np.nanmax(compared):
        return None
    stars = np.arange(1, STARS + 1)
    return float(
        krippendorff.alpha(
            reliability_data=compared, value_domain=stars, level_of_measurement="ordinal"
        )
    )
