"""Every verdict on numbers one can check by eye, and the whole of it on simulated tables with a known truth."""

from math import isnan

import numpy as np
import pytest
from scipy import stats

from bench.analysis.quantities import ACCURACY, EPOCH_TIME, LOSS, PARAMETERS, Quantity, Run
from bench.analysis.verdicts import Comparison, Outcome, Verdict, compare, judge, seeds_text
from tests.bench.samples import record


def verdict(quantity: Quantity, a: list[float], b: list[float]) -> Verdict:
    (found,) = judge([Comparison("A", "B", quantity, tuple(a), tuple(b))])
    return found


LOW = [0.100, 0.102, 0.099, 0.101, 0.100]
HIGH = [0.30, 0.31, 0.29, 0.30, 0.31]


def test_the_lower_loss_is_better() -> None:
    assert verdict(LOSS, LOW, HIGH).words == "A better"
    assert verdict(LOSS, HIGH, LOW).words == "B better"


def test_the_higher_accuracy_is_better() -> None:
    assert verdict(ACCURACY, LOW, HIGH).words == "B better"


def test_a_difference_that_is_sure_but_too_small_is_none() -> None:
    found = verdict(LOSS, [0.100, 0.101, 0.102, 0.103, 0.104], [0.101, 0.1021, 0.103, 0.104, 0.105])
    assert found.difference_p < 0.05
    assert found.words == "no difference larger than 0.01 nats"


def test_a_wide_spread_is_undecided_and_says_how_many_seeds_would_do() -> None:
    a, b = [0.1, 0.3, 0.2, 0.4, 0.1], [0.2, 0.2, 0.3, 0.3, 0.3]
    found = verdict(LOSS, a, b)
    assert found.outcome is Outcome.UNDECIDED
    total = 5 + found.more_seeds
    effect = float(abs(np.mean(np.subtract(a, b))) / np.std(np.subtract(a, b), ddof=1))
    power = [_power(effect, n) for n in (total - 1, total)]
    assert power[0] < 0.8 <= power[1]
    assert found.words == f"undecided: {found.more_seeds} more seeds would be needed"


def _power(effect: float, n: int) -> float:
    edge = stats.t.ppf(0.975, n - 1)
    return float(stats.nct.sf(edge, n - 1, effect * n**0.5) + stats.nct.cdf(-edge, n - 1, effect * n**0.5))


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_fewer_than_five_seeds_decide_nothing(n: int) -> None:
    found = verdict(LOSS, LOW[:n], HIGH[:n])
    assert found.words == f"undecided: {seeds_text(5 - n)} would be needed"
    assert isnan(found.difference_p)


def test_no_common_seed_is_undecided_too() -> None:
    found = verdict(LOSS, [], [])
    assert (found.outcome, found.more_seeds, found.effect_text) == (Outcome.UNDECIDED, 5, "-")


def test_numbers_of_seeds_in_words() -> None:
    assert [seeds_text(n) for n in (1, 2, 100, 101)] == [
        "1 more seed",
        "2 more seeds",
        "100 more seeds",
        "more than 100 more seeds",
    ]


def test_hopeless_comparisons_ask_for_more_than_a_hundred() -> None:
    assert verdict(LOSS, [0.0, 5, 1, 4, 2], [5.0, 0, 4, 1, 2]).more_seeds == 101


def test_the_effect_is_a_less_b_with_scipys_interval() -> None:
    found = verdict(LOSS, LOW, HIGH)
    interval = stats.ttest_rel(LOW, HIGH).confidence_interval()
    assert found.effect.mean == pytest.approx(np.mean(LOW) - np.mean(HIGH))
    assert (found.effect.low, found.effect.high) == pytest.approx((interval.low, interval.high))
    assert found.difference_p == pytest.approx(stats.ttest_rel(LOW, HIGH).pvalue)
    assert found.effect.low < found.bootstrap.low < found.bootstrap.high < found.effect.high


def test_ratios_are_compared_by_their_logarithms() -> None:
    a, b = [1.0, 2.0, 4.0, 8.0, 16.0], [2.0, 4.0, 8.2, 16.0, 32.0]
    found = verdict(EPOCH_TIME, a, b)
    interval = stats.ttest_rel(np.log(a), np.log(b)).confidence_interval()
    assert found.words == "A better"
    assert found.effect.mean == pytest.approx(np.exp(np.mean(np.log(a) - np.log(b))))
    assert (found.effect.low, found.effect.high) == pytest.approx((np.exp(interval.low), np.exp(interval.high)))


def test_what_does_not_depend_on_the_seed_is_decided_by_one_run() -> None:
    assert verdict(PARAMETERS, [100.0], [200.0]).words == "A better"
    assert verdict(PARAMETERS, [100.0], [100.0]).words == "equal"
    assert verdict(PARAMETERS, [], []).words == "undecided: 1 more seed would be needed"


def test_more_comparisons_make_a_verdict_harder() -> None:
    comparison = Comparison("A", "B", LOSS, (0.1, 0.2, 0.1, 0.2, 0.1), (0.15, 0.27, 0.16, 0.26, 0.12))
    alone = judge([comparison])[0]
    among = judge([comparison] * 20)[0]
    assert among.difference_p == pytest.approx(min(1.0, 20 * alone.difference_p))
    assert alone.outcome is Outcome.A_BETTER
    assert among.outcome is Outcome.UNDECIDED
    assert (
        judge([comparison, Comparison("A", "B", LOSS, (1.0,), (2.0,))])[0] == alone
    )  # what decides nothing is free


def test_runs_are_paired_by_seed() -> None:
    a = {seed: Run(record(seed=seed, best_valid_loss=loss)) for seed, loss in ((53, 0.3), (51, 0.1), (52, 0.2))}
    b = {seed: Run(record(seed=seed, best_valid_loss=loss)) for seed, loss in ((51, 0.5), (53, 0.7), (60, 0.9))}
    found = compare("A", "B", LOSS, a, b)
    assert (found.values_a, found.values_b) == ((0.1, 0.3), (0.5, 0.7))


def test_runs_of_a_seed_that_saw_different_data_are_no_pair() -> None:
    one = {
        seed: Run(record(seed=seed, data_sha256=data))
        for seed, data in zip(range(5), ["a", "a", "a", None, None], strict=True)
    }
    other = {
        seed: Run(record(seed=seed, data_sha256=data))
        for seed, data in zip(range(5), ["a", "b", None, "b", None], strict=True)
    }
    assert compare("A", "B", LOSS, one, other).n == 4  # all but seed 1: where one does not say, the name counts


def test_a_run_without_the_quantity_is_left_out() -> None:
    a = {seed: Run(record(seed=seed)) for seed in (51, 52)}
    assert compare("A", "B", LOSS, a, {**a, 52: Run(record(best_valid_loss=None))}).n == 1
