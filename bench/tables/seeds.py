"""What several seeds say: means with intervals, and which rows of a column they can tell from its best."""

from collections.abc import Hashable, Iterable, Sequence

import pandas as pd

from bench.analysis.statistics import ALPHA, FEWEST_SEEDS, Interval, difference_p, holm, mean_interval
from bench.tables.columns import Column

SPREAD = "±: half the 95% interval of the mean over seeds (Student's t)"


def intervals(cells: pd.DataFrame, columns: Iterable[Column]) -> dict[str, Interval]:
    """The mean over seeds of each column, by its field; the cells are those of one row of a table."""
    return {column.field: mean_interval(cells[column.field].dropna()) for column in columns}


def raw(found: dict[str, Interval]) -> dict[str, float]:
    """The numbers of intervals as they stand in CSV files: ``<field>``, ``<field>_low``, ``<field>_high``."""
    return {
        name: value
        for field, interval in found.items()
        for name, value in (
            (field, interval.mean),
            (f"{field}_low", interval.low),
            (f"{field}_high", interval.high),
        )
    }


def best(values: pd.DataFrame, *, higher_is_better: bool) -> set[Hashable]:
    """The best of several rows, with all that the seeds do not tell from it.

    A row is told from the best where their difference, paired by seed, is significant at 5% by the t test,
    adjusted for the number of rows (Holm). Of two rows, that is where the difference's interval leaves out zero.

    Args:
        values: a line a seed, a column a row of the table; NaN where a run is missing.
        higher_is_better: the direction.

    Returns:
        Names of columns. None where that would be all of them, and where they share fewer than FEWEST_SEEDS
        seeds: those decide nothing.
    """
    shared = values.dropna()
    if len(shared) < FEWEST_SEEDS or shared.shape[1] < 2:
        return set()
    means = shared.mean()
    first = means.idxmax() if higher_is_better else means.idxmin()
    others = [name for name in shared if name != first]
    p_values = holm([float(difference_p(shared[name] - shared[first])) for name in others])
    alike = {first, *(name for name, p in zip(others, p_values, strict=True) if p >= ALPHA)}
    return alike if len(alike) < shared.shape[1] else set()


def marked(cells: pd.DataFrame, columns: Sequence[Column], first: int) -> frozenset[tuple[int, int]]:
    """Where the best of each column stand in a table with a row a model.

    Args:
        cells: all of the table, as ``frame`` makes them; rows of the table are models in order of appearance.
        columns: the table's columns of numbers.
        first: the place of the first of them.
    """
    models = list(dict.fromkeys(cells.model))
    return frozenset(
        (models.index(model), first + place)
        for place, column in enumerate(columns)
        for model in best(
            cells.pivot(index="seed", columns="model", values=column.field),
            higher_is_better=column.higher_is_better,
        )
    )


def notes(cells: pd.DataFrame, reason: str, *, any_marked: bool, spread: str = SPREAD) -> list[str]:
    """What is to be said of spread and marks, a line each.

    Args:
        cells: all of the table.
        reason: what a mark means in this table.
        any_marked: whether anything is.
        spread: how the table shows it.
    """
    seeds = cells.seed.nunique()
    if seeds < 2:
        return ["one seed says nothing of the spread, so nothing is marked as best"]
    if any_marked:
        return [spread, f"marked: {reason}"]
    if seeds < FEWEST_SEEDS:
        return [spread, f"nothing is marked as best: fewer than {FEWEST_SEEDS} seeds decide nothing"]
    return [spread, "nothing is marked as best: the seeds that all rows share tell none from it"]


BEST_OF_COLUMN = (
    "the best of its column, with all that the seeds do not tell from it (differences paired by seed, "
    "t test at 5%, Holm over the rows)"
)
