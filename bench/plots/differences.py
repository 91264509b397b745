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

from bench.analysis.frames import BASELINE, describe, embedder_pairs, frame, outcomes, strategy_pairs
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
    sheet,
    short,
    text_width_in,
)
from bench.records import Metric, RunRecord

PANEL_IN = 1.4
"""The smallest width of a panel."""

ROW_IN = 0.22
REACH = 4
"""A panel shows this many times its largest difference at most; intervals may go further."""

_BETTER = {True: "better →", False: "← better", None: ""}


def downsampling(records: Sequence[RunRecord]) -> Figure | None:
    """Embedder minus reference, one row per strategy and embedder, one panel per metric; None without pairs."""
    pairs = embedder_pairs(frame(records))
    if pairs.empty:
        return None
    strategies = list(pairs.strategy.unique())
    groups = sorted(
        pairs.groupby(["strategy", "reference", "embedder"], sort=False),
        key=lambda group: strategies.index(group[0][0]),
    )
    rows = [
        Row(short(f"{strategy}-{embedder}"), str(strategy), str(embedder), of_row)
        for (strategy, _, embedder), of_row in groups
    ]
    looks = embedder_looks(pairs.reference, pairs.embedder)
    return _sheet(records, rows, looks, f"difference to {' or '.join(pairs.reference.unique())}")


def strategies(records: Sequence[RunRecord]) -> Figure | None:
    """Strategy minus intermediate concatenation, one row per embedder and strategy; None with fewer than two rows.

    Rows of one embedder are ordered by their mean difference in the first metric, the best first.
    """
    pairs = strategy_pairs(frame(records))
    rows = [
        Row(short(f"{strategy}-{embedder}".rstrip("-")), f"{variant} {family} {embedder}", str(embedder), of_row)
        for (variant, family, embedder, strategy), of_row in pairs.groupby(
            ["variant", "family", "embedder", "strategy"], sort=False
        )
    ]
    if len(rows) < 2:
        return None
    blocks = list(dict.fromkeys(row.block for row in rows))
    first = outcomes(records)[0]
    sign = -1 if first.higher_is_better else 1
    rows.sort(key=lambda row: (blocks.index(row.block), sign * row.mean_difference(first.name)))
    looks = embedder_looks(pairs.reference, pairs.embedder)
    return _sheet(records, rows, looks, f"difference to {'-'.join(BASELINE)} with the same embedder")


class Row(NamedTuple):
    """One row of a figure: its name, the block that lines separate from others, its embedder, and its pairs."""

    name: str
    block: str
    embedder: str
    pairs: pd.DataFrame

    def mean_difference(self, metric: str) -> float:
        """The mean over seeds."""
        return float((self.pairs[metric] - self.pairs[f"{metric}_reference"]).mean())


def _sheet(
    records: Sequence[RunRecord], rows: Sequence[Row], of_embedders: Mapping[str, Look], title: str
) -> Figure:
    """One panel per metric. Points are means over the seeds that both were run with, bars their 95% intervals."""
    metrics = [*outcomes(records), QUANTITIES["epoch_seconds"]]
    blocks = len({row.block for row in rows})
    ends = [
        place - 0.5
        for place, (before, after) in enumerate(pairwise(rows), start=1)
        if before.block != after.block and len(rows) > blocks
    ]
    left_in = 0.25 + max(text_width_in(row.name, SMALL_POINTS) for row in rows)
    shared, embedders = shared_pairs(records), {row.embedder for row in rows}
    several = len({seed for row in rows for seed in row.pairs.seed}) > 1
    spread = ", with the variance of Nadeau and Bengio for what is evaluated, as seeds divide the same pairs"
    fillings = {"black": "95% interval excludes 0", "white": f"includes 0, or fewer than {FEWEST_SEEDS} seeds"}
    figure, panels = sheet(
        [f"{metric.title}\n{_BETTER[metric.higher_is_better]}" for metric in metrics],
        columns=int((WIDTH_IN - left_in) / PANEL_IN),
        height_in=ROW_IN * len(rows) + 0.2,
        title=f"{records[0].study}: {title}",
        handles=[
            *marker_handles((name, look) for name, look in of_embedders.items() if name in embedders),
            *(
                Line2D([], [], linestyle="", color="black", marker="o", markerfacecolor=filling, label=label)
                for filling, label in fillings.items()
            ),
        ],
        notes=[
            f"means of differences paired by seed; bars: their 95% intervals{spread if shared else ''}; cut where "
            "they leave the panel"
            if several
            else "one seed: its difference, without an interval",
            *describe(records),
        ],
        left_in=left_in,
    )
    for panel, metric in zip(panels, metrics, strict=True):
        columns, ratio = [metric.name, f"{metric.name}_reference"], ratio_of(metric, shared)
        differences = [paired_difference(*row.pairs[columns].dropna().to_numpy().T, ratio=ratio) for row in rows]
        _draw(panel, metric, differences, [of_embedders[row.embedder] for row in rows])
        panel.hlines(ends, 0, 1, color="0.6", linewidth=0.6, transform=panel.get_yaxis_transform())
    panels[0].set_yticks(range(len(rows)), [row.name for row in rows])
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    return figure


def _draw(panel: Axes, metric: Metric, differences: Sequence[Interval], rows: Sequence[Look]) -> None:
    """One metric: a point and its interval per row, filled where the interval excludes zero."""
    panel.axvline(0, color="black", linewidth=0.8)
    scaled = [
        (difference.mean / metric.scale, difference.low / metric.scale, difference.high / metric.scale)
        for difference in differences
    ]
    means, lows, highs = np.transpose(scaled)
    panel.hlines(range(len(scaled)), lows, highs, color=GRAY, linewidth=1.6)
    decided = [difference.n >= FEWEST_SEEDS and difference.excludes_zero() for difference in differences]
    for look, filled in dict.fromkeys(zip(rows, decided, strict=True)):
        places = [place for place, row in enumerate(zip(rows, decided, strict=True)) if row == (look, filled)]
        filling = look.color if filled else "white"
        style: dict[str, Any] = {"color": look.color, "marker": look.marker, "markerfacecolor": filling}
        panel.plot(means[places], places, linestyle="", markersize=5, **style)
    panel.set_xlim(*_limits(scaled))
    panel.xaxis.set_major_locator(MaxNLocator(nbins=3))


def _limits(differences: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """Ends of an axis that shows zero, all means, and intervals as far as they do not press these together."""
    reach = REACH * max((abs(mean) for mean, _, _ in differences if not isnan(mean)), default=0) or inf
    ends = [value for difference in differences for value in (0.0, *difference) if not isnan(value)]
    low, high = max(min(ends), -reach), min(max(ends), reach)
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin
