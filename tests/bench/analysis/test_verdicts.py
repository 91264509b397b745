"""Every verdict on numbers one can check by eye."""

from dataclasses import replace
from math import isnan, nan

import numpy as np
import pytest
from scipy import stats

from bench.analysis.pairing import Pairing
from bench.analysis.quantities import (
    ACCURACY,
    EPOCH_TIME,
    LEARNED,
    LOSS,
    LOSS_RATIO,
    MEMORY,
    PARAMETERS,
    Quantity,
)
from bench.analysis.sequential import LOOKS
from bench.analysis.verdicts import Outcome, Verdict, follow, judge
from bench.records import Metric


def pairing(quantity: Quantity | Metric, a: list[float], b: list[float], ratio: float = 0.0) -> Pairing:
    metric = quantity.metric if isinstance(quantity, Quantity) else quantity
    return Pairing("A", "B", metric, tuple(a), tuple(b), tuple(range(len(a))), ratios=(ratio,) * len(a))


def verdict(quantity: Quantity | Metric, a: list[float], b: list[float]) -> Verdict:
    (judged,) = judge([pairing(quantity, a, b)])
    return judged


LOW = [0.100, 0.102, 0.099, 0.101, 0.100, 0.103]
HIGH = [0.30, 0.31, 0.29, 0.30, 0.31, 0.32]


def test_the_lower_loss_is_superior() -> None:
    assert verdict(LOSS, LOW, HIGH).words == "A superior"
    assert verdict(LOSS, HIGH, LOW).words == "B superior"


def test_the_higher_accuracy_is_superior() -> None:
    assert verdict(ACCURACY, LOW, HIGH).words == "B superior"


def test_a_difference_that_is_sure_but_too_small_is_equivalence() -> None:
    judged = verdict(LOSS, LOW, [x + 0.001 + 0.0001 * i for i, x in enumerate(LOW)])
    assert judged.difference_p < 0.05
    assert judged.words == "equivalent within 0.01 nats"


def test_a_sure_direction_below_the_margin_that_is_not_sure_to_be_is_direction_only() -> None:
    differences = [0.001, 0.002, 0.001, 0.002, 0.002, 0.02]
    judged = verdict(LOSS, LOW, [x + d for x, d in zip(LOW, differences, strict=True)])
    assert judged.outcome is Outcome.A_AHEAD
    assert judged.words == "direction only: A better (below 0.01 nats)"
    assert (
        verdict(ACCURACY, LOW, [x + d for x, d in zip(LOW, differences, strict=True)]).outcome is Outcome.B_AHEAD
    )


def test_a_wide_spread_is_undecided() -> None:
    judged = verdict(LOSS, [0.1, 0.3, 0.2, 0.4, 0.1, 0.2], [0.2, 0.2, 0.3, 0.3, 0.3, 0.1])
    assert (judged.outcome, judged.words) == (Outcome.UNDECIDED, "undecided")


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_fewer_than_six_seeds_decide_nothing(n: int) -> None:
    judged = verdict(LOSS, LOW[:n], HIGH[:n])
    assert judged.words == "undecided: fewer than 6 seeds"
    assert isnan(judged.difference_p)


def test_the_effect_is_a_less_b_with_scipys_intervals() -> None:
    judged = verdict(LOSS, LOW, HIGH)
    reference = stats.ttest_rel(LOW, HIGH)
    assert judged.effect.mean == pytest.approx(np.mean(LOW) - np.mean(HIGH))
    for interval, level in ((judged.effect, 0.95), (judged.equivalence_effect, 0.90)):
        expected = reference.confidence_interval(level)
        assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    assert judged.t_p == pytest.approx(reference.pvalue)
    assert judged.difference_p == 2 / 2**6
    assert judged.effect.low < judged.bootstrap.low < judged.bootstrap.high < judged.effect.high


def test_equivalence_is_two_one_sided_sign_flips() -> None:
    a, b = [0.10, 0.11, 0.12, 0.10, 0.11, 0.12, 0.13], [0.105, 0.112, 0.118, 0.101, 0.117, 0.121, 0.127]
    judged = verdict(LOSS, a, b)
    x = np.subtract(b, a)
    one, other = (
        stats.permutation_test(
            (sign * x + 0.01,), np.mean, permutation_type="samples", alternative="greater"
        ).pvalue
        for sign in (1, -1)
    )
    assert judged.not_worse_p == pytest.approx(one)
    assert judged.equivalence_p == pytest.approx(max(one, other))


def test_ratios_are_compared_by_their_logarithms() -> None:
    a, b = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0], [2.0, 4.0, 8.2, 16.0, 32.0, 64.0]
    judged = verdict(EPOCH_TIME, a, b)
    interval = stats.ttest_rel(np.log(a), np.log(b)).confidence_interval()
    assert judged.words == "A superior"
    assert judged.effect.mean == pytest.approx(np.exp(np.mean(np.log(a) - np.log(b))))
    assert (judged.effect.low, judged.effect.high) == pytest.approx((np.exp(interval.low), np.exp(interval.high)))


def test_what_does_not_depend_on_the_seed_is_decided_by_one_run() -> None:
    assert verdict(PARAMETERS, [100.0], [200.0]).words == "A superior"
    assert verdict(PARAMETERS, [100.0], [100.0]).words == "equal"
    assert verdict(PARAMETERS, [], []).words == "undecided"
    assert verdict(MEMORY, [100.0], [100.5]).words == "equivalent within 1%"
    half = PARAMETERS.with_margin(0.5, "half")
    assert verdict(half, [100.0], [149.0]).words == "equivalent within 50%"
    assert verdict(half, [100.0], [151.0]).words == "A superior"


def test_differences_without_chance_that_cancel_out_are_undecided() -> None:
    assert verdict(MEMORY, [90.0, 110.0], [100.0, 100.0]).words == "undecided"


def test_without_a_direction_differences_are_shown_and_not_judged() -> None:
    judged = verdict(Metric(name="bias", title="bias"), HIGH, LOW)
    assert judged.words == "not judged"
    assert judged.effect.mean == pytest.approx(np.mean(HIGH) - np.mean(LOW))
    assert isnan(judged.difference_p)
    assert isnan(judged.probability.mean)
    # It does not count among the comparisons of the table either.
    loss = pairing(LOSS, LOW, HIGH)
    assert judge([loss, judged.pairing])[0] == judge([loss])[0]
    assert follow(judged.pairing, (6,), lambda _: True).words == "not judged"


def test_a_metric_without_a_margin_is_the_same_only_where_it_is_equal() -> None:
    metric = Metric(name="f1", title="F1", higher_is_better=True)
    assert verdict(metric, LOW, LOW).words == "equal"
    assert verdict(metric, LOW, [x + 1e-9 for x in LOW[::-1]]).words == "undecided"
    assert verdict(metric, HIGH, LOW).words == "A superior"
    assert verdict(metric, LOW[:4], LOW[:4]).outcome is Outcome.UNDECIDED


def test_effects_are_written_in_the_unit_of_the_title() -> None:
    percent = Metric(name="f1", title="F1 (%)", higher_is_better=True, scale=0.01)
    assert verdict(percent, [0.5], [0.25]).effect_text == "+25"
    assert verdict(ACCURACY, [0.1 + 0.2], [0.3]).effect_text == "+0.0"  # what only rounding made
    assert verdict(ACCURACY, [0.0], [1.5e-7]).effect_text == "-1.5e-07"
    assert verdict(ACCURACY, [], []).effect_text == "-"


def test_more_comparisons_make_a_verdict_harder() -> None:
    one = pairing(LOSS, [0.1, 0.2, 0.1, 0.2, 0.1, 0.1], [0.15, 0.27, 0.16, 0.26, 0.12, 0.14])
    alone = judge([one])[0]
    among = judge([one] * 20)[0]
    assert among.difference_p == pytest.approx(min(1.0, 20 * alone.difference_p))
    assert alone.outcome is Outcome.A_SUPERIOR
    assert among.outcome is Outcome.UNDECIDED
    # What decides nothing is free.
    assert judge([one, pairing(LOSS, [1.0], [2.0])])[0] == alone


def settled(verdict: Verdict) -> bool:
    return verdict.outcome is not Outcome.UNDECIDED


RNG = np.random.default_rng(3)
NEAR = list(RNG.normal(0.1, 0.002, size=20))
FAR = list(RNG.normal(0.3, 0.002, size=20))


def test_a_clear_answer_is_settled_at_the_first_look_and_stays() -> None:
    for seen in (10, 12, 20):
        found = follow(pairing(LOSS, NEAR[:seen], FAR[:seen]), LOOKS, settled)
        assert (found.words, found.look, found.pairing.n) == ("A superior", 1, 10)
    reversed_later = follow(pairing(LOSS, NEAR[:10] + FAR[10:], FAR[:10] + NEAR[10:]), LOOKS, settled)
    assert (reversed_later.words, reversed_later.look) == ("A superior", 1)


def test_equal_models_stop_for_equivalence() -> None:
    found = follow(pairing(LOSS, NEAR, NEAR[::-1]), LOOKS, settled)
    assert (found.words, found.look) == ("equivalent within 0.01 nats", 1)


def test_before_the_first_look_nothing_is_tested() -> None:
    found = follow(pairing(LOSS, NEAR[:9], FAR[:9]), LOOKS, settled)
    assert (found.words, found.look, found.pairing.n) == ("undecided", 0, 9)
    assert isnan(found.difference_p)
    assert found.effect.mean == pytest.approx(np.mean(NEAR[:9]) - np.mean(FAR[:9]))


def test_rare_failures_of_seeds_that_divide_the_same_pairs_say_nothing_about_a_margin() -> None:
    alike = replace(pairing(LEARNED, [1.0] * 20, [1.0] * 20, 0.25), yes_or_no=True)
    found = follow(alike, LOOKS, settled)
    assert (found.outcome, found.equivalence_p, found.not_worse) == (Outcome.UNDECIDED, 1.0, False)


def test_a_few_runs_that_all_learned_are_not_as_often_learned() -> None:
    alike = replace(pairing(LEARNED, [1.0] * 20, [1.0] * 20), yes_or_no=True)
    found = {n: follow(alike.first(n), LOOKS, settled) for n in (10, 15, 20)}
    assert [found[n].outcome for n in found] == [Outcome.UNDECIDED, Outcome.UNDECIDED, Outcome.EQUIVALENT]
    assert [found[n].equivalence_p for n in found] == pytest.approx([0.8**n for n in found])
    once = replace(alike, values_a=(0.0, *[1.0] * 19))
    assert [found.not_worse for found in (follow(once, LOOKS, settled), follow(alike, LOOKS, settled))] == [
        False,
        True,
    ]


def test_what_no_look_settles_is_undecided_at_the_last() -> None:
    a = [0.1 + 0.05 * (-1) ** i for i in range(20)]
    found = follow(pairing(LOSS, a, [0.1] * 20), LOOKS, settled)
    assert (found.words, found.look, found.pairing.n) == ("undecided", 3, 20)
    assert found.difference_p > 0.5


def test_who_follows_says_what_settles() -> None:
    found = follow(pairing(LOSS, NEAR, FAR), LOOKS, lambda verdict: verdict.look == 2)
    assert (found.look, found.pairing.n) == (2, 15)


def test_seeds_that_divide_the_same_pairs_take_clearer_differences() -> None:
    a = [0.1 + 0.02 * x for x in RNG.normal(size=20)]
    b = [0.12] * 20
    own, same = (follow(pairing(LOSS, a, b, ratio), LOOKS, settled) for ratio in (0.0, 0.25))
    assert own.outcome is Outcome.A_SUPERIOR
    assert same.outcome is Outcome.UNDECIDED
    assert same.effect.high - same.effect.low > own.effect.high - own.effect.low


def test_a_pair_without_any_that_count_is_undecided() -> None:
    nothing = pairing(LOSS_RATIO, [nan] * 20, [nan] * 20)
    assert judge([nothing])[0].words == "undecided: fewer than 6 seeds"
    found = follow(nothing, LOOKS, settled)
    assert (found.words, found.look, found.effect_text) == ("undecided: fewer than 6 seeds", 3, "-")
