"""The least accuracy each model must reach, declared with the reason for each value.

No value here was fitted to what the models reach: each is derived in its ``reason``. Where a model cannot be
expected to reach the general value, an entry above the general one names it and says why.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import sqrt

import pandas as pd

from bench.records.run import COMPLETED, RunRecord
from bench.tables import TextTable, conditions

SIGMAS = 3.09
"""Standard errors that a normal variable exceeds once in a thousand times."""

Least = Callable[[RunRecord], float]


def above_chance(record: RunRecord) -> float:
    """Accuracy that guessing evenly exceeds once in a thousand runs (normal approximation), at most 1."""
    chance = 1 / record.classes
    return min(1.0, chance + SIGMAS * _standard_error(chance, record))


def published(accuracy: float) -> Least:
    """A published accuracy, less what a validation set of the record's size may miss it by through chance."""
    return lambda record: accuracy - SIGMAS * _standard_error(accuracy, record)


def nothing(record: RunRecord) -> float:  # noqa: ARG001 - one of the functions of a record
    """No accuracy is asked for; a finite loss still is."""
    return 0.0


def _standard_error(share: float, record: RunRecord) -> float:
    if not record.valid_pairs:
        raise ValueError(f"the record of {record.model} has no validation pairs to judge it by")
    return sqrt(share * (1 - share) / record.valid_pairs)


@dataclass(frozen=True)
class Threshold:
    """What is asked of some models on a data set in a profile.

    Attributes:
        study: shell pattern of the study's name.
        dataset: shell pattern of the data set's name, as in records.
        profile: shell pattern of the profile's name.
        models: shell pattern of model names.
        least: the least validation accuracy at the best epoch, from the record's classes and pairs.
        reason: why this value.
    """

    study: str
    dataset: str
    profile: str
    models: str
    least: Least
    reason: str

    def applies(self, record: RunRecord) -> bool:
        """Whether the record's cell is meant."""
        return (
            fnmatchcase(record.study, self.study)
            and fnmatchcase(record.dataset, self.dataset)
            and fnmatchcase(record.profile, self.profile)
            and fnmatchcase(record.model, self.models)
        )


THRESHOLDS = (
    Threshold(
        "*", "*", "smoke", "*", nothing, "smoke trains a few steps: it shows that a model runs, not that it learns"
    ),
    Threshold(
        "standard",
        "*",
        "quick",
        "experts-late-*",
        nothing,
        "only the few weights behind two frozen experts are trained; Adam moves a weight by about the learning "
        "rate a step, so quick's few steps at 0.001 cannot move them far from their random start",
    ),
    Threshold(
        "standard", "*", "quick", "*", above_chance, "a model that learns beats guessing (one-sided p < 0.001)"
    ),
    Threshold(
        "standard",
        "shapes",
        "full",
        "*-rgb-*",
        above_chance,
        "no accuracy of RGB alone is published; some objects are unlit",
    ),
    Threshold(
        "standard",
        "shapes",
        "full",
        "compact-*-strided",
        published(0.820),
        "the lowest published accuracy of a strided fusion (compact, add), on raw inputs",
    ),
    Threshold(
        "standard",
        "shapes",
        "full",
        "deep-*-strided",
        published(0.930),
        "the published accuracy (over training and validation pairs together, none is published for the latter)",
    ),
    Threshold(
        "standard",
        "shapes",
        "full",
        "*",
        published(0.971),
        "the lowest published accuracy of a MaxPool fusion (compact, add)",
    ),
    Threshold(
        "standard",
        "*",
        "*",
        "*",
        above_chance,
        "nothing is published for these data: a model that learns beats guessing",
    ),
    Threshold("*", "*", "*", "*", nothing, "a study is a finding to report beside the published one, not a gate"),
)


def threshold_for(record: RunRecord) -> Threshold:
    """The first entry of THRESHOLDS that applies; the last one applies to everything."""
    return next(threshold for threshold in THRESHOLDS if threshold.applies(record))


def threshold_table(records: Sequence[RunRecord]) -> TextTable | None:
    """Accuracy beside the least that was asked for, a line a completed cell of the standard study.

    None if there is no such cell: other studies are held against nothing here.
    """
    done = [record for record in records if record.status == COMPLETED and record.study == "standard"]
    if not done:
        return None
    reasons: list[str] = []
    rows, data = [], []
    for record in done:
        threshold = threshold_for(record)
        if threshold.reason not in reasons:
            reasons.append(threshold.reason)
        least, reached = threshold.least(record), record.valid_accuracy or 0.0
        met, note = reached >= least, reasons.index(threshold.reason) + 1
        rows.append(
            [
                record.model,
                str(record.seed),
                f"{reached:.3f}",
                f"{least:.3f}" if least else "none",
                "yes" if met else "NO",
                f"({note})",
            ]
        )
        data.append(
            {
                "model": record.model,
                "seed": record.seed,
                "valid_accuracy": reached,
                "least": least,
                "met": met,
                "reason": threshold.reason,
            }
        )
    return TextTable(
        name="thresholds",
        title="Accuracy thresholds",
        header=["model", "seed", "valid accuracy", "least", "met", "reason"],
        labels=1,
        rows=rows,
        notes=[f"({number}) {reason}" for number, reason in enumerate(reasons, start=1)],
        conditions=conditions(records),
        data=pd.DataFrame(data),
    )
