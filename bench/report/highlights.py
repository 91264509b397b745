"""What a reader wants to know first of the records of one study, in sentences; no more than the seeds allow."""

from collections.abc import Iterable, Sequence

import pandas as pd

from bench.analysis.statistics import FEWEST_SEEDS, mean_interval
from bench.config import SMOKE
from bench.records.run import COMPLETED, RunRecord
from bench.tables import COLUMN, frame
from bench.tables.seeds import best
from bench.tables.thresholds import above_chance

NAMED = 4
"""How many rows a sentence lists by name before it only counts."""


def highlights(records: Sequence[RunRecord]) -> list[str]:
    """Sentences about records that may stand in one table: the best row, what learned nothing, what failed."""
    cells = frame(records)
    if cells.empty:
        return ["No run was completed.", *_unfinished(records)]
    if records[0].profile == SMOKE.name:
        return ["Profile smoke shows that the rows run, not which is better.", *_unfinished(records)]
    return [_best(cells), *_guessing(records), *_unfinished(records)]


def _best(cells: pd.DataFrame) -> str:
    losses = cells.pivot(index="seed", columns="model", values="best_valid_loss").dropna()
    n, rows = losses.shape
    if rows == 1:
        return f"One row, {losses.columns[0]}: nothing to compare it with."
    if n == 0:
        return "The rows have no seed in common, so nothing is said of which is better."
    means = losses.mean()
    first = str(means.idxmin())
    loss = COLUMN["best_valid_loss"].mean(mean_interval(losses[first]))
    seeds = "with one seed" if n == 1 else f"over {n} seeds"
    lowest = f"{first} has the lowest validation loss {seeds}, {loss}"
    if n < FEWEST_SEEDS:
        return f"{lowest}; fewer than {FEWEST_SEEDS} seeds decide nothing."
    alike = best(losses, higher_is_better=False)
    if not alike:
        return f"{lowest}, but the seeds tell it from no other row."
    if alike == {first}:
        return f"{lowest}, and the seeds tell it from every other row."
    others = [row for row in means.index if row in alike and row != first]
    return f"{lowest}, but the seeds do not tell it from {_names(others)}."


def _guessing(records: Sequence[RunRecord]) -> list[str]:
    """Which rows are no better than guessing evenly, by the accuracy that gives every class the same weight."""
    rows: dict[str, list[bool]] = {}
    for record in records:
        if record.status == COMPLETED and record.valid_metrics is not None and record.valid_pairs:
            guesses = record.valid_metrics["balanced_accuracy"] <= above_chance(record)
            rows.setdefault(f"{record.variant} {record.model}".strip(), []).append(guesses)
    named = [
        row if all(guesses) else f"{row} ({sum(guesses)} of {len(guesses)} seeds)"
        for row, guesses in rows.items()
        if any(guesses)
    ]
    return [f"No better than guessing: {_names(named)}."] if named else []


def _unfinished(records: Sequence[RunRecord]) -> list[str]:
    return [
        f"{record.model} (seed {record.seed}) {record.status}: {record.error}."
        for record in records
        if record.status != COMPLETED
    ]


def _names(rows: Iterable[str]) -> str:
    *first, last = rows
    if len(first) >= NAMED:
        return f"{', '.join(first[:NAMED])} and {len(first) + 1 - NAMED} more"
    return f"{', '.join(first)} and {last}" if first else last
