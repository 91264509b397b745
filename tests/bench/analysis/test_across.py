"""Comparisons over several data sets."""

import numpy as np
import pytest

from bench.analysis.across import across
from bench.analysis.pairing import Pairing
from bench.analysis.quantities import ACCURACY, LOSS
from bench.analysis.verdicts import Verdict, untested
from bench.records import Metric


def verdict(a: list[float], b: list[float], metric: Metric = ACCURACY.metric, name: str = "A") -> Verdict:
    return untested(Pairing(name, "B", metric, tuple(a), tuple(b)))


def test_each_data_set_counts_once_however_many_seeds_it_has() -> None:
    (summary,) = across(
        [
            ("one", verdict([0.9] * 20, [0.8] * 20)),  # A wins 20 of 20
            ("two", verdict([0.9, 0.7], [0.8, 0.8])),  # 1 of 2, equal on average
            ("three", verdict([0.7, 0.7, 0.7, 0.9], [0.8] * 4)),  # 1 of 4
        ]
    )
    assert summary.wins == 1
    assert summary.probability.mean == pytest.approx((1 + 0.5 + 0.25) / 3)
    assert list(summary.verdicts) == ["one", "two", "three"]


def test_the_interval_is_that_of_all_resamples_of_the_data_sets() -> None:
    (summary,) = across([(str(i), verdict([x], [0.5])) for i, x in enumerate((0.9, 0.9, 0.1))])
    # Means of three draws of (1, 1, 0): 0 with a chance of 1/27, above 2.5%, so the interval reaches from 0 to 1.
    assert (summary.probability.low, summary.probability.high) == (0.0, 1.0)
    assert summary.probability.n == 3


def test_data_sets_that_agree_leave_no_spread() -> None:
    (summary,) = across([("one", verdict([0.9], [0.8])), ("two", verdict([0.9], [0.8]))])
    assert (summary.wins, summary.probability.low, summary.probability.high) == (2, 1.0, 1.0)


def test_lower_losses_win() -> None:
    (summary,) = across([(name, verdict([0.1], [0.2], LOSS.metric)) for name in ("one", "two")])
    assert (summary.wins, summary.probability.mean) == (2, 1.0)


def test_only_the_same_comparison_on_several_data_sets_is_summarized() -> None:
    verdicts = [
        ("one", verdict([0.9], [0.8])),
        ("one", verdict([0.9], [0.8], LOSS.metric)),
        ("two", verdict([0.9], [0.8], name="C")),
        ("two", verdict([], [])),
        ("two", verdict([np.nan], [np.nan])),
    ]
    assert across(verdicts) == []


def test_without_a_direction_there_is_no_probability() -> None:
    aimless = Metric(name="bias", title="bias")
    (summary,) = across([(name, verdict([0.1], [0.2], aimless)) for name in ("one", "two")])
    assert summary.probability.n == 0
