"""Every strategy with every embedder: one or two tables per metric."""

from collections.abc import Sequence
from typing import cast

import pandas as pd

from bench.analysis import formats
from bench.analysis.frames import frame, grouped, outcomes
from bench.analysis.resampling import shared_pairs
from bench.analysis.statistics import NOTHING, mean_interval
from bench.records import Metric, RunRecord
from bench.tables.seeds import Best, best, raw, seed_table
from bench.tables.text import TextTable
from fusiongauge import slug

Cell = tuple[str, str]
"""A strategy and an embedder."""

FEWEST_EMBEDDERS = 3
"""Of two, the table of pairs shows one beside the other."""


def matrix_tables(records: Sequence[RunRecord]) -> list[TextTable]:
    """The means over seeds of each metric of evaluations, strategies down and embedders across.

    Where there are more embedders than strategies, embedders are down. Where most cells would be empty, as few
    strategies have more than the usual embedders, these strategies have a table of their own with all embedders.
    Runs with other settings than the first have tables of their own, named after what was changed. None with fewer
    than three embedders or fewer than two strategies.
    """
    tables: list[TextTable] = []
    by_changes = grouped(records, lambda record: record.changed)
    for number, (changed, of_protocol) in enumerate(by_changes.items()):
        tables += _of_one_protocol(of_protocol, f"-{slug(changed) or 'unchanged'}" if number else "")
    return tables


def _of_one_protocol(records: Sequence[RunRecord], suffix: str) -> list[TextTable]:
    cells = frame(records)
    cells = cells[cells.embedder != ""]
    if cells.embedder.nunique() < FEWEST_EMBEDDERS or cells.strategy.nunique() < 2:
        return []
    parts = _parts(cells)
    return [table for metric in outcomes(records) for table in _tables(metric, cells, parts, records, suffix)]


def _parts(cells: pd.DataFrame) -> list[pd.DataFrame]:
    """All runs; or those with the embedders of most strategies, and those of the strategies that have others."""
    strategies = cells.strategy.nunique()
    of_embedder = cells.groupby("embedder").strategy.nunique()
    usual = of_embedder.index[of_embedder >= strategies / 2]
    others = cells[~cells.embedder.isin(usual)]
    if usual.empty or others.empty or of_embedder.sum() >= strategies * len(of_embedder) / 2:
        return [cells]
    return [cells[cells.embedder.isin(usual)], cells[cells.strategy.isin(others.strategy)]]


def _fewer_seeds(cells: pd.DataFrame) -> list[str]:
    """Which strategies and embedders have fewer seeds than others, a note for each number of seeds."""
    seeds = cells.groupby(["strategy", "embedder"], sort=False).size()
    most = seeds.max()
    fewer: dict[int, dict[str, None]] = {}
    for cell, count in seeds[seeds < most].items():
        strategy, embedder = cast(Cell, cell)
        name = f"{strategy}-{embedder}"
        for level, short in (("embedder", embedder), ("strategy", strategy)):
            if (seeds.xs(short, level=level) == count).all():
                name = short
                break
        fewer.setdefault(int(count), {})[name] = None
    return [
        f"{formats.counted(count, 'seed')} instead of {most}: {', '.join(names)}"
        for count, names in sorted(fewer.items(), reverse=True)
    ]


def _tables(
    metric: Metric,
    cells: pd.DataFrame,
    parts: Sequence[pd.DataFrame],
    records: Sequence[RunRecord],
    protocol: str,
) -> list[TextTable]:
    """One table per part; the best is that of all cells."""
    by_cell = cells.pivot(index="seed", columns=["strategy", "embedder"], values=metric.name)
    ratio = shared_pairs(records)
    stand_out = best(by_cell, higher_is_better=metric.higher_is_better, ratio=ratio)
    intervals = {cell: mean_interval(by_cell[cell].dropna(), ratio=ratio) for cell in by_cell}
    decimals = formats.common_decimals(metric, intervals.values())

    def text(cell: Cell) -> str:
        words = formats.mean(metric, intervals.get(cell, NOTHING), decimals)
        return Best(words) if cell in stand_out else words

    def table(part: pd.DataFrame, suffix: str) -> TextTable:
        strategies, embedders = (list(part[axis].unique()) for axis in ("strategy", "embedder"))
        group_of = part.groupby("strategy").group.first()
        across = len(strategies) >= len(embedders)
        axis, other = ("strategy", "embedder") if across else ("embedder", "strategy")
        down, columns = (strategies, embedders) if across else (embedders, strategies)
        rows = {x: {y: (x, y) if across else (y, x) for y in columns} for x in down}
        return seed_table(
            f"matrix-{metric.name}{protocol}{suffix}",
            f"{metric.title}, {axis} by {other}",
            [axis, *columns],
            1,
            [[x, *map(text, row.values())] for x, row in rows.items()],
            [
                {axis: x, **raw({y: intervals.get(cell, NOTHING) for y, cell in row.items()})}
                for x, row in rows.items()
            ],
            records,
            seeds=part.seed.nunique(),
            best="the best of all, and those not significantly different from it (Holm over all)",
            before=_fewer_seeds(part),
            groups=[str(group_of[strategy]) for strategy in strategies] if across else (),
        )

    return [table(part, suffix) for part, suffix in zip(parts, ("", "-embedders"), strict=False)]
