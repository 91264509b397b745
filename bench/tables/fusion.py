"""The table of all models."""

from collections.abc import Sequence

import pandas as pd

from bench.records.run import RunRecord
from bench.tables import seeds
from bench.tables.cells import conditions, frame
from bench.tables.columns import COLUMNS
from bench.tables.text import TextTable


def fusion_table(records: Sequence[RunRecord]) -> TextTable:
    """One line a model, in the order they were run: means over seeds."""
    cells = frame(records)
    rows, data = [], []
    for model, of_model in cells.groupby("model", sort=False):
        found = seeds.intervals(of_model, COLUMNS)
        rows.append([str(model), str(len(of_model)), *(column.mean(found[column.field]) for column in COLUMNS)])
        data.append({"model": model, "seeds": len(of_model), **seeds.raw(found)})
    marked = seeds.marked(cells, COLUMNS, first=2)
    return TextTable(
        name="fusion",
        title=f"{records[0].study}: fusion architectures",
        header=["model", "seeds", *(column.title for column in COLUMNS)],
        labels=1,
        rows=rows,
        notes=seeds.notes(cells, seeds.BEST_OF_COLUMN, any_marked=bool(marked)),
        conditions=conditions(records),
        data=pd.DataFrame(data),
        marked=marked,
    )
