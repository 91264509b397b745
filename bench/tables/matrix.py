"""Every strategy in every embedder: one table per metric, as wide as there are embedders."""

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from bench.analysis import formats
from bench.analysis.frames import frame, outcomes
from bench.analysis.resampling import shared_pairs
from bench.analysis.statistics import NOTHING, mean_interval
from bench.records import Metric, RunRecord
from bench.tables.seeds import Best, best, raw, seed_table
from bench.tables.text import TextTable

FEWEST_EMBEDDERS = 3
"""Of two, the table of pairs shows one beside the other."""


def matrix_tables(records: Sequence[RunRecord]) -> list[TextTable]:
    """The means over seeds of each metric of evaluations, strategies down and embedders across.

    Where there are more embedders than strategies, embedders are down. None with fewer than three embedders or
    fewer than two strategies.
    """
    cells = frame(records)
    cells = cells[cells.embedder != ""]
    if cells.embedder.nunique() < FEWEST_EMBEDDERS or cells.strategy.nunique() < 2:
        return []
    return [_matrix(metric, cells, records) for metric in outcomes(records)]


def _fewer_seeds(cells: pd.DataFrame) -> list[str]:
    """Which strategies and embedders have fewer seeds than others, a note for each number of seeds."""
    seeds = Counter(zip(cells.strategy, cells.embedder, strict=True))
    most = max(seeds.values())
    of_embedder: dict[str, set[int]] = {}
    for (_, embedder), count in seeds.items():
        of_embedder.setdefault(embedder, set()).add(count)
    fewer: dict[int, dict[str, None]] = {}
    for (strategy, embedder), count in seeds.items():
        if count < most:
            name = embedder if of_embedder[embedder] == {count} else f"{strategy}-{embedder}"
            fewer.setdefault(count, {})[name] = None
    return [
        f"{count} seed{'' if count == 1 else 's'} instead of {most}: {', '.join(names)}"
        for count, names in sorted(fewer.items(), reverse=True)
    ]


def _matrix(metric: Metric, cells: pd.DataFrame, records: Sequence[RunRecord]) -> TextTable:
    by_cell = cells.pivot(index="seed", columns=["strategy", "embedder"], values=metric.name)
    ratio = shared_pairs(records)
    stand_out = best(by_cell, higher_is_better=metric.higher_is_better, ratio=ratio)
    strategies, embedders = (list(cells[axis].unique()) for axis in ("strategy", "embedder"))
    group_of = cells.groupby("strategy").group.first()
    across = len(strategies) >= len(embedders)
    down, columns = (strategies, embedders) if across else (embedders, strategies)
    intervals = {cell: mean_interval(by_cell[cell].dropna(), ratio=ratio) for cell in by_cell}
    decimals = formats.common_decimals(metric, intervals.values())
    rows: list[list[str]] = []
    data: list[dict[str, object]] = []
    for first in down:
        row: list[str] = [first]
        numbers: dict[str, object] = {"strategy" if across else "embedder": first}
        for second in columns:
            cell = (first, second) if across else (second, first)
            interval = intervals.get(cell, NOTHING)
            text = formats.mean(metric, interval, decimals)
            row.append(Best(text) if cell in stand_out else text)
            numbers |= raw({second: interval})
        rows.append(row)
        data.append(numbers)
    return seed_table(
        f"matrix-{metric.name}",
        f"{metric.title}, strategy by embedder",
        ["strategy" if across else "embedder", *columns],
        1,
        rows,
        data,
        records,
        seeds=cells.seed.nunique(),
        best="the best of the table and all not significantly different from it (Holm over the table)",
        before=_fewer_seeds(cells),
        groups=[str(group_of[strategy]) for strategy in strategies] if across else (),
    )
