"""Every verdict on numbers one can check by eye."""

from math import isnan

import numpy as np
import pytest
from scipy import stats

from bench.analysis.quantities import ACCURACY, EPOCH_TIME, LOSS, MEMORY, PARAMETERS, Quantity, Run
from bench.analysis.verdicts import Outcome, Pairing, Verdict, judge, pair, seeds_text
from bench.records import Metric
from tests.bench.samples import record


def verdict(quantity: Quantity | Metric, a: list[float], b: list[float]) -> Verdict:
    metric = quantity.metric if isinstance(quantity, Quantity) else quantity
    (judged,) = judge([Pairing("A", "B", metric, tuple(a), tuple(b))])
    return judged


LOW = [0.100, 0.102, 0.099, 0.101, 0.100]
HIGH = [0.30, 0.31, 0.29, 0.30, 0.31]


def test_the_lower_loss_is_better() -> None:
    assert verdict(LOSS, LOW, HIGH).words == "A better"
    assert verdict(LOSS, HIGH, LOW).words == "B better"


def test_the_higher_accuracy_is_better() -> None:
    assert verdict(ACCURACY, LOW, HIGH).words == "B better"


def test_a_difference_that_is_sure_but_too_small_is_none() -> None:
    judged = verdict(LOSS, [0.100, 0.101, 0.102, 0.103, 0.104], [0.101, 0.1021, 0.103, 0.104, 0.105])
    assert judged.difference_p < 0.05
    assert judged.words == "no difference larger than 0.01 nats"


def test_a_wide_spread_is_undecided_and_says_how_many_seeds_would_do() -> None:
    a, b = [0.1, 0.3, 0.2, 0.4, 0.1], [0.2, 0.2, 0.3, 0.3, 0.3]
    judged = verdict(LOSS, a, b)
    assert judged.outcome is Outcome.UNDECIDED
    total = 5 + judged.more_seeds
    effect = float(abs(np.mean(np.subtract(a, b))) / np.std(np.subtract(a, b), ddof=1))
    power = [_power(effect, n) for n in (total - 1, total)]
    assert power[0] < 0.8 <= power[1]
    assert judged.words == f"undecided: {judged.more_seeds} more seeds would be needed"


def _power(effect: float, n: int) -> float:
    edge = stats.t.ppf(0.975, n - 1)
    return float(stats.nct.sf(edge, n - 1, effect * n**0.5) + stats.nct.cdf(-edge, n - 1, effect * n**0.5))


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_fewer_than_five_seeds_decide_nothing(n: int) -> None:
    judged = verdict(LOSS, LOW[:n], HIGH[:n])
    assert judged.words == f"undecided: {seeds_text(5 - n)} would be needed"
    assert isnan(judged.difference_p)


def test_no_common_seed_is_undecided_too() -> None:
    judged = verdict(LOSS, [], [])
    assert (judged.outcome, judged.more_seeds, judged.effect_text) == (Outcome.UNDECIDED, 5, "-")


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
    judged = verdict(LOSS, LOW, HIGH)
    interval = stats.ttest_rel(LOW, HIGH).confidence_interval()
    assert judged.effect.mean == pytest.approx(np.mean(LOW) - np.mean(HIGH))
    assert (judged.effect.low, judged.effect.high) == pytest.approx((interval.low, interval.high))
    assert judged.difference_p == pytest.approx(stats.ttest_rel(LOW, HIGH).pvalue)
    assert judged.effect.low < judged.bootstrap.low < judged.bootstrap.high < judged.effect.high


def test_ratios_are_compared_by_their_logarithms() -> None:
    a, b = [1.0, 2.0, 4.0, 8.0, 16.0], [2.0, 4.0, 8.2, 16.0, 32.0]
    judged = verdict(EPOCH_TIME, a, b)
    interval = stats.ttest_rel(np.log(a), np.log(b)).confidence_interval()
    assert judged.words == "A better"
    assert judged.effect.mean == pytest.approx(np.exp(np.mean(np.log(a) - np.log(b))))
    assert (judged.effect.low, judged.effect.high) == pytest.approx((np.exp(interval.low), np.exp(interval.high)))


def test_what_does_not_depend_on_the_seed_is_decided_by_one_run() -> None:
    assert verdict(PARAMETERS, [100.0], [200.0]).words == "A better"
    assert verdict(PARAMETERS, [100.0], [100.0]).words == "equal"
    assert verdict(PARAMETERS, [], []).words == "undecided: 1 more seed would be needed"
    assert verdict(MEMORY, [100.0], [100.5]).words == "no difference larger than 1%"


def test_differences_without_chance_that_cancel_out_are_undecided_and_no_seed_would_help() -> None:
    judged = verdict(MEMORY, [90.0, 110.0], [100.0, 100.0])
    assert (judged.outcome, judged.words, judged.more_seeds) == (Outcome.UNDECIDED, "undecided", 0)


def test_without_a_direction_differences_are_shown_and_not_judged() -> None:
    judged = verdict(Metric(name="bias", title="bias"), HIGH, LOW)
    assert judged.words == "not judged"
    assert judged.effect.mean == pytest.approx(np.mean(HIGH) - np.mean(LOW))
    assert isnan(judged.difference_p)
    assert isnan(judged.probability.mean)
    # It does not count among the comparisons of the table either.
    loss = Pairing("A", "B", LOSS.metric, tuple(LOW), tuple(HIGH))
    assert judge([loss, judged.pairing])[0] == judge([loss])[0]


def test_a_metric_without_a_margin_is_the_same_only_where_it_is_equal() -> None:
    metric = Metric(name="f1", title="F1", higher_is_better=True)
    assert verdict(metric, LOW, LOW).words == "equal"
    assert verdict(metric, LOW, [x + 1e-9 for x in LOW[::-1]]).words.startswith("undecided")
    assert verdict(metric, HIGH, LOW).words == "A better"
    assert verdict(metric, LOW[:4], LOW[:4]).outcome is Outcome.UNDECIDED


def test_effects_are_written_in_the_unit_of_the_title() -> None:
    percent = Metric(name="f1", title="F1 (%)", higher_is_better=True, scale=0.01)
    assert verdict(percent, [0.5], [0.25]).effect_text == "+25"
    assert verdict(ACCURACY, [0.1 + 0.2], [0.3]).effect_text == "+0"  # what only rounding made
    assert verdict(ACCURACY, [0.0], [1.5e-7]).effect_text == "-1.5e-07"


def test_more_comparisons_make_a_verdict_harder() -> None:
    pairing = Pairing("A", "B", LOSS.metric, (0.1, 0.2, 0.1, 0.2, 0.1), (0.15, 0.27, 0.16, 0.26, 0.12))
    alone = judge([pairing])[0]
    among = judge([pairing] * 20)[0]
    assert among.difference_p == pytest.approx(min(1.0, 20 * alone.difference_p))
    assert alone.outcome is Outcome.A_BETTER
    assert among.outcome is Outcome.UNDECIDED
    # What decides nothing is free.
    assert judge([pairing, Pairing("A", "B", LOSS.metric, (1.0,), (2.0,))])[0] == alone


def test_runs_are_paired_by_seed() -> None:
    a = {seed: Run(record(seed=seed, best_valid_loss=loss)) for seed, loss in ((53, 0.3), (51, 0.1), (52, 0.2))}
    b = {seed: Run(record(seed=seed, best_valid_loss=loss)) for seed, loss in ((51, 0.5), (53, 0.7), (60, 0.9))}
    pairing = pair("A", "B", LOSS.on("valid"), a, b)
    assert (pairing.values_a, pairing.values_b) == ((0.1, 0.3), (0.5, 0.7))


def test_runs_of_a_seed_that_saw_different_data_are_no_pair() -> None:
    one = {
        seed: Run(record(seed=seed, data_sha256=data))
        for seed, data in zip(range(5), ["a", "a", "a", None, None], strict=True)
    }
    other = {
        seed: Run(record(seed=seed, data_sha256=data))
        for seed, data in zip(range(5), ["a", "b", None, "b", None], strict=True)
    }
    assert (
        pair("A", "B", LOSS.on("valid"), one, other).n == 4
    )  # all but seed 1: where one does not say, the name counts


def test_a_run_without_the_quantity_is_left_out() -> None:
    a = {seed: Run(record(seed=seed)) for seed in (51, 52)}
    assert pair("A", "B", LOSS.on("valid"), a, {**a, 52: Run(record(best_valid_loss=None))}).n == 1
    assert pair("A", "B", LOSS, a, a).n == 0  # these have no test pairs


def test_times_and_memory_of_two_device_models_are_no_pair_and_losses_are() -> None:
    elsewhere = {"device_name": "another processor", "threads": 2}
    runs_a = {51: Run(record()), 52: Run(record(environment=elsewhere))}
    runs_b = {51: Run(record()), 52: Run(record())}
    assert [pair("A", "B", quantity, runs_a, runs_b).n for quantity in (EPOCH_TIME, MEMORY, LOSS.on("valid"))] == [
        1,
        1,
        2,
    ]
