"""What embedders change against the reference, and strategies against concatenation, with intervals."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import inf, isnan
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bench.analysis.conditions import describe
from bench.analysis.frames import BASELINE, embedder_pairs, frame, outcomes, strategy_pairs, without_rough_times
from bench.analysis.resampling import ratio_of, shared_pairs
from bench.analysis.statistics import FEWEST_SEEDS, Interval, paired_difference
from bench.metrics import QUANTITIES
from bench.plots.style import (
    GRAY,
    SMALL_POINTS,
    WIDTH_IN,
    Look,
    embedder_looks,
    marker_handles,
    name_rows,
    sheet,
    short,
    text_width_in,
)
from bench.records import Metric, RunRecord

PANEL_IN = 1.4
"""The smallest width of a panel."""

POINT_IN, GAP_IN = 0.12, 0.14
"""The height of a row for each of its points, and besides."""

TICK_IN = 0.45
"""The smallest distance between the numbers of an axis."""

REACH = 4
"""A panel shows this many times its largest difference at most; intervals may go further."""

_BETTER = {True: "better →", False: "← better", None: ""}


def downsampling(records: Sequence[RunRecord]) -> Figure | None:
    """Embedder minus reference, one row per strategy, one panel per metric; None without pairs."""
    pairs = embedder_pairs(without_rough_times(frame(records)))
    if pairs.empty:
        return None
    rows = _rows(pairs, [])
    return _sheet(records, pairs, rows, f"difference to {' or '.join(pairs.reference.unique())}")


def strategies(records: Sequence[RunRecord]) -> Figure | None:
    """Strategy minus intermediate concatenation, one row per strategy; None with fewer than two models to show.

    Rows of one variant and family are ordered by their mean difference in the first metric, the best first.
    """
    pairs = strategy_pairs(without_rough_times(frame(records)))
    rows = _rows(pairs, ["variant", "family"])
    if sum(len(row.points) for row in rows) < 2:
        return None
    blocks = list(dict.fromkeys(row.block for row in rows))
    first = outcomes(records)[0]
    sign = -1 if first.higher_is_better else 1
    rows.sort(key=lambda row: (blocks.index(row.block), sign * row.mean_difference(first.name)))
    return _sheet(records, pairs, rows, f"difference to {'-'.join(BASELINE)} with the same embedder")


class Row(NamedTuple):
    """One row of a figure: its name, the block that a line separates from others, and its pairs by embedder."""

    name: str
    block: tuple[str, ...]
    points: Mapping[str, pd.DataFrame]

    @property
    def height_in(self) -> float:
        """Room for all points."""
        return GAP_IN + POINT_IN * len(self.points)

    def mean_difference(self, metric: str) -> float:
        """The mean over embedders and seeds."""
        pairs = pd.concat(self.points.values())
        return float((pairs[metric] - pairs[f"{metric}_reference"]).mean())


def _rows(pairs: pd.DataFrame, block: list[str]) -> list[Row]:
    """A row for each strategy, in the order of pairs; ``block``: the columns whose values a block shares."""
    return [
        Row(
            short(str(strategy)),
            tuple(map(str, of_strategy[block].iloc[0])),
            {str(name): points for name, points in of_strategy.groupby("embedder", sort=False)},
        )
        for strategy, of_strategy in pairs.groupby("strategy", sort=False)
    ]


def _sheet(records: Sequence[RunRecord], pairs: pd.DataFrame, rows: Sequence[Row], title: str) -> Figure:
    """One panel per metric. Points are means over the seeds that both were run with, bars their 95% intervals."""
    metrics = outcomes(records)
    time = QUANTITIES["epoch_seconds"]
    if times := bool(pairs[[time.name, f"{time.name}_reference"]].notna().all(axis=1).any()):
        metrics = [*metrics, time]
    heights_in = [row.height_in for row in rows]
    points = [(embedder, of_point) for row in rows for embedder, of_point in row.points.items()]
    of_embedders = embedder_looks(pairs.reference, pairs.embedder)
    left_in = 0.25 + max(text_width_in(row.name, SMALL_POINTS) for row in rows)
    shared, embedders = shared_pairs(records), {embedder for embedder, _ in points}
    spread = (
        ", for losses and accuracies with the variance of Nadeau and Bengio, as all seeds divide the same pairs"
    )
    fillings = {
        "black": "95% interval of one comparison excludes 0 (no verdict)",
        "white": f"includes 0, or fewer than {FEWEST_SEEDS} seeds",
    }
    figure, panels = sheet(
        [f"{metric.title}\n{_BETTER[metric.higher_is_better]}" for metric in metrics],
        columns=int((WIDTH_IN - left_in) / PANEL_IN),
        height_in=sum(heights_in),
        title=f"{records[0].study}: {title}",
        handles=[
            marker_handles((name, look) for name, look in of_embedders.items() if name in embedders),
            [
                Line2D([], [], linestyle="", color="black", marker="o", markerfacecolor=filling, label=label)
                for filling, label in fillings.items()
            ],
        ],
        notes=[
            f"means of differences paired by seed; bars: their 95% intervals{spread if shared else ''}, not "
            "adjusted for the number of rows or looks; cut where they leave the panel"
            if pairs.seed.nunique() > 1
            else "one seed: its difference, without an interval",
            *describe(records, times=times),
        ],
        left_in=left_in,
    )
    tops_in = name_rows(panels, [row.name for row in rows], heights_in)
    places = [
        top_in + GAP_IN / 2 + POINT_IN * (place + 0.5)
        for row, top_in in zip(rows, tops_in, strict=True)
        for place in range(len(row.points))
    ]
    for panel, metric in zip(panels, metrics, strict=True):
        columns, ratio = [metric.name, f"{metric.name}_reference"], ratio_of(metric, shared)
        differences = [
            paired_difference(*of_point[columns].dropna().to_numpy().T, ratio=ratio) for _, of_point in points
        ]
        for (before, row), top_in in zip(pairwise(rows), tops_in[1:], strict=True):
            if row.block != before.block:
                panel.axhline(top_in, color="0.6", linewidth=0.6)
        _draw(panel, metric, differences, places, [of_embedders[embedder] for embedder, _ in points])
    return figure


def _draw(
    panel: Axes, metric: Metric, differences: Sequence[Interval], places: Sequence[float], looks: Sequence[Look]
) -> None:
    """One metric: points and their intervals, filled where the interval excludes zero."""
    panel.axvline(0, color="black", linewidth=0.8)
    scaled = [
        (difference.mean / metric.scale, difference.low / metric.scale, difference.high / metric.scale)
        for difference in differences
    ]
    means, lows, highs = np.transpose(scaled)
    panel.hlines(places, lows, highs, color=GRAY, linewidth=1.6)
    decided = [difference.n >= FEWEST_SEEDS and difference.excludes_zero() for difference in differences]
    kinds = list(zip(looks, decided, strict=True))
    for look, filled in dict.fromkeys(kinds):
        these = [number for number, kind in enumerate(kinds) if kind == (look, filled)]
        filling = look.color if filled else "white"
        style: dict[str, Any] = {"color": look.color, "marker": look.marker, "markerfacecolor": filling}
        panel.plot(means[these], np.take(places, these), linestyle="", markersize=5, **style)
    panel.set_xlim(*_limits(scaled))
    panel.xaxis.set_major_locator(MaxNLocator(nbins=max(3, int(panel.get_position().width * WIDTH_IN / TICK_IN))))


def _limits(differences: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """Ends of an axis that shows zero, all means, and intervals as far as they do not press these together."""
    reach = REACH * max((abs(mean) for mean, _, _ in differences if not isnan(mean)), default=0) or inf
    ends = [value for difference in differences for value in (0.0, *difference) if not isnan(value)]
    low, high = max(min(ends), -reach), min(max(ends), reach)
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin
