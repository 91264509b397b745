"""``--fail-on``: how much worse than an earlier run a metric may be before the run fails.

A rule is ``<metric>:<sign><number>`` or ``<metric>:<sign><number>%``. The sign is the bad direction; the number is
how far a model's mean over seeds (of times: the median) may move that way, in the unit of records or in percent of
the earlier value. Commas separate rules: ``test_accuracy:-0.01,peak_memory:+5%,epoch_time:+15%``.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.analysis import formats
from bench.analysis.comparison import Change, Comparison, Gap, compared_metrics
from bench.analysis.statistics import mean_interval
from bench.config import OptionError
from bench.metrics import reported_part
from bench.records import Metric, RunRecord
from fusiongauge import some

_SHOWN = 5
"""How many models a sentence lists."""

_RULE = re.compile(r"(?P<metric>[^:\s]+)\s*:\s*(?P<sign>[+-])(?P<number>\d+(\.\d*)?|\.\d+)(?P<percent>%?)")


@dataclass(frozen=True)
class Rule:
    """How far one metric may move in its bad direction.

    Attributes:
        text: As it was given.
        metric: The metric's name.
        direction: 1 where growing is bad, -1 where shrinking is.
        allowance: At least 0; in the unit of records, or a share of the earlier value.
        relative: Whether it is a share.
    """

    text: str
    metric: str
    direction: int
    allowance: float
    relative: bool

    def is_broken(self, change: Change) -> bool:
        """Whether a metric moved further than allowed; a move of exactly the allowance breaks no rule."""
        before, now = change.center_before, change.center_now
        moved = self.direction * (now - before)
        allowed = self.allowance * abs(before) if self.relative else self.allowance
        return moved > allowed and not math.isclose(moved, allowed, rel_tol=1e-9)

    def judges(self, change: Change) -> bool:
        """Whether the rule is about the metric, and the runs can be compared in it."""
        return self.metric == change.metric.name and change.judged

    def misses(self, gap: Gap) -> bool:
        """Whether the rule is about the metric that could not be judged."""
        return self.metric == gap.metric.name


def parse(text: str, records: Iterable[RunRecord] = ()) -> tuple[Rule, ...]:
    """The rules of a ``--fail-on``; none for an empty text. They may be about the metrics that records declare.

    Raises:
        OptionError: A word is not a rule, names a metric that does not exist, or would fail a run that is better.
    """
    metrics = compared_metrics(records := list(records))
    names = metric_names(records)
    return tuple(_rule(word.strip(), names, metrics) for word in text.split(",")) if text.strip() else ()


def metric_names(records: Sequence[RunRecord] = ()) -> dict[str, str]:
    """The names that rules can use, then the shorter ones, each with the name of its metric."""
    metrics = compared_metrics(records)
    # A shorter name is of the part of the pairs that the records report on.
    part = reported_part(records)
    shorter = {
        metric.alias: name
        for name, metric in sorted(metrics.items(), key=lambda named: named[1].part in ("", part))
        if metric.alias not in ("", *metrics)
    }
    return {name: name for name in metrics} | shorter


def fail_on_help() -> str:
    """The help of ``--fail-on``, with the metrics that are registered; written for argparse."""
    return (
        "fail if a model is worse than in the earlier run by more than this: metric:-0.01 or metric:+5%%; the "
        f"sign is the bad direction; commas separate several; metrics: {', '.join(metric_names())}"
    )


def _rule(word: str, names: Mapping[str, str], metrics: Mapping[str, Metric]) -> Rule:
    parts = _RULE.fullmatch(word)
    if parts is None:
        raise OptionError(
            f"--fail-on {word!r}: give a metric, a sign and how far it may move that way, "
            "such as test_accuracy:-0.01 or epoch_time:+15%"
        )
    if parts["metric"] not in names:
        raise OptionError(
            f"--fail-on {word!r}: there is no metric {parts['metric']}; give one of {', '.join(names)}"
        )
    metric, direction = metrics[names[parts["metric"]]], 1 if parts["sign"] == "+" else -1
    if metric.higher_is_better is not None and metric.higher_is_better == (direction > 0):
        better, bad = ("higher", "-") if metric.higher_is_better else ("lower", "+")
        raise OptionError(
            f"--fail-on {word!r}: {better} is better for {parts['metric']}, so this would fail a better run; "
            f"the sign is the bad direction: {parts['metric']}:{bad}{parts['number']}{parts['percent']}"
        )
    return Rule(
        text=word,
        metric=metric.name,
        direction=direction,
        allowance=float(parts["number"]) / (100 if parts["percent"] else 1),
        relative=bool(parts["percent"]),
    )


def violations(rules: Sequence[Rule], comparison: Comparison) -> list[str]:
    """What is worse than the rules allow, one sentence each; empty without rules.

    A cell that was completed before and has failed or diverged now breaks any rule. Times and memory of different
    machines, and cells that only one of the runs has, are not judged.
    """
    if not rules:
        return []
    return [*broken(rules, comparison), *(f"{cell}; it was completed before" for cell in comparison.lost)]


def broken(rules: Sequence[Rule], comparison: Comparison) -> list[str]:
    """The metrics that moved further than the rules allow, or have no value any more, one sentence each."""
    moved = [
        _sentence(rule, change)
        for change in _all(comparison)
        for rule in rules
        if rule.judges(change) and rule.is_broken(change)
    ]
    vanished = [
        f"{gap.label}: {gap.metric.title} has no value now, which {rule.text} does not allow"
        for gap in comparison.gaps
        for rule in rules
        if rule.misses(gap) and gap.vanished
    ]
    return [*moved, *vanished]


def _all(comparison: Comparison) -> tuple[Change, ...]:
    """Rules may be about metrics on test and on validation pairs."""
    return (*comparison.changes, *comparison.further)


def missed(rules: Sequence[Rule], comparison: Comparison) -> list[str]:
    """What rules could have judged if the two runs were alike, a sentence for each rule and reason.

    Unlike ``unjudged``, this does not count models of which the earlier run has no value either.
    """
    sentences = []
    for rule in rules:
        models: dict[str, list[str]] = {}
        for gap in comparison.gaps:
            if rule.misses(gap) and not gap.vanished:
                models.setdefault(gap.reason, []).append(gap.label)
        for reason, labels in models.items():
            sentences.append(f"{rule.text} is not judged, as {reason}: {some(labels, _SHOWN)}")
    return sentences


def unjudged(rules: Sequence[Rule], comparison: Comparison) -> list[str]:
    """The rules that do not judge every model of both runs, one sentence each."""
    total = len({change.model for change in _all(comparison)} | {gap.model for gap in comparison.gaps})
    counts = [len({change.model for change in _all(comparison) if rule.judges(change)}) for rule in rules]
    return [
        f"{rule.text}: judged for {count} of the {total} models in both runs"
        for rule, count in zip(rules, counts, strict=True)
        if count < total
    ]


def report(rules: Sequence[Rule], comparison: Comparison) -> str:
    """The result of the rules, for a terminal; "" without rules."""
    if not rules:
        return ""
    failures = violations(rules, comparison)
    if not failures and not comparison.cells:
        return "--fail-on: no earlier run completed any of these cells, so nothing was judged"
    judged = any(rule.judges(change) for rule in rules for change in _all(comparison))
    if failures:
        title = "FAILED --fail-on: worse than the earlier run"
    else:
        title = f"--fail-on: {'nothing is worse than allowed' if judged else 'nothing could be judged'}"
    skipped = (f"not judged everywhere: {sentence}" for sentence in unjudged(rules, comparison))
    return "\n  ".join((title, *failures, *skipped))


def _sentence(rule: Rule, change: Change) -> str:
    metric, before, now = change.metric, change.center_before, change.center_now
    decimals = formats.common_decimals(metric, [mean_interval([center]) for center in (before, now)])
    moved = formats.signed(metric, now - before, None if metric.decimals is None else decimals)
    return (
        f"{change.label}: {metric.title} {formats.text(metric, before, decimals)} -> "
        f"{formats.text(metric, now, decimals)} ({moved}), which {rule.text} does not allow"
    )
