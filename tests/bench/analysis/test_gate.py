import pytest
from msgspec.structs import replace

from bench.analysis.comparison import Comparison, compare, compared_metrics
from bench.analysis.gate import Rule, fail_on_help, metric_names, missed, parse, report, unjudged, violations
from bench.config import OptionError
from bench.records import DIVERGED
from tests.bench.analysis.samples import foreign
from tests.bench.samples import MODEL, TWIN, record

ALIASES = {
    "valid_loss": "best_valid_loss",
    "epoch_time": "epoch_seconds",
    "train_time": "train_seconds",
    "peak_memory": "peak_memory_bytes",
}


def test_rules_are_a_metric_a_direction_and_an_allowance() -> None:
    assert parse("valid_accuracy:-0.01, peak_memory:+5%,epoch_time:+.5") == (
        Rule("valid_accuracy:-0.01", "valid_accuracy", -1, 0.01, relative=False),
        Rule("peak_memory:+5%", "peak_memory_bytes", 1, 0.05, relative=True),
        Rule("epoch_time:+.5", "epoch_seconds", 1, 0.5, relative=False),
    )
    assert parse("") == ()


def test_rules_can_name_every_compared_metric_and_its_alias() -> None:
    assert metric_names() == {name: name for name in compared_metrics()} | ALIASES
    for name, metric in metric_names().items():
        bad, good = ("-", "+") if compared_metrics()[metric].higher_is_better else ("+", "-")
        assert parse(f"{name}:{bad}1")[0].metric == metric
        if compared_metrics()[metric].higher_is_better is not None:
            with pytest.raises(OptionError, match=f"is better for {name}, .* direction: {name}:\\{bad}1$"):
                parse(f"{name}:{good}1")
        assert name in fail_on_help()


def test_a_metric_of_a_plug_in_works_as_a_rule() -> None:
    before, now = [foreign(0.2)], [foreign(0.25)]
    (rule,) = parse("valid_brier:+0.01", now)
    assert parse("brier:+0.01", now) == (replace_text(rule, "brier:+0.01"),)
    (sentence,) = violations([rule], compare(before, now))
    assert sentence == (
        "mine-late-gated-blur (seed 51): valid Brier score 0.200 -> 0.250 (+0.050), "
        "which valid_brier:+0.01 does not allow"
    )
    assert violations(parse("valid_brier:+0.1", now), compare(before, now)) == []
    with pytest.raises(OptionError, match="there is no metric valid_brier"):
        parse("valid_brier:+0.01")  # neither installed nor in the records


def replace_text(rule: Rule, text: str) -> Rule:
    return Rule(text, rule.metric, rule.direction, rule.allowance, rule.relative)


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
def test_a_word_that_is_not_a_rule_is_named_with_an_example(text: str) -> None:
    with pytest.raises(OptionError, match=r"--fail-on '.*': give a metric, a sign .* such as test_accuracy:-0.01"):
        parse(text)


@pytest.mark.parametrize("name", ["f1", "valid_balanced_accuracy"])  # the latter is in records, but not compared
def test_an_unknown_metric_is_answered_with_all_metrics(name: str) -> None:
    with pytest.raises(
        OptionError,
        match=rf"'{name}:-0.1': there is no metric {name}; give one of test_loss, .*, best_valid_loss, .*, peak",
    ):
        parse(f"parameters:+0,{name}:-0.1")


@pytest.mark.parametrize(
    ("text", "before", "now", "broken"),
    [
        ("valid_accuracy:-0.01", 0.91, 0.90, False),  # exactly the allowance, though 0.91 - 0.90 > 0.01 in floats
        ("valid_accuracy:-0.01", 0.91, 0.89, True),
        ("valid_accuracy:-0.01", 0.91, 0.99, False),
        ("valid_accuracy:-0", 0.91, 0.91, False),
        ("valid_accuracy:-0", 0.91, 0.90, True),
        ("valid_accuracy:-10%", 0.5, 0.45, False),
        ("valid_accuracy:-10%", 0.5, 0.44, True),
        ("valid_accuracy:-10%", 0.0, -0.001, True),
    ],
)
def test_a_rule_is_broken_beyond_its_allowance(text: str, before: float, now: float, broken: bool) -> None:
    comparison = compare([record(valid_accuracy=before)], [record(valid_accuracy=now)])
    assert bool(violations(parse(text), comparison)) == broken


def test_a_violation_tells_what_moved_how_far_and_what_was_allowed() -> None:
    rules = parse("valid_accuracy:-0.01,peak_memory:+5%")
    worse = record(valid_accuracy=0.8, peak_memory_bytes=41_000_000)
    assert violations(rules, compare([record()], [worse])) == [
        f"{MODEL} (seed 51): valid accuracy 0.900 -> 0.800 (-0.100), which valid_accuracy:-0.01 does not allow"
    ]


def test_means_over_common_seeds_are_judged_model_by_model() -> None:
    rules = parse("valid_accuracy:-0.05")
    before = [record(seed=seed, valid_accuracy=0.9) for seed in (51, 52, 53)]
    now = [record(seed=51, valid_accuracy=0.82), record(seed=52, valid_accuracy=0.9)]
    assert violations(rules, compare(before, now)) == []  # -0.04 on average, though one seed fell by 0.08
    lower = [replace(one, valid_accuracy=0.84) for one in now]
    sentences = violations(rules, compare(before, lower))
    assert [sentence.partition(":")[0] for sentence in sentences] == [f"{MODEL} (2 seeds)"]
    # A model that the earlier run does not have cannot be worse.
    assert violations(rules, compare(before, [*now, record(TWIN, valid_accuracy=0.1)])) == []


def test_a_cell_that_is_not_completed_any_more_breaks_any_rule() -> None:
    diverged = record(status=DIVERGED, error="the loss is not finite")
    (sentence,) = violations(parse("parameters:+0"), compare([record()], [diverged]))
    assert sentence == f"{MODEL} (seed 51): diverged, the loss is not finite; it was completed before"
    assert violations((), compare([record()], [diverged])) == []
    assert violations(parse("parameters:+0"), compare([diverged], [diverged])) == []


def test_times_of_another_machine_are_not_judged_and_that_is_reported() -> None:
    rules = parse("epoch_time:+15%,valid_accuracy:-0.5")
    elsewhere = record(environment={**record().environment, "device_name": "slow"}, epoch_seconds=[99.0])
    assert violations(rules, compare([record()], [elsewhere])) == []
    assert unjudged(rules, compare([record()], [elsewhere])) == [
        "epoch_time:+15%: judged for 0 of the 1 models in both runs"
    ]
    assert unjudged(rules, compare([record()], [record()])) == []


def test_the_report() -> None:
    rules, same = parse("valid_accuracy:-0.01"), compare([record()], [record()])
    assert report((), same) == ""
    nothing = "--fail-on: no earlier run completed any of these cells, so nothing was judged"
    assert report(rules, compare([], [record()])) == report(rules, compare([record()], [record(TWIN)])) == nothing
    assert report(rules, same) == "--fail-on: nothing is worse than allowed"
    worse: Comparison = compare([record()], [record(valid_accuracy=0.5)])
    lines = report(rules, worse).splitlines()
    assert lines[0] == "FAILED --fail-on: worse than the earlier run"
    assert lines[1].startswith(f"  {MODEL} (seed 51): valid accuracy 0.900 -> 0.500")


def test_a_metric_without_a_value_any_more_breaks_its_rule() -> None:
    rules = parse("valid_accuracy:-0.5,valid_loss:+9")
    undefined = record(valid_accuracy=None, valid_metrics={"loss": 0.25})
    sentence = f"{MODEL} (seed 51): valid accuracy has no value now, which valid_accuracy:-0.5 does not allow"
    assert violations(rules, compare([record()], [undefined])) == [sentence]
    for before, now in (([undefined], [record()]), ([undefined], [undefined]), ([record()], [])):
        assert violations(rules, compare(before, now)) == []


def test_rules_that_could_not_judge_are_listed_with_the_models() -> None:
    models = [f"mine-{name}" for name in "abcdef"]
    before = [foreign(model=model) for model in models]
    now = [replace(one, peak_memory_method="guessed") for one in before]
    rules = parse("peak_memory:+5%,valid_loss:+1%")
    (sentence,) = missed(rules, compare(before, now))
    reason = "it was measured in another way (counted by hand -> guessed)"
    listed = ", ".join(f"{model} (seed 51)" for model in models[:5])
    assert sentence == f"peak_memory:+5% is not judged, as {reason}: {listed} and 1 more"
    assert report(rules[:1], compare(before, now)).startswith("--fail-on: nothing could be judged\n")
