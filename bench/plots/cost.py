"""What accuracy costs, and which models are the best for their cost."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from math import inf
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.analysis.conditions import describe
from bench.analysis.frames import frame, without_rough_times
from bench.metrics import IN_WORDS, QUANTITIES, declarations, name_on, reported_part
from bench.plots.style import (
    GRAY,
    LINE_HEIGHT,
    SMALL_POINTS,
    TEXT_POINTS,
    embedder_looks,
    embedder_titles,
    label_log_scale,
    label_shares,
    looks,
    sheet,
    text_width_in,
)
from bench.records import RunRecord

Point = tuple[float, float]
"""A cost in its unit, and an accuracy."""

OFFSET = 4
"""Of a label from its point, in points."""

COSTS = ("parameters", "flops_per_step", "epoch_seconds", "peak_memory_bytes")

# A ring is wider than a disk, so that both are seen where two models have the same cost and accuracy.
FILLINGS: tuple[dict[str, Any], ...] = tuple(
    {"fillstyle": style, "markersize": size + larger, "markerfacecoloralt": "white"}
    for larger in (0, 2.5)
    for style, size in (("full", 5), ("none", 7.5), ("left", 6.5), ("bottom", 6.5), ("right", 6.5), ("top", 6.5))
)


def cost(records: Sequence[RunRecord]) -> Figure | None:
    """Accuracy against four costs, one point per model, with the Pareto front; None if no record has a cost.

    Points are means over seeds; bars reach from the lowest to the highest seed. Times of runs that other processes
    disturbed do not count.
    """
    measured = frame(records)
    missing = ", ".join(QUANTITIES[name].title for name in COSTS if measured[name].isna().all())
    cells = without_rough_times(measured)
    if cells.empty:
        return None
    accuracy = declarations()[name_on("accuracy", reported_part(records))]
    models = cells.groupby("model", sort=False).agg(
        family=("family", "first"),
        embedder=("embedder", "first"),
        accuracy=(accuracy.name, "mean"),
        lowest=(accuracy.name, "min"),
        highest=(accuracy.name, "max"),
        **{name: (name, "mean") for name in COSTS},
    )
    fewest = min(2, len(models))  # one of several models alone is compared with nothing
    shown = [name for name in COSTS if models[name].notna().sum() >= fewest]
    if not shown:
        return None
    fronts = {name: pareto_front(models[name], models.accuracy) for name in shown}
    on_any = [model for model in models.index if any(model in front for front in fronts.values())]
    numbers = {model: number for number, model in enumerate(on_any, start=1)}
    markers = {family: look.marker for family, look in looks(models.family).items()}
    of_embedders = {
        embedder: {"color": look.color, **filling}
        for (embedder, look), filling in zip(
            embedder_looks(cells.reference, models.embedder).items(), cycle(FILLINGS), strict=False
        )
    }
    several = cells.seed.nunique() > 1
    spread = "points: means over seeds; bars: from the lowest to the highest seed"
    on_front = [f"{number} {model}".replace(" ", "\N{NO-BREAK SPACE}") for model, number in numbers.items()]
    figure, panels = sheet(
        [""] * len(shown),
        columns=2,
        height_in=2.5,
        title=f"{records[0].study}: accuracy against cost",
        handles=[
            [
                Line2D([], [], linestyle="", color=GRAY, marker=marker, markersize=5, label=family or "other")
                for family, marker in markers.items()
                if len(markers) > 1
            ],
            [
                *(
                    Line2D([], [], linestyle="", marker="o", label=name, **of_embedders[embedder])
                    for embedder, name in embedder_titles(models.embedder).items()
                ),
                Line2D([], [], color="black", linestyle=":", label="Pareto front"),
            ],
        ],
        notes=[
            f"{spread}, which the front does not consider" if several else "one seed: no bars",
            f"on a front: {', '.join(on_front)}",
            *([f"not in these records: {missing}"] if missing else []),
            *describe(records),
        ],
        label_in=0.2,
    )
    on_fronts: list[dict[Point, list[int]]] = []
    for panel, name in zip(panels, shown, strict=True):
        metric = QUANTITIES[name]
        panel.set_xlabel(metric.title, fontsize=TEXT_POINTS)
        for (family, embedder), alike in models.groupby(["family", "embedder"], sort=False):
            style = of_embedders[str(embedder)]
            panel.plot(
                alike[name] / metric.scale, alike.accuracy, linestyle="", marker=markers[str(family)], **style
            )
        costs = models[name] / metric.scale
        panel.vlines(costs, models.lowest, models.highest, color="0.7", linewidth=1, zorder=1)
        points = _points(costs, models.accuracy, {model: numbers[model] for model in fronts[name]})
        panel.plot(*zip(*points, strict=True), drawstyle="steps-post", color="black", linestyle=":", zorder=1)
        panel.margins(x=0.13)  # room for the label of the cheapest model
        panel.set_xscale("log")
        label_log_scale(panel.xaxis)
        on_fronts.append(points)
    for panel, points in zip(panels, on_fronts, strict=True):  # when the limits are known, which panels share
        _label(panel, points)
    label_shares(panels[0].yaxis)
    for panel in panels[::2]:
        panel.set_ylabel(f"{IN_WORDS[accuracy.part]} accuracy", fontsize=TEXT_POINTS)
    return figure


def pareto_front(costs: "pd.Series[float]", accuracies: "pd.Series[float]") -> list[str]:
    """The models that no other beats, by rising cost; those of unknown cost are left out.

    One beats another by being at most as costly and at least as accurate, and better in one of the two.
    """
    measured = pd.DataFrame({"cost": costs, "accuracy": accuracies}).dropna().sort_values("cost", kind="stable")
    best = measured.groupby("cost").accuracy.max().cummax()  # of all that are at most as costly
    alike, cheaper = measured.cost.map(best), measured.cost.map(best.shift(fill_value=-inf))
    return [str(model) for model in measured.index[(measured.accuracy == alike) & (measured.accuracy > cheaper)]]


def _points(
    costs: "pd.Series[float]", accuracies: "pd.Series[float]", front: Mapping[str, int]
) -> dict[Point, list[int]]:
    """The points of a front by rising cost, with the numbers of their models."""
    points: dict[Point, list[int]] = {}
    for model, number in front.items():
        points.setdefault((float(costs[model]), float(accuracies[model])), []).append(number)
    return points


def _label(panel: Axes, points: Mapping[Point, list[int]]) -> None:
    """Write the numbers of a front's models above their points and left of them; close points share a label.

    No other model can be there: it would beat that of the point.
    """
    labels: dict[Point, list[int]] = {}
    in_inches = panel.transData + panel.figure.dpi_scale_trans.inverted()
    for point, numbers in points.items():
        if labels:
            (x, y), others = list(labels.items())[-1]
            right, above = 72 * (in_inches.transform(point) - in_inches.transform((x, y)))
            width = 72 * text_width_in(_text(numbers), SMALL_POINTS)
            if right < width + 2 * OFFSET and above < LINE_HEIGHT * SMALL_POINTS:  # the labels would overlap
                del labels[x, y]
                labels[x, point[1]] = [*others, *numbers]
                continue
        labels[point] = numbers
    for point, numbers in labels.items():
        panel.annotate(
            _text(numbers),
            point,
            xytext=(-OFFSET, OFFSET),
            textcoords="offset points",
            horizontalalignment="right",
            fontsize=SMALL_POINTS,
            fontweight="bold",
        )


def _text(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))
