"""Each number against another calculation of it; what the tests are worth is in test_calibration.py."""

from itertools import product
from math import comb, isnan, nan

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from bench.analysis.statistics import (
    FEWEST_SEEDS,
    MOST_SEEDS,
    Interval,
    bootstrap_interval,
    difference_p,
    equivalence_p,
    holm,
    mean_interval,
    not_worse_p,
    paired_difference,
    probability_better,
    seeds_needed,
    sign_flip_p,
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


def test_one_sided_tests_are_scipys() -> None:
    x = A - B
    lower = stats.ttest_1samp(x, -0.01, alternative="greater").pvalue
    upper = stats.ttest_1samp(x, 0.01, alternative="less").pvalue
    assert float(not_worse_p(x, 0.01)) == pytest.approx(lower)
    assert float(equivalence_p(x, 0.01)) == pytest.approx(max(lower, upper))


def test_tests_run_along_the_last_axis() -> None:
    x = np.random.default_rng(0).normal(size=(4, 3, 6))
    each = [[float(difference_p(row)) for row in block] for block in x]
    assert difference_p(x) == pytest.approx(np.array(each))
    assert equivalence_p(x, 0.5).shape == not_worse_p(x, 0.5).shape == (4, 3)


@pytest.mark.parametrize(("value", "p", "inside"), [(0.0, 1.0, 0.0), (0.5, 0.0, 1.0), (-0.5, 0.0, 1.0)])
def test_runs_that_agree_to_the_bit_leave_no_doubt(value: float, p: float, inside: float) -> None:
    same = [value] * 5
    assert float(difference_p(same)) == p
    assert float(equivalence_p(same, 0.1)) == inside
    assert paired_difference(same, [0.0] * 5) == Interval(value, value, value, 5)
    assert bootstrap_interval(same) == Interval(value, value, value, 5)


def test_one_pair_says_nothing() -> None:
    assert float(difference_p([3.0])) == pytest.approx(1.0)
    assert float(equivalence_p([0.0], 0.1)) == pytest.approx(0.5)
    assert sign_flip_p([3.0]) == 1.0


def test_the_sign_flip_test_is_the_count_of_all_flips() -> None:
    x = A - B
    flipped = [abs(np.mean(x * signs)) for signs in product((-1, 1), repeat=len(x))]
    assert sign_flip_p(x) == pytest.approx(np.mean(np.array(flipped) >= abs(x.mean()) - 1e-12))


@pytest.mark.parametrize("n", [5, 6, 8, 10])
def test_the_sign_flip_test_cannot_say_less_than_one_flip_of_all(n: int) -> None:
    assert sign_flip_p(np.arange(1, n + 1)) == pytest.approx(2 / 2**n)


def test_five_seeds_never_decide_by_sign_flips_and_six_do() -> None:
    assert sign_flip_p([10, 11, 12, 13, 14]) > 0.05
    assert sign_flip_p([10, 11, 12, 13, 14, 15]) < 0.05
    assert float(difference_p([10, 11, 12, 13, 14])) < 0.001


def test_a_bootstrap_of_two_values_by_hand() -> None:
    # Resamples of (0, 1) have the means 0, 1/2, 1/2, 1; the outer 2.5% on each side are 0 and 1.
    assert bootstrap_interval([0.0, 1.0]) == Interval(0.5, 0.0, 1.0, 2)


def test_resampling_does_not_look_at_the_global_generator() -> None:
    first = bootstrap_interval(A - B), sign_flip_p(np.linspace(-1, 2, 20))
    np.random.seed(7)  # noqa: NPY002 - the state that must not matter
    assert (bootstrap_interval(A - B), sign_flip_p(np.linspace(-1, 2, 20))) == first


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


def test_the_number_of_seeds_gives_the_power_asked_for() -> None:
    n = seeds_needed(spread=1.0, difference=0.8)
    assert n == 15  # Cohen's tables
    rng = np.random.default_rng(0)

    def seen(seeds: int) -> float:
        return float((difference_p(rng.normal(0.8, 1.0, size=(20_000, seeds))) <= 0.05).mean())

    assert seen(n) == pytest.approx(0.82, abs=0.02)
    assert seen(n - 1) < 0.8


@pytest.mark.parametrize(
    ("spread", "difference", "n"),
    [(0.0, 0.1, FEWEST_SEEDS), (0.01, 1.0, FEWEST_SEEDS), (1.0, 0.01, MOST_SEEDS + 1), (1.0, 0.284, MOST_SEEDS)],
)
def test_the_number_of_seeds_has_bounds(spread: float, difference: float, n: int) -> None:
    assert seeds_needed(spread, difference) == n
