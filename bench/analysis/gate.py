"""``--fail-on``: how much worse than an earlier run a metric may be before the run fails.

A rule is ``<metric>:<sign><number>`` or ``<metric>:<sign><number>%``: the sign says which direction is bad, the
number how far a model's mean over seeds (of times: the median) may move that way, in the record's own unit or in
percent of what it was. Commas stand between rules: ``valid_accuracy:-0.01,peak_memory:+5%,epoch_time:+15%``.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.analysis.changes import METRICS, Change
from bench.analysis.comparison import compare
from bench.harness.options import OptionError
from bench.records.run import RunRecord

ALIASES = {
    "valid_loss": "best_valid_loss",
    "epoch_time": "epoch_seconds",
    "median_epoch_time": "epoch_seconds",
    "train_time": "train_seconds",
    "peak_memory": "peak_memory_bytes",
}
"""Shorter names -> the record's fields; ``epoch_seconds`` is the median of a run's epochs."""

FAIL_ON_HELP = (
    "fail where a model is worse than in the earlier run by more than this: metric:-0.01 or metric:+5%%, the sign "
    f"says which direction is bad; several with commas; metrics: {', '.join((*METRICS, *ALIASES))}"
)

_RULE = re.compile(r"(?P<metric>[^:\s]+)\s*:\s*(?P<sign>[+-])(?P<number>\d+(\.\d*)?|\.\d+)(?P<percent>%?)")


@dataclass(frozen=True)
class Rule:
    """How far one metric may move in its bad direction.

    Attributes:
        text: as it was given.
        metric: the record's field, one of METRICS.
        direction: 1 where growing is bad, -1 where shrinking is.
        allowance: at least 0; in the unit of the field, or a share of the earlier value.
        relative: whether it is a share.
    """

    text: str
    metric: str
    direction: int
    allowance: float
    relative: bool

    def is_broken(self, before: float, now: float) -> bool:
        """Whether a value moved further than allowed; a move of just the allowance is no violation."""
        moved = self.direction * (now - before)
        allowed = self.allowance * abs(before) if self.relative else self.allowance
        return moved > allowed and not math.isclose(moved, allowed, rel_tol=1e-9)


def parse(text: str) -> tuple[Rule, ...]:
    """The rules of a ``--fail-on``; none for an empty text.

    Raises:
        OptionError: a word that is no rule, or a metric that does not exist.
    """
    return tuple(_rule(word.strip()) for word in text.split(",")) if text.strip() else ()


def _rule(word: str) -> Rule:
    found = _RULE.fullmatch(word)
    if found is None:
        raise OptionError(
            f"--fail-on {word!r}: give a metric, a sign and how far it may move that way, "
            "such as valid_accuracy:-0.01 or epoch_time:+15%"
        )
    metric = ALIASES.get(found["metric"], found["metric"])
    if metric not in METRICS:
        known = ", ".join((*METRICS, *ALIASES))
        raise OptionError(f"--fail-on {word!r}: {found['metric']} is no metric; give one of {known}")
    return Rule(
        text=word,
        metric=metric,
        direction=1 if found["sign"] == "+" else -1,
        allowance=float(found["number"]) / (100 if found["percent"] else 1),
        relative=bool(found["percent"]),
    )


def violations(rules: Sequence[Rule], before: Iterable[RunRecord], now: Iterable[RunRecord]) -> list[str]:
    """What is worse than the rules allow, a sentence each; none where there are no rules.

    A cell that was completed before and is not now breaks any rule. Times and memory of different machines, and
    cells that only one of the runs has, are not judged.
    """
    if not rules:
        return []
    comparison = compare(before, now)
    broken = [
        _sentence(rule, change)
        for change in comparison.changes
        for rule in rules
        if _judges(rule, change) and rule.is_broken(change.center_before, change.center_now)
    ]
    return [*broken, *(f"{cell}; it was completed before" for cell in comparison.unfinished)]


def unjudged(rules: Sequence[Rule], before: Iterable[RunRecord], now: Iterable[RunRecord]) -> list[str]:
    """The rules that say nothing of some row that both runs have, a sentence each."""
    changes = compare(before, now).changes
    rows = {change.row for change in changes}
    judged = {rule: {change.row for change in changes if _judges(rule, change)} for rule in rules}
    return [
        f"{rule.text}: judged for {len(judged[rule])} of the {len(rows)} models in both runs"
        for rule in rules
        if judged[rule] != rows
    ]


def report(rules: Sequence[Rule], before: Sequence[RunRecord], now: Sequence[RunRecord]) -> str:
    """What the rules say of two runs, for a terminal; "" where there are no rules."""
    if not rules:
        return ""
    broken = violations(rules, before, now)
    if not broken and not compare(before, now).cells:
        return "--fail-on: no earlier run completed any of these cells, so nothing was judged"
    title = (
        "FAILED --fail-on: worse than the earlier run" if broken else "--fail-on: nothing is worse than allowed"
    )
    lines = [*broken, *(f"not judged everywhere: {sentence}" for sentence in unjudged(rules, before, now))]
    return "\n  ".join((title, *lines))


def _judges(rule: Rule, change: Change) -> bool:
    return rule.metric == change.metric.name and change.comparable


def _sentence(rule: Rule, change: Change) -> str:
    column = change.metric.column
    before, now = change.center_before, change.center_now
    return (
        f"{change.row}: {column.title} {column.text(before)} -> {column.text(now)} "
        f"({column.signed(now - before)}), which {rule.text} does not allow"
    )
