"""Tables of means over seeds: their intervals, which cells stand out as the best, and the notes about both."""

from collections.abc import Hashable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from bench.analysis import formats
from bench.analysis.conditions import describe
from bench.analysis.resampling import name_of_test, ratio_of, shared_pairs
from bench.analysis.sequential import resampled_p, sign_flip_p
from bench.analysis.statistics import ALPHA, FEWEST_SEEDS, Floats, Interval, holm, mean_interval
from bench.metrics import is_timed
from bench.records import Metric, RunRecord
from bench.records.load import most_load_words
from bench.tables.text import TextTable

_SPREAD = "±: half the width of the 95% interval of the mean over seeds (Student's t)"

ROUGH = "~"
"""Before a time that is the mean of runs of which one at least was disturbed."""

BEST_OF_COLUMN = "the best of its column and all rows not significantly different from it (Holm over the rows)"

BETTER_OF_TWO = "the better of the two, where they differ significantly (Holm over the rows of a metric)"


def rough_means(records: Iterable[RunRecord]) -> str:
    """What ROUGH means in a table of some runs."""
    most = most_load_words(record.device for record in records)
    return (
        f"{ROUGH}: rough, as other processes kept more than {most} busy; "
        "such times are neither marked nor counted by claims"
    )


def spread_of(ratio: float) -> str:
    """What "±" means in a table whose runs have this ratio (``analysis.resampling``)."""
    shared = (
        "; for losses and accuracies with the variance of Nadeau and Bengio, as all seeds divide the same pairs"
    )
    return _SPREAD + (shared if ratio else "")


class Best(str):
    """The text of a cell that stands out."""


def seed_table(
    name: str,
    title: str,
    header: Sequence[str],
    labels: int,
    rows: Sequence[Sequence[str]],
    data: pd.DataFrame | list[dict[str, object]],
    records: Sequence[RunRecord],
    *,
    seeds: int,
    best: str,
    spread: str = "",
    before: Iterable[str] = (),
    after: Iterable[str] = (),
    groups: Sequence[str] = (),
    further: bool = False,
) -> TextTable:
    """A ``TextTable`` of means over ``seeds`` seeds, titled after the study of its records.

    Cells of type ``Best`` are marked; ``best`` is what a mark means in this table, ``spread`` how it shows the
    spread of seeds, if not by intervals. Notes about both stand between those in ``before`` and ``after``.
    """
    ratio = shared_pairs(records)
    spread = spread or spread_of(ratio)
    test = name_of_test(ratio) + ("; costs by exact sign flips" if ratio else "")
    reason = f"{best}; paired by seed at {ALPHA:.0%}, {test}"
    any_rough = any(cell.startswith(ROUGH) for row in rows for cell in row)
    marked = frozenset(
        (i, j) for i, row in enumerate(rows) for j, cell in enumerate(row) if isinstance(cell, Best)
    )
    return TextTable(
        name=name,
        title=f"{records[0].study}: {title}",
        header=list(header),
        labels=labels,
        rows=[[str(cell) for cell in row] for row in rows],
        notes=[
            *before,
            *notes(seeds, reason, any_marked=bool(marked), spread=spread),
            *after,
            *([rough_means(records)] if any_rough else []),
        ],
        conditions=describe(records, times=any_rough),
        data=pd.DataFrame(data),
        marked=marked,
        groups=groups,
        further=further,
    )


def raw(intervals: Mapping[str, Interval]) -> dict[str, object]:
    """The numbers of intervals as CSV files hold them: ``<name>``, ``<name>_low``, ``<name>_high``."""
    return {
        column: value
        for name, interval in intervals.items()
        for column, value in (
            (name, interval.mean),
            (f"{name}_low", interval.low),
            (f"{name}_high", interval.high),
        )
    }


def better_is_higher(metric: Metric) -> bool | None:
    """The direction in which a value is marked as better: of counts, which have no direction, the lower one."""
    return False if metric.higher_is_better is None and metric.comparison == "exact" else metric.higher_is_better


def best(values: pd.DataFrame, *, higher_is_better: bool | None, ratio: float = 0.0) -> set[Hashable]:
    """The best of several rows of a table, with all that are not significantly different from it.

    A row differs from the best where their difference, paired by seed, is significant at 5% by the test that
    verdicts rest on, adjusted for the number of rows (Holm).

    Args:
        values: One line per seed, one column per row of the table; NaN where a run is missing.
        higher_is_better: The direction; None for none.
        ratio: Of ``bench.analysis.resampling.shared_pairs``.

    Returns:
        Names of columns. Empty where that would be all of them, without a direction, and where they share fewer
        than FEWEST_SEEDS seeds.
    """
    shared = values.dropna()
    if higher_is_better is None or len(shared) < FEWEST_SEEDS or shared.shape[1] < 2:
        return set()
    columns = shared.to_numpy(dtype=float).T
    totals = columns.mean(axis=1)
    first = int(totals.argmax() if higher_is_better else totals.argmin())
    others = np.delete(np.arange(len(columns)), first)
    differences = columns[others] - columns[first]
    p_values = holm([_p(x, ratio) for x in differences])
    alike = {first, *(int(other) for other, p in zip(others, p_values, strict=True) if p >= ALPHA)}
    return {shared.columns[place] for place in alike} if len(alike) < len(columns) else set()


def compared(
    metric: Metric, rows: Sequence[pd.DataFrame], ratio: float, decimals: int | None = None
) -> list[list[str]]:
    """The means of two columns for each row of a table; the better one is marked where they differ significantly.

    The test is that of ``best``, adjusted for the number of rows (Holm).

    Args:
        metric: What all rows are of.
        rows: For each row the values of its columns, one line per seed.
        ratio: Of ``bench.analysis.resampling.shared_pairs``.
        decimals: To show; None for those of each value.
    """
    ratio, higher = ratio_of(metric, ratio), better_is_higher(metric)
    differences = [values.to_numpy(dtype=float) @ (-1.0, 1.0) for values in rows]
    tested = [higher is not None and len(of_row) >= FEWEST_SEEDS for of_row in differences]
    p_values = iter(holm([_p(of_row, ratio) for of_row, test in zip(differences, tested, strict=True) if test]))
    texts = []
    for values, of_row, test in zip(rows, differences, tested, strict=True):
        row = [
            formats.mean(metric, mean_interval(values[column], ratio=ratio), decimals) for column in values.columns
        ]
        if test and next(p_values) < ALPHA:
            better = int((of_row.mean() > 0) == higher)
            row[better] = Best(row[better])
        texts.append(row)
    return texts


def _p(differences: Floats, ratio: float) -> float:
    return resampled_p(differences, ratio) if ratio else sign_flip_p(differences)


def roughly(text: str, metric: Metric, *, disturbed: bool) -> str:
    """The text of a cell, with ROUGH before it and without a mark if it is a time of runs that were disturbed."""
    return f"{ROUGH}{text}" if disturbed and is_timed(metric) else text


def notes(seeds: int, reason: str, *, any_marked: bool, spread: str) -> list[str]:
    """The notes about spread and marks; ``reason`` is what a mark means in this table."""
    if seeds == 0:
        return []
    if seeds == 1:
        return ["one seed has no spread, so no row is marked as best"]
    if any_marked:
        return [spread, f"marked: {reason}"]
    if seeds < FEWEST_SEEDS:
        return [spread, f"no row is marked as best: fewer than {FEWEST_SEEDS} seeds are too few for a decision"]
    return [spread, "no row is marked as best: no difference is significant over the seeds that all rows share"]
