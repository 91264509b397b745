"""What each model costs: counts that hold everywhere, and what they came to on the machine that ran it."""

from collections.abc import Sequence

import pandas as pd

from bench.analysis.statistics import Interval
from bench.records.run import RunRecord
from bench.tables import seeds
from bench.tables.cells import conditions, frame
from bench.tables.columns import COSTS, Column
from bench.tables.text import TextTable

MEANINGS = {
    "flops_per_step": "GFLOP a step: floating-point operations of one training step, two a multiply-add",
    "epoch_seconds": "epoch time: training alone, the median epoch of a run's last stage",
    "efficiency": "% of ceiling: GFLOP/s of training against what the same device reached in its own session",
    "peak_memory_bytes": "peak memory: of one training step of this model alone",
    "seconds_to_target": "time to accuracy: of training, experts included, until an epoch first ended with it",
}


def cost_table(records: Sequence[RunRecord]) -> TextTable | None:
    """One line a model, in the order they were run: means over seeds; None if no run was completed.

    A quantity that no record knows has no column; a note names it.
    """
    cells = frame(records)
    if cells.empty:
        return None
    known = [column for column in COSTS if cells[_evidence(column)].notna().any()]
    rows, data = [], []
    for model, of_model in cells.groupby("model", sort=False):
        found = seeds.intervals(of_model, known)
        asked = {column.field: int(of_model[_evidence(column)].notna().sum()) for column in known}
        texts = [_text(column, found[column.field], asked[column.field]) for column in known]
        rows.append([str(model), str(len(of_model)), *texts])
        data.append({"model": model, "seeds": len(of_model), **seeds.raw(found)})
    targets = cells.target_accuracy.dropna().unique()
    titles = [
        f"time to accuracy {targets[0]:g} (s)"
        if column.field == "seconds_to_target" and len(targets) == 1
        else column.title
        for column in known
    ]
    unknown = [column.title for column in COSTS if column not in known]
    marked = seeds.marked(cells, known, first=2)
    return TextTable(
        name="cost",
        title=f"{records[0].study}: what the models cost",
        header=["model", "seeds", *titles],
        labels=1,
        rows=rows,
        notes=[
            *seeds.notes(cells, seeds.BEST_OF_COLUMN, any_marked=bool(marked)),
            *(MEANINGS[column.field] for column in known if column.field in MEANINGS),
            *([f"not in these records: {', '.join(unknown)}"] if unknown else []),
        ],
        conditions=conditions(records),
        data=pd.DataFrame(data),
        marked=marked,
    )


def _evidence(column: Column) -> str:
    """The field that says whether a quantity was looked for; a time to a target may be missing though it was."""
    return "target_accuracy" if column.field == "seconds_to_target" else column.field


def _text(column: Column, found: Interval, asked: int) -> str:
    if found.n == asked:
        return column.mean(found)
    return f"{column.text(found.mean)} ({found.n} of {asked})" if found.n else "not reached"
