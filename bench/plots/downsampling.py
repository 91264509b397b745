"""What strided convolution changes against MaxPool, with how sure that is."""

from collections.abc import Sequence
from math import inf, isnan

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bench.analysis.statistics import FEWEST_SEEDS, Interval, paired_difference
from bench.plots.style import GRAY, WIDTH_IN, describe
from bench.records.run import RunRecord
from bench.tables import COLUMN, EMBEDDER_TITLES, Column, conditions, embedder_pairs, frame

SHOWN = ("valid_accuracy", "best_valid_loss", "epoch_seconds")
REACH = 4
"""A panel shows this many times its largest difference at most; intervals may go further."""


def downsampling(records: Sequence[RunRecord]) -> Figure | None:
    """Strided less MaxPool, a row a strategy, a panel a quantity; None if no strategy was run with both.

    Points are means over the seeds that both were run with, bars their 95% intervals.
    """
    pairs = embedder_pairs(frame(records))
    if pairs.empty:
        return None
    first, second = EMBEDDER_TITLES
    strategies = list(pairs.strategy.unique())
    figure = Figure(figsize=(WIDTH_IN, 0.24 * len(strategies) + 2.2), layout="constrained")
    panels: list[Axes] = list(figure.subplots(1, len(SHOWN), sharey=True))
    for panel, field in zip(panels, SHOWN, strict=True):
        by_strategy = {
            strategy: paired_difference(pair[f"{field}_{second}"], pair[f"{field}_{first}"])
            for strategy, pair in pairs.groupby("strategy", sort=False)
        }
        _draw(panel, COLUMN[field], list(by_strategy.values()))
    panels[0].set_yticks(range(len(strategies)), strategies)
    panels[0].invert_yaxis()
    several = pairs.seed.nunique() > 1
    describe(
        figure,
        f"{records[0].study}: strided - MaxPool",
        _handles(),
        [
            "means of differences paired by seed; bars: their 95% intervals, cut where they leave the panel"
            if several
            else "one seed: its difference, without an interval",
            *conditions(records),
        ],
    )
    return figure


def _draw(panel: Axes, column: Column, differences: Sequence[Interval]) -> None:
    """One quantity: a point and its interval a row, filled where it leaves out zero."""
    better = "strided better →" if column.higher_is_better else "← strided better"
    panel.set_title(f"{column.title}\n{better}")
    panel.axvline(0, color="black", linewidth=0.8)
    for row, difference in enumerate(differences):
        mean, low, high = (value / column.unit for value in (difference.mean, difference.low, difference.high))
        panel.plot([low, high], [row, row], color=GRAY, linewidth=1.6, solid_capstyle="butt")
        filled = difference.n >= FEWEST_SEEDS and difference.excludes_zero()
        panel.plot(mean, row, color="black", marker="o", markerfacecolor="black" if filled else "white")
    panel.set_xlim(*_limits(differences, column.unit))
    panel.xaxis.set_major_locator(MaxNLocator(nbins=4))


def _limits(differences: Sequence[Interval], unit: float) -> tuple[float, float]:
    """Ends of an axis that shows zero, all means, and intervals as far as they do not press these together."""
    reach = REACH * max(abs(difference.mean) for difference in differences) / unit or inf
    ends = [
        value / unit
        for difference in differences
        for value in (0.0, difference.mean, difference.low, difference.high)
        if not isnan(value)
    ]
    low, high = max(min(ends), -reach), min(max(ends), reach)
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin


def _handles() -> list[Line2D]:
    """What the legend shows."""
    return [
        Line2D([], [], linestyle="", color="black", marker="o", markerfacecolor=filling, label=label)
        for filling, label in (
            ("black", "95% interval leaves out 0"),
            ("white", f"holds 0, or fewer than {FEWEST_SEEDS} seeds"),
        )
    ]
