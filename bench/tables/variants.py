"""The variants of a study's protocol."""

from collections.abc import Sequence

import pandas as pd

from bench.analysis import formats
from bench.analysis.frames import AS_DECLARED, frame, outcomes
from bench.analysis.resampling import shared_pairs
from bench.records import Metric, RunRecord
from bench.tables.seeds import Best, best, seed_table
from bench.tables.text import TextTable


def variants_table(records: Sequence[RunRecord]) -> TextTable | None:
    """The variants of a study's protocol side by side, one row per model; None if there are not several.

    A cell is the mean over seeds with the lowest and the highest seed: a variant decides whether models learn at
    all, and where some seeds learn and others do not, an interval around the mean means little.
    """
    cells, metrics, ratio = frame(records), outcomes(records), shared_pairs(records)
    variants = list(cells.variant.unique())
    if len(variants) < 2:
        return None
    rows: list[list[str]] = []
    for model, of_model in cells.groupby("row", sort=False):
        row = [str(model)]
        for metric in metrics:
            values = of_model.pivot(index="seed", columns="variant", values=metric.name).reindex(columns=variants)
            better = best(values, higher_is_better=metric.higher_is_better, ratio=ratio)
            for variant in variants:
                text = _spread(metric, values[variant].dropna())
                row.append(Best(text) if variant in better else text)
        rows.append(row)
    names = [variant or AS_DECLARED for variant in variants]
    titles = [metric.title.removeprefix("best ") for metric in metrics]
    columns = ["row", "variant", "seed", *(metric.name for metric in metrics)]
    return seed_table(
        "variants",
        f"protocols side by side: {', '.join(names)}",
        ["model", *(f"{title}, {name}" for title in titles for name in names)],
        1,
        rows,
        cells[columns].rename(columns={"row": "model"}),
        records,
        seeds=cells.seed.nunique(),
        best="the best variant of a model and all that are not significantly different from it (Holm over the "
        "variants)",
        spread="mean over seeds (lowest to highest seed)",
    )


def _spread(metric: Metric, values: "pd.Series[float]") -> str:
    if len(values) < 2:
        return formats.text(metric, values.iloc[0]) if len(values) else "-"
    low, mean, high = (
        # Two digits where a value may be of any size: three numbers of four digits are too wide for a cell.
        formats.significant(value, 2) if metric.decimals is None else formats.text(metric, value)
        for value in (values.min(), values.mean(), values.max())
    )
    return f"{mean} ({low} to {high})"
