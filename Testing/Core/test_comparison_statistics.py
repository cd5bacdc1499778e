"""Two methods over the same cases: p values and effect sizes that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from microctsr_core.evaluation.comparison.statistics import MIN_PAIRS, holm, paired

ONE_TO_SIX = [1, 2, 3, 4, 5, 6]


def test_p_is_that_of_the_exact_signed_rank_test():
    # Of 2⁶ equally likely signs, one has all six differences positive and one all negative.
    assert paired([2, 4, 6, 8, 10, 12], ONE_TO_SIX).p == pytest.approx(2 / 2**6)
    # Ranks of the negative differences add up to 1: none or {1}, and the same mirrored.
    assert paired([0, 4, 6, 8, 10, 12], ONE_TO_SIX).p == pytest.approx(4 / 2**6)


def test_effect_is_the_share_of_the_ranks_in_favour_less_that_against():
    # Differences 1, 2, 3, 4, 5 and -6: ranks in favour add up to 15, against to 6, of 21.
    found = paired([1, 2, 3, 4, 5, -6], np.zeros(6))
    assert found.effect == pytest.approx((15 - 6) / 21)
    assert (found.better, found.worse, found.pairs) == (5, 1, 6)
    assert found.difference == pytest.approx(9 / 6)
    assert paired(np.zeros(6), [1, 2, 3, 4, 5, -6]).effect == pytest.approx(-(15 - 6) / 21)


def test_effect_is_one_where_a_method_is_better_in_every_case():
    assert paired([2, 4, 6, 8, 10, 12], ONE_TO_SIX).effect == 1
    assert paired(ONE_TO_SIX, [2, 4, 6, 8, 10, 12]).effect == -1


def test_cases_in_which_a_measure_is_unknown_or_infinite_are_left_out():
    first = [2, 4, np.nan, 6, 8, 10, 12, 14, np.inf]
    second = [1, 2, 3, 3, 4, 5, np.nan, 7, np.inf]
    found = paired(first, second)
    assert found.pairs == 6
    assert found.p == pytest.approx(2 / 2**6)


def test_methods_that_never_differ_have_no_effect():
    found = paired(ONE_TO_SIX, ONE_TO_SIX)
    assert (found.p, found.effect, found.better, found.worse) == (1, 0, 0, 0)


def test_with_fewer_pairs_than_could_ever_be_significant_there_is_no_p():
    few = paired([2, 4, 6, 8, 10], [1, 2, 3, 4, 5])
    assert (few.p, few.effect) == (None, None)
    assert few.difference == 3
    assert 2 / 2 ** (MIN_PAIRS - 1) > 0.05 > 2 / 2**MIN_PAIRS
    assert paired([np.nan], [1]).pairs == 0


def test_holm_corrects_as_r_does():
    # p.adjust(c(0.01, 0.04, 0.03), "holm") of R.
    assert holm([0.01, 0.04, None, 0.03]) == pytest.approx([0.03, 0.06, None, 0.06])
    assert holm([0.5, 0.9]) == [1, 1]
    assert holm([]) == []
