"""The accuracy of each cell beside the least that is required of it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import isnan, nan
from typing import Any

import pandas as pd

from bench.analysis.conditions import describe
from bench.analysis.frames import completed
from bench.analysis.thresholds import Threshold, threshold_for
from bench.config import DEFAULT_STUDY
from bench.metrics import reported, reported_part
from bench.records import RecordError, RunRecord
from bench.tables.text import TextTable


def threshold_table(records: Sequence[RunRecord]) -> TextTable | None:
    """One row per completed cell of the standard study.

    None without completed cells of the standard study; other studies have no thresholds.
    """
    done = [record for record in completed(records) if record.study == DEFAULT_STUDY]
    if not done:
        return None
    thresholds = list(map(threshold_for, done))
    reasons = list(dict.fromkeys(threshold.reason for threshold in thresholds))
    data = pd.DataFrame(map(_row, done, thresholds))
    return TextTable(
        name="thresholds",
        title="Accuracy thresholds",
        header=["model", "seed", f"{reported_part(done)} accuracy", "least", "met", "reason"],
        labels=1,
        rows=[_text(row, reasons) for row in data.to_dict("records")],
        notes=[f"({number}) {reason}" for number, reason in enumerate(reasons, start=1)],
        conditions=describe(records, times=False),
        data=data,
    )


def _text(row: Mapping[Any, Any], reasons: Sequence[str]) -> list[str]:
    least = "unknown" if isnan(row["least"]) else f"{row['least']:.3f}" if row["least"] else "none"
    return [
        row["model"],
        str(row["seed"]),
        f"{row['accuracy']:.3f}",
        least,
        {True: "yes", False: "NO", None: "-"}[row["met"]],
        f"({reasons.index(row['reason']) + 1})",
    ]


def _row(record: RunRecord, threshold: Threshold) -> dict[str, object]:
    accuracy, least = reported(record, "accuracy") or 0.0, nan
    with suppress(RecordError):
        least = threshold.least(record)
    return {
        "model": record.label,
        "seed": record.seed,
        "accuracy": accuracy,
        "least": least,
        "met": None if isnan(least) else accuracy >= least,
        "reason": threshold.reason,
    }
