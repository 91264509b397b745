"""Each number against another calculation of it; what the tests are worth is in test_calibration.py."""

from math import comb, isnan, nan, sqrt

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from bench.analysis.statistics import (
    CLEAR,
    Interval,
    bootstrap_interval,
    difference_p,
    holm,
    mean_interval,
    narrowest,
    paired_difference,
    probability_better,
    share_interval,
    three_outcomes,
)

A = np.array([0.91, 0.94, 0.90, 0.97, 0.93, 0.95, 0.92])
B = np.array([0.90, 0.90, 0.91, 0.92, 0.90, 0.93, 0.88])


def test_a_mean_with_its_interval_by_hand() -> None:
    # Standard deviation 1, standard error 1 / sqrt(3), and t(2) = 4.3027 from a printed table.
    found = mean_interval([1, 2, 3])
    assert found.mean == 2
    assert found.high - 2 == pytest.approx(4.3027 / 3**0.5, abs=1e-4)
    assert 2 - found.low == pytest.approx(found.high - 2)
    assert found.n == 3


def test_equal_values_have_no_spread_although_their_mean_is_rounded() -> None:
    value = 1.795368490666983
    assert np.std([value] * 6, ddof=1) > 0
    interval = mean_interval([value] * 6)
    assert interval.low == interval.mean == interval.high


def test_few_values_have_no_interval() -> None:
    assert isnan(mean_interval([]).mean)
    one = mean_interval([4.0])
    assert (one.mean, one.n) == (4.0, 1)
    assert isnan(one.low)
    assert isnan(one.high)
    assert not one.excludes_zero()


@pytest.mark.parametrize(
    ("interval", "excludes"),
    [
        ((1, 0.1, 2), True),
        ((-1, -2, -0.1), True),
        ((1, -0.1, 2), False),
        ((1, nan, nan), False),
        ((0, 0, 0), False),
    ],
)
def test_zero_is_excluded_by_intervals_on_one_side_of_it(
    interval: tuple[float, float, float], excludes: bool
) -> None:
    assert Interval(*interval, n=5).excludes_zero() is excludes


def test_a_paired_difference_is_that_of_scipys_paired_t_test() -> None:
    reference = stats.ttest_rel(A, B)
    interval = reference.confidence_interval(0.95)
    found = paired_difference(A, B)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.mean == pytest.approx(A.mean() - B.mean())
    assert float(difference_p(A - B)) == pytest.approx(reference.pvalue)


def test_values_that_cannot_be_paired_are_refused() -> None:
    with pytest.raises(ValueError, match="paired by seed"):
        paired_difference([1, 2], [1, 2, 3])


def test_tests_run_along_the_last_axis() -> None:
    x = np.random.default_rng(0).normal(size=(4, 3, 6))
    each = [[float(difference_p(row)) for row in block] for block in x]
    assert difference_p(x) == pytest.approx(np.array(each))


@pytest.mark.parametrize(("value", "p"), [(0.0, 1.0), (0.5, 0.0), (-0.5, 0.0)])
def test_runs_that_agree_to_the_bit_leave_no_doubt(value: float, p: float) -> None:
    same = [value] * 5
    assert float(difference_p(same)) == p
    assert paired_difference(same, [0.0] * 5) == Interval(value, value, value, 5)
    assert bootstrap_interval(same) == Interval(value, value, value, 5)


def test_one_pair_says_nothing() -> None:
    assert float(difference_p([3.0])) == 1


def test_the_corrected_interval_is_wider_by_hand() -> None:
    # Standard deviation 1, standard error sqrt(1/3 + 1/4), and t(2) = 4.3027.
    found = mean_interval([1, 2, 3], ratio=0.25)
    assert found.high - 2 == pytest.approx(4.3027 * sqrt(1 / 3 + 1 / 4), abs=1e-4)


def test_more_seeds_of_the_same_pairs_do_not_narrow_an_interval_to_nothing() -> None:
    many = np.tile([0.1, 0.3], 50_000)  # spread 0.1, and sqrt(0.25) = 0.5 of it remains: 1.96 * 0.05
    assert narrowest(many, 0.25) == pytest.approx(0.098, rel=1e-4)
    wide = mean_interval(many, ratio=0.25)
    assert (wide.high - wide.low) / 2 == pytest.approx(narrowest(many, 0.25), rel=1e-4)


def test_a_bootstrap_of_two_values_by_hand() -> None:
    # Resamples of (0, 1) have the means 0, 1/2, 1/2, 1; the outer 2.5% on each side are 0 and 1.
    assert bootstrap_interval([0.0, 1.0]) == Interval(0.5, 0.0, 1.0, 2)


def test_resampling_does_not_look_at_the_global_generator() -> None:
    first = bootstrap_interval(A - B)
    np.random.seed(7)  # noqa: NPY002 - the state that must not matter
    assert bootstrap_interval(A - B) == first


def test_wins_are_counted_with_ties_as_halves() -> None:
    found = probability_better([3, 1, 2, 5], [2, 2, 2, 1], higher_is_better=True)
    assert found.mean == 2.5 / 4
    assert probability_better([3, 1, 2, 5], [2, 2, 2, 1], higher_is_better=False).mean == 1.5 / 4
    assert isnan(probability_better([], [], higher_is_better=True).mean)


def test_the_interval_of_wins_is_the_exact_binomial_one() -> None:
    found = probability_better([1] * 6, [2, 2, 2, 2, 0, 0], higher_is_better=False)
    # At its lower end four or more wins of six have a chance of 2.5%, at its upper end four or fewer.
    low = sum(comb(6, k) * found.low**k * (1 - found.low) ** (6 - k) for k in (4, 5, 6))
    high = sum(comb(6, k) * found.high**k * (1 - found.high) ** (6 - k) for k in range(5))
    assert (low, high) == pytest.approx((0.025, 0.025))


def test_five_wins_of_five_do_not_exclude_a_draw() -> None:
    found = probability_better([2] * 5, [1] * 5, higher_is_better=True)
    assert found.mean == found.high == 1
    assert found.low < 0.5


def test_holm_by_hand() -> None:
    # Smallest first: 0.01 x 3, then 0.02 x 2, then 0.04 x 1, never falling again.
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.6, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_is_that_of_statsmodels() -> None:
    p = np.random.default_rng(0).uniform(0, 0.2, size=12)
    assert holm(list(p)) == pytest.approx(multipletests(p, method="holm")[1])


def test_shares_of_none_and_of_all() -> None:
    assert isnan(share_interval(0, 0).mean)
    # Ten of ten: a share below 0.6915 gives that in less than 2.5% of cases, as 0.6915 ** 10 = 0.025.
    assert share_interval(10, 10).low == pytest.approx(0.025 ** (1 / 10))
    assert share_interval(0, 10).high == pytest.approx(1 - 0.025 ** (1 / 10))


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.4, 0.9, "not significant"),
        (0.6, 0.9, "significant and meaningful"),
        (0.6, CLEAR, "significant, not meaningful"),
        (0.1, 0.4, "significant and meaningful"),
        (1 - CLEAR, 0.4, "significant, not meaningful"),
        (nan, nan, ""),
    ],
)
def test_three_outcomes_of_a_probability(low: float, high: float, outcome: str) -> None:
    assert three_outcomes(Interval(0.5, low, high, 20)) == outcome
