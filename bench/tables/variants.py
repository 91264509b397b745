"""The variants of a study's protocol."""

from collections.abc import Sequence

import pandas as pd

from bench.records.run import RunRecord
from bench.tables import seeds
from bench.tables.cells import conditions, frame
from bench.tables.columns import COLUMN, Column
from bench.tables.text import TextTable

SHOWN = (COLUMN["valid_accuracy"], COLUMN["best_valid_loss"])


def variants_table(records: Sequence[RunRecord]) -> TextTable | None:
    """The variants of a study's protocol side by side, a line a model; None if there are not several.

    A cell is the mean over seeds with the lowest and the highest seed: a variant decides whether models learn at
    all, and of runs that either learn or do not, an interval around the mean says little.
    """
    cells = frame(records)
    variants = list(cells.variant.unique())
    if len(variants) < 2:
        return None
    rows: list[list[str]] = []
    marked: list[tuple[int, int]] = []
    for model, of_model in cells.groupby("row", sort=False):
        row = [str(model)]
        for column in SHOWN:
            values = of_model.pivot(index="seed", columns="variant", values=column.field).reindex(columns=variants)
            better = seeds.best(values, higher_is_better=column.higher_is_better)
            marked += [(len(rows), len(row) + place) for place, name in enumerate(variants) if name in better]
            row += [_spread(column, values[variant].dropna()) for variant in variants]
        rows.append(row)
    return TextTable(
        name="variants",
        title=f"{records[0].study}: {' beside '.join(variants)}",
        header=[
            "model",
            *(f"{column.title.removeprefix('best ')}, {variant}" for column in SHOWN for variant in variants),
        ],
        labels=1,
        rows=rows,
        notes=seeds.notes(
            cells,
            "the best variant of a model, with all that the seeds do not tell from it (differences paired by "
            "seed, t test at 5%, Holm over the variants)",
            any_marked=bool(marked),
            spread="mean over seeds (lowest to highest seed)",
        ),
        conditions=conditions(records),
        data=cells[["row", "variant", "seed", *(column.field for column in SHOWN)]].rename(
            columns={"row": "model"}
        ),
        marked=frozenset(marked),
    )


def _spread(column: Column, values: "pd.Series[float]") -> str:
    if values.empty:
        return "-"
    if len(values) == 1:
        return column.text(values.iloc[0])
    # Two digits where a figure may be of any size: three full ones in a cell could not be read.
    text = column.text if column.decimals is not None else "{:.2g}".format
    return f"{text(values.mean())} ({text(values.min())} to {text(values.max())})"
