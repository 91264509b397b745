"""The least accuracy each model must reach, declared with the reason for each value.

No value was fitted to what the models reach: each is derived in its ``reason``. Where a model cannot be expected
to reach the general value, an entry above the general one names it and gives the reason.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import sqrt

from bench.metrics import reported_pairs, reported_part
from bench.records import RecordError, RunRecord

SIGMAS = 3.09
"""Standard errors that a normal variable exceeds once in a thousand times."""

Least = Callable[[RunRecord], float]


def above_chance(record: RunRecord) -> float:
    """Accuracy that guessing exceeds once in a thousand runs (normal approximation), at most 1.

    The best guess is the largest class every time.

    Raises:
        RecordError: The record does not tell its number of pairs.
    """
    counts = _class_counts(record)
    chance = max(counts) / sum(counts)
    return min(1.0, chance + SIGMAS * _standard_error(chance, record))


def balanced_above_chance(record: RunRecord) -> float:
    """Balanced accuracy that uniform guessing exceeds once in a thousand runs, at most 1; see ``above_chance``.

    Few pairs of one class make it uncertain, however many pairs there are of others.
    """
    counts, chance = [count for count in _class_counts(record) if count], 1 / record.classes
    error = sqrt(chance * (1 - chance) * sum(1 / count for count in counts)) / len(counts)
    return min(1.0, chance + SIGMAS * error)


def published(accuracy: float) -> Least:
    """A published accuracy, less the deviation that chance explains over the pairs that are reported on."""
    return lambda record: accuracy - SIGMAS * _standard_error(accuracy, record)


def nothing(record: RunRecord) -> float:  # noqa: ARG001 - one of the functions of a record
    """No accuracy is required; a finite loss still is."""
    return 0.0


def _class_counts(record: RunRecord) -> list[float]:
    """The reported pairs of each class; even classes where the record does not tell."""
    told = (record.class_counts or {}).get(reported_part([record]))
    return [*told] if told else [_pairs(record) / record.classes] * record.classes


def _standard_error(share: float, record: RunRecord) -> float:
    return sqrt(share * (1 - share) / _pairs(record))


def _pairs(record: RunRecord) -> int:
    pairs = reported_pairs(record)
    if not pairs:
        raise RecordError(f"the record of {record.model} does not tell the number of pairs to judge it by")
    return pairs


@dataclass(frozen=True)
class Threshold:
    """The accuracy that is required of some cells.

    Attributes:
        cells: Shell pattern of ``<study>/<data set>/<profile>/<model>``, as in records.
        least: The least accuracy that the record reports, from its classes and pairs.
        reason: Why this value.
        of_files: Whether it is for data from files alone.
    """

    cells: str
    least: Least
    reason: str
    of_files: bool = False

    def applies(self, record: RunRecord) -> bool:
        """Whether the record's cell matches the pattern."""
        if self.of_files and record.simulated is not False:
            return False
        return fnmatchcase("/".join((record.study, record.dataset, record.profile, record.model)), self.cells)


_FUSION = published(0.971), "the lowest published accuracy of a MaxPool fusion (compact, add)"

THRESHOLDS = (
    Threshold("*/smoke/*", nothing, "smoke trains a few steps: it shows that a model runs, not that it learns"),
    Threshold(
        "standard/*/quick/experts-late-*",
        nothing,
        "only the few weights after two frozen experts are trained; Adam moves a weight by about the learning "
        "rate per step, so quick's few steps at 0.001 cannot move them far from their random start",
    ),
    Threshold(
        "*",
        nothing,
        "nobody knows how well a model can do on data of somebody's own: what it reaches is a result",
        of_files=True,
    ),
    Threshold("standard/*/quick/*", above_chance, "a model that learns beats guessing (one-sided p < 0.001)"),
    Threshold(
        "standard/shapes/full/*-rgb-*",
        above_chance,
        "no accuracy of RGB alone is published; some objects are unlit",
    ),
    Threshold(
        "standard/shapes/full/compact-*-strided",
        published(0.820),
        "the lowest published accuracy of a strided fusion (compact, add), on raw inputs",
    ),
    Threshold(
        "standard/shapes/full/deep-*-strided",
        published(0.930),
        "the published accuracy (over training and validation pairs together, none is published for the latter)",
    ),
    Threshold("standard/shapes/full/*-maxpool", *_FUSION),
    Threshold("standard/shapes/full/*-strided", *_FUSION),
    Threshold(
        "standard/*",
        above_chance,
        "nothing is published for this model on these data: a model that learns beats guessing",
    ),
    Threshold("*", nothing, "the results of other studies are reported beside the published ones, not gated"),
)


def threshold_for(record: RunRecord) -> Threshold:
    """The first entry of THRESHOLDS that applies; the last one applies to everything."""
    return next(threshold for threshold in THRESHOLDS if threshold.applies(record))
