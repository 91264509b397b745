"""The table of what changed between two runs."""

from math import isnan
from typing import Any

import pandas as pd

from bench.analysis import formats
from bench.analysis.comparison import TIME_TOLERANCE, Change, Comparison, quartiles
from bench.analysis.resampling import name_of_test
from bench.analysis.statistics import ALPHA, CONFIDENCE, mean_interval
from bench.records import Metric
from bench.tables.text import TextTable


def comparison_table(comparison: Comparison) -> TextTable | None:
    """Before, now, change and verdict of every metric of every model; None if the runs have no cell in common."""
    if not comparison.changes:
        return None
    test = name_of_test(max(change.ratio for change in comparison.changes))
    notes = [
        f"cells in both runs: {comparison.cells}; values: means over seeds; changes: with their {CONFIDENCE:.0%} "
        "interval, paired by seed; times: median of epochs (quartiles)",
        f"verdict: in at most {ALPHA:.0%} of such tables, equal runs are called better or worse ({test}, paired "
        f"by seed, Holm over the table); times: changes beyond {TIME_TOLERANCE:.0%} whose quartiles do not "
        "overlap; parameters and memory: without a test, as they do not vary",
    ]
    if comparison.only_before:
        notes.append(f"only before: {', '.join(comparison.only_before)}")
    if comparison.only_now:
        notes.append(f"only now: {', '.join(comparison.only_now)}")
    notes += [f"completed before, not now: {cell}" for cell in comparison.lost]
    return TextTable(
        name="comparison",
        title="Compared with the earlier run",
        header=["model", "metric", "before", "now", "change", "verdict"],
        labels=2,
        rows=[_text(change) for change in comparison.changes],
        notes=notes,
        data=pd.DataFrame([_data(change) for change in comparison.changes]),
    )


def _text(change: Change) -> list[str]:
    metric, difference = change.metric, change.difference
    centers = (change.center_before, change.center_now)
    decimals = formats.common_decimals(metric, [mean_interval([center]) for center in centers])
    of_changes = None if metric.decimals is None else decimals
    signed = [formats.signed(metric, x, of_changes) for x in (difference.mean, difference.low, difference.high)]
    by = "=" if change.before == change.now else signed[0]
    if change.before != change.now and not isnan(difference.low):
        by += f" ({signed[1]} to {signed[2]})"
    before = _with_quartiles(metric, change.center_before, change.samples_before, decimals)
    now = _with_quartiles(metric, change.center_now, change.samples_now, decimals)
    return [change.label, metric.title, before, now, by, change.verdict]


def _with_quartiles(metric: Metric, center: float, samples: tuple[float, ...], decimals: int | None) -> str:
    if len(samples) < 2:
        return formats.text(metric, center, decimals)
    middle, low, high = (formats.text(metric, value, decimals) for value in (center, *quartiles(samples)))
    return f"{middle} ({low} to {high})"


def _data(change: Change) -> dict[str, Any]:
    difference = change.difference
    return {
        "model": change.label,
        "metric": change.metric.name,
        "seeds": len(change.seeds),
        "before": change.center_before,
        "now": change.center_now,
        "change": difference.mean,
        "change_low": difference.low,
        "change_high": difference.high,
        "verdict": change.verdict,
    }
