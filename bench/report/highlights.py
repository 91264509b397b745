"""What a reader wants to know first of the records of one study, in sentences; no more than the seeds allow."""

from collections.abc import Iterable, Sequence

import pandas as pd

from bench.config import SMOKE
from bench.evidence.statistics import ALPHA, FEWEST_SEEDS, difference_p, holm, mean_interval
from bench.records import COMPLETED, RunRecord
from bench.tables import COLUMN, frame
from bench.thresholds import above_chance

NAMED = 4
"""How many rows a sentence lists by name before it only counts."""


def highlights(records: Sequence[RunRecord]) -> list[str]:
    """Sentences about records that may stand in one table: the best row, what learned nothing, what failed."""
    cells = frame(records)
    if cells.empty:
        return ["No run was completed.", *_unfinished(records)]
    shortest = records[0].profile == SMOKE.name
    best = "Profile smoke shows that the rows run, not which is better." if shortest else _best(cells)
    return [best, *([] if shortest else _guessing(records)), *_unfinished(records)]


def _best(cells: pd.DataFrame) -> str:
    losses = cells.pivot_table(index="seed", columns="model", values="best_valid_loss", sort=False).dropna()
    n, rows = len(losses), len(losses.columns)
    if rows == 1:
        return f"One row, {losses.columns[0]}: nothing to compare it with."
    if n == 0:
        return "The rows have no seed in common, so nothing is said of which is better."
    best = losses.mean().idxmin()
    text = COLUMN["best_valid_loss"].text
    accuracy = COLUMN["valid_accuracy"].text(cells.loc[cells.model == best, "valid_accuracy"].mean())
    interval = mean_interval(losses[best])
    if n < FEWEST_SEEDS:
        seeds = "with one seed" if n == 1 else f"over {n} seeds"
        return (
            f"{best} has the lowest validation loss {seeds} ({text(interval.mean)}, accuracy {accuracy}); "
            f"fewer than {FEWEST_SEEDS} seeds decide nothing."
        )
    lowest = (
        f"{best} has the lowest mean validation loss ({text(interval.mean)}, 95% interval {text(interval.low)} to "
        f"{text(interval.high)}, n = {n}, accuracy {accuracy})"
    )
    others = [row for row in losses.columns if row != best]
    adjusted = holm([float(difference_p(losses[row] - losses[best])) for row in others])
    level = [row for row, p in zip(others, adjusted, strict=True) if p >= ALPHA]
    how = "differences paired by seed, adjusted for their number"
    if not level:
        return f"{lowest}, lower than that of every other row ({how})."
    return f"{lowest}, but it cannot be told apart from {_names(level)} ({how})."


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
