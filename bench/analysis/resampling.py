"""Seeds that divide the same pairs again and again, as those of data read from files do, depend on each other.

Statistics of such seeds take a ``ratio``, reported pairs per training pair, from here (Nadeau and Bengio 2003).
"""

from collections.abc import Iterable

from bench.metrics import reported_pairs
from bench.records import Metric, RunRecord


def resampling(records: Iterable[RunRecord]) -> float:
    """The reported pairs per training pair of seeds that divide the same pairs; 0 if each seed has its own.

    Records without ``drawn`` tell it by ``simulated`` and the hash of their training pairs.
    """
    return max(ratios(records), default=0.0)


def ratios(records: Iterable[RunRecord]) -> tuple[float, ...]:
    """That of each record alone, in the same order; 0 for all of them, or for those that do not tell."""
    records = list(records)
    drawn = [record.train_sha256 for record in records if _is_drawn(record) and record.train_sha256]
    if len(records) < 2 or len(set(drawn)) == len(records):
        return (0.0,) * len(records)
    counts = [(reported_pairs(record), record.train_pairs) for record in records]
    return tuple(reported / train if reported and train else 0.0 for reported, train in counts)


def _is_drawn(record: RunRecord) -> bool:
    return bool(record.simulated if record.drawn is None else record.drawn)


def name_of_test(ratio: float) -> str:
    """The test of differences, in words, by what ``resampling`` returned."""
    return "t test of Nadeau and Bengio, as seeds divide the same pairs" if ratio else "exact sign flips"


def shared_pairs(records: Iterable[RunRecord]) -> float:
    """``resampling`` of a table: the largest of its rows."""
    rows: dict[tuple[str, str], list[RunRecord]] = {}
    for record in records:
        rows.setdefault((record.model, record.variant), []).append(record)
    return max(map(resampling, rows.values()), default=0.0)


def ratio_of(metric: Metric, ratio: float) -> float:
    """The ``ratio`` of one metric: 0 for costs, which do not depend on the pairs."""
    return 0.0 if metric.per_machine or metric.comparison == "exact" else ratio
