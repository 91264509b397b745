"""What every embedder changes against the reference, with the uncertainty of that."""

from collections.abc import Sequence
from itertools import pairwise
from math import inf, isnan
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bench.analysis.frames import describe, embedder_pairs, frame, outcomes
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
    """Embedder minus reference, one row per strategy and embedder, one panel per metric; None without pairs.

    Points are means over the seeds that both were run with, bars their 95% intervals.
    """
    pairs = embedder_pairs(frame(records))
    if pairs.empty:
        return None
    metrics = [*outcomes(records), QUANTITIES["epoch_seconds"]]
    strategies = list(pairs.strategy.unique())
    groups = sorted(
        pairs.groupby(["strategy", "reference", "embedder"], sort=False),
        key=lambda group: strategies.index(group[0][0]),
    )
    names = [short(f"{strategy}-{embedder}") for (strategy, _, embedder), _ in groups]
    ends = [
        place - 0.5
        for place, ((before, _), (after, _)) in enumerate(pairwise(groups), start=1)
        if before[0] != after[0] and len(groups) > len(strategies)
    ]
    of_embedders = embedder_looks(pairs.reference, pairs.embedder)
    of_rows = [of_embedders[str(embedder)] for (_, _, embedder), _ in groups]
    references = " or ".join(pairs.reference.unique())
    left_in = 0.25 + max(text_width_in(name, SMALL_POINTS) for name in names)
    several, shared = pairs.seed.nunique() > 1, shared_pairs(records)
    fillings = {"black": "95% interval excludes 0", "white": f"includes 0, or fewer than {FEWEST_SEEDS} seeds"}
    figure, panels = sheet(
        [f"{metric.title}\n{_BETTER[metric.higher_is_better]}" for metric in metrics],
        columns=int((WIDTH_IN - left_in) / PANEL_IN),
        height_in=ROW_IN * len(names) + 0.2,
        title=f"{records[0].study}: difference to {references}",
        handles=[
            *marker_handles((name, look) for name, look in of_embedders.items() if name in set(pairs.embedder)),
            *(
                Line2D([], [], linestyle="", color="black", marker="o", markerfacecolor=filling, label=label)
                for filling, label in fillings.items()
            ),
        ],
        notes=[
            "means of differences paired by seed; bars: their 95% intervals, cut where they leave the panel"
            if several
            else "one seed: its difference, without an interval",
            *describe(records),
        ],
        left_in=left_in,
    )
    for panel, metric in zip(panels, metrics, strict=True):
        columns, ratio = [metric.name, f"{metric.name}_reference"], ratio_of(metric, shared)
        differences = [paired_difference(*pair[columns].dropna().to_numpy().T, ratio=ratio) for _, pair in groups]
        _draw(panel, metric, differences, of_rows)
        panel.hlines(ends, 0, 1, color="0.6", linewidth=0.6, transform=panel.get_yaxis_transform())
    panels[0].set_yticks(range(len(names)), names)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
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
