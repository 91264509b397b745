from dataclasses import replace

import pytest
from bench.analysis.changes import METRICS

from bench.analysis.gate import ALIASES, Rule, parse, report, unjudged, violations
from bench.harness.options import OptionError
from bench.records.run import DIVERGED
from tests.bench.samples import MODEL, TWIN, record


def test_rules_are_a_metric_a_direction_and_an_allowance() -> None:
    assert parse("valid_accuracy:-0.01, peak_memory:+5%,epoch_time:+.5") == (
        Rule("valid_accuracy:-0.01", "valid_accuracy", -1, 0.01, relative=False),
        Rule("peak_memory:+5%", "peak_memory_bytes", 1, 0.05, relative=True),
        Rule("epoch_time:+.5", "epoch_seconds", 1, 0.5, relative=False),
    )
    assert parse("") == ()


@pytest.mark.parametrize("name", [*METRICS, *ALIASES])
def test_every_metric_and_every_short_name_can_be_asked_for(name: str) -> None:
    (rule,) = parse(f"{name}:+1")
    assert rule.metric in METRICS


@pytest.mark.parametrize(
    "text",
    [
        "valid_accuracy",
        "valid_accuracy:0.01",
        "valid_accuracy:-",
        "valid_accuracy:-x",
        ":-1",
        "parameters:+1,",
        "a b:+1",
    ],
)
def test_a_word_that_is_no_rule_is_named_with_an_example(text: str) -> None:
    with pytest.raises(
        OptionError, match=r"--fail-on '.*': give a metric, a sign .* such as valid_accuracy:-0.01"
    ):
        parse(text)


def test_an_unknown_metric_is_answered_with_the_known_ones() -> None:
    with pytest.raises(
        OptionError, match=r"'f1:-0.1': f1 is no metric; give one of best_valid_loss, valid_acc.*, peak"
    ):
        parse("parameters:+0,f1:-0.1")


@pytest.mark.parametrize(
    ("text", "before", "now", "broken"),
    [
        ("valid_accuracy:-0.01", 0.91, 0.90, False),  # just the allowance, though 0.91 - 0.90 > 0.01 in floats
        ("valid_accuracy:-0.01", 0.91, 0.89, True),
        ("valid_accuracy:-0.01", 0.91, 0.99, False),
        ("valid_accuracy:-0", 0.91, 0.91, False),
        ("valid_accuracy:-0", 0.91, 0.90, True),
        ("valid_accuracy:+0.01", 0.91, 0.99, True),  # the sign says what is bad, whatever the metric
        ("valid_accuracy:-10%", 0.5, 0.45, False),
        ("valid_accuracy:-10%", 0.5, 0.44, True),
        ("valid_accuracy:+10%", 0.0, 0.001, True),
    ],
)
def test_a_rule_is_broken_beyond_its_allowance(text: str, before: float, now: float, broken: bool) -> None:
    found = violations(parse(text), [record(valid_accuracy=before)], [record(valid_accuracy=now)])
    assert bool(found) == broken


def test_a_violation_says_what_moved_how_far_and_what_was_allowed() -> None:
    rules = parse("valid_accuracy:-0.01,peak_memory:+5%")
    worse = record(valid_accuracy=0.8, peak_memory_bytes=41_000_000)
    assert violations(rules, [record()], [worse]) == [
        f"{MODEL} (seed 51): valid accuracy 0.900 -> 0.800 (-0.100), which valid_accuracy:-0.01 does not allow"
    ]


def test_means_over_common_seeds_are_judged_model_by_model() -> None:
    rules = parse("valid_accuracy:-0.05")
    before = [record(seed=seed, valid_accuracy=0.9) for seed in (51, 52, 53)]
    now = [record(seed=51, valid_accuracy=0.82), record(seed=52, valid_accuracy=0.9)]
    assert violations(rules, before, now) == []  # -0.04 on average, though one seed fell by 0.08
    lost = [replace(each, valid_accuracy=0.84) for each in now]
    assert [found.partition(":")[0] for found in violations(rules, before, lost)] == [f"{MODEL} (2 seeds)"]
    # A model that the earlier run does not have cannot be worse.
    assert violations(rules, before, [*now, record(TWIN, valid_accuracy=0.1)]) == []


def test_a_cell_that_is_not_completed_any_more_breaks_any_rule() -> None:
    diverged = record(status=DIVERGED, error="the loss is not finite")
    (found,) = violations(parse("parameters:+0"), [record()], [diverged])
    assert found == f"{MODEL} (seed 51): diverged, the loss is not finite; it was completed before"
    assert violations((), [record()], [diverged]) == []


def test_times_of_another_machine_are_not_judged_and_that_is_said() -> None:
    rules = parse("epoch_time:+15%,valid_accuracy:-0.5")
    elsewhere = record(environment={**record().environment, "device_name": "slow"}, epoch_seconds=[99.0])
    assert violations(rules, [record()], [elsewhere]) == []
    assert unjudged(rules, [record()], [elsewhere]) == [
        "epoch_time:+15%: judged for 0 of the 1 models in both runs"
    ]
    assert unjudged(rules, [record()], [record()]) == []


def test_the_report_says_how_it_went() -> None:
    rules = parse("valid_accuracy:-0.01")
    assert report((), [record()], [record()]) == ""
    nothing = "--fail-on: no earlier run completed any of these cells, so nothing was judged"
    assert report(rules, [], [record()]) == report(rules, [record()], [record(TWIN)]) == nothing
    assert report(rules, [record()], [record()]) == "--fail-on: nothing is worse than allowed"
    failed = report(rules, [record()], [record(valid_accuracy=0.5)]).splitlines()
    assert failed[0] == "FAILED --fail-on: worse than the earlier run"
    assert failed[1].startswith(f"  {MODEL} (seed 51): valid accuracy 0.900 -> 0.500")
