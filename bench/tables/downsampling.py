"""MaxPool beside strided convolution."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from bench.analysis.statistics import mean_interval, paired_difference
from bench.records.run import RunRecord
from bench.tables import seeds
from bench.tables.cells import conditions, frame
from bench.tables.columns import COLUMNS, EMBEDDER_TITLES
from bench.tables.text import TextTable


def embedder_pairs(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells that were run with both embedders, a row a strategy and seed.

    Args:
        cells: as ``frame`` makes them.

    Returns:
        ``strategy``, ``seed``, and every other column twice: ``<field>_maxpool`` and ``<field>_strided``.
    """
    first, second = EMBEDDER_TITLES
    return cells[cells.embedder == first].merge(
        cells[cells.embedder == second], on=["strategy", "seed"], suffixes=(f"_{first}", f"_{second}")
    )


def downsampling_table(records: Sequence[RunRecord]) -> TextTable | None:
    """MaxPool beside strided for every strategy that has both, with the difference; None if none has.

    A difference is strided less MaxPool, paired by seed: of the seeds that both were run with.
    """
    pairs = embedder_pairs(frame(records))
    if pairs.empty:
        return None
    first, second = EMBEDDER_TITLES
    rows: list[list[str]] = []
    data: list[dict[str, Any]] = []
    marked: list[tuple[int, int]] = []
    for strategy, pair in pairs.groupby("strategy", sort=False):
        for column in COLUMNS:
            values = pair[[f"{column.field}_{first}", f"{column.field}_{second}"]].set_axis(
                [first, second], axis=1
            )
            difference = paired_difference(values[second], values[first])
            better = seeds.best(values, higher_is_better=column.higher_is_better)
            marked += [(len(rows), 3 + place) for place, name in enumerate(EMBEDDER_TITLES) if name in better]
            rows.append(
                [
                    str(strategy),
                    column.title,
                    str(len(pair)),
                    *(column.mean(mean_interval(values[name])) for name in EMBEDDER_TITLES),
                    column.difference(difference),
                ]
            )
            data.append(
                {
                    "strategy": strategy,
                    "metric": column.field,
                    "seeds": len(pair),
                    first: values[first].mean(),
                    second: values[second].mean(),
                    **seeds.raw({"difference": difference}),
                }
            )
    return TextTable(
        name="downsampling",
        title=f"{records[0].study}: MaxPool beside strided convolution",
        header=["strategy", "metric", "seeds", *EMBEDDER_TITLES.values(), "difference"],
        labels=2,
        rows=rows,
        notes=[
            "difference = strided - MaxPool, paired by seed",
            *seeds.notes(
                pairs,
                "the better of the two, where the difference's interval leaves out 0",
                any_marked=bool(marked),
            ),
        ],
        conditions=conditions(records),
        data=pd.DataFrame(data),
        marked=frozenset(marked),
    )
