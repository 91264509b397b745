"""What accuracy costs, and which models nobody beats in both."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.plots.style import EMBEDDERS, FAMILIES, GRAY, WIDTH_IN, describe, label_log_scale
from bench.records.run import RunRecord
from bench.tables import COLUMN, Column, conditions, frame

COSTS = ("parameters", "flops_per_step", "epoch_seconds", "peak_memory_bytes")

# A ring is wider than a disk, so that both are seen where two models cost the same and are as good.
FILLINGS: Mapping[str, dict[str, Any]] = dict(
    zip(EMBEDDERS, cycle([{"markersize": 5}, {"markersize": 7.5, "fillstyle": "none"}]), strict=False)
)


def cost(records: Sequence[RunRecord]) -> Figure | None:
    """Accuracy against four costs, a point a model, with the Pareto front; None if no run was completed.

    Points are means over seeds; bars reach from the lowest to the highest seed.
    """
    cells = frame(records)
    if cells.empty:
        return None
    models = cells.groupby("model", sort=False).agg(
        family=("family", "first"),
        embedder=("embedder", "first"),
        accuracy=("valid_accuracy", "mean"),
        lowest=("valid_accuracy", "min"),
        highest=("valid_accuracy", "max"),
        **{field: (field, "mean") for field in COSTS},
    )
    fronts = {field: pareto_front(models[field], models.accuracy) for field in COSTS}
    on_any = [model for model in models.index if any(model in front for front in fronts.values())]
    numbers = {model: number for number, model in enumerate(on_any, start=1)}
    figure = Figure(figsize=(WIDTH_IN, 7.5), layout="constrained")
    panels: list[Axes] = list(figure.subplots(2, 2, sharey=True).flat)
    for panel, field in zip(panels, COSTS, strict=True):
        _draw(panel, COLUMN[field], models, {model: numbers[model] for model in fronts[field]})
    for panel in panels[::2]:
        panel.set_ylabel("validation accuracy")
    several = cells.seed.nunique() > 1
    describe(
        figure,
        f"{records[0].study}: accuracy against cost",
        _handles(models),
        [
            "points: means over seeds; bars: from the lowest to the highest seed"
            if several
            else "one seed: no bars",
            "on a front: " + ", ".join(f"{number}\N{NO-BREAK SPACE}{model}" for model, number in numbers.items()),
            *conditions(records),
        ],
    )
    return figure


def pareto_front(costs: "pd.Series[float]", accuracies: "pd.Series[float]") -> list[str]:
    """The models that no other beats: at most as costly and at least as accurate, and better in one of the two.

    Args:
        costs: by model; lower is better. Models of unknown cost are on no front.
        accuracies: by model; higher is better.

    Returns:
        Names by rising cost.
    """
    known = pd.DataFrame({"cost": costs, "accuracy": accuracies}).dropna().sort_values("cost", kind="stable")
    return [
        str(model)
        for model, own in known.iterrows()
        if not (
            (known.cost <= own.cost)
            & (known.accuracy >= own.accuracy)
            & ((known.cost < own.cost) | (known.accuracy > own.accuracy))
        ).any()
    ]


def _draw(panel: Axes, column: Column, models: pd.DataFrame, front: Mapping[str, int]) -> None:
    """One cost: every model, and the numbers of those on the front."""
    panel.set_xlabel(column.title)
    if models[column.field].isna().all():
        panel.set_xticks([])
        panel.text(0.5, 0.5, "not in these records", transform=panel.transAxes, ha="center", color=GRAY)
        return
    costs = models[column.field] / column.unit
    panel.vlines(costs, models.lowest, models.highest, color="0.7", linewidth=1)
    for _, row in models.iterrows():
        look = FAMILIES[row.family]
        shape = {"color": look.color, "marker": look.marker, **FILLINGS[row.embedder]}
        panel.plot(row[column.field] / column.unit, row.accuracy, linestyle="", **shape)
    points: dict[tuple[float, float], list[int]] = {}  # twins share one, and its label
    for model, number in front.items():
        points.setdefault((float(costs[model]), float(models.accuracy[model])), []).append(number)
    panel.plot(*zip(*points, strict=True), drawstyle="steps-post", color="black", linestyle=":", zorder=1)
    for point, numbers in points.items():
        label = ",".join(map(str, numbers))
        panel.annotate(label, point, xytext=(4, 4), textcoords="offset points", fontsize=8, fontweight="bold")
    panel.set_xscale("log")
    label_log_scale(panel.xaxis)


def _handles(models: pd.DataFrame) -> list[Line2D]:
    """What the legend shows: families by shape, embedders by filling, the front."""
    families = [FAMILIES[family] for family in models.family.unique()]
    return [
        *(
            Line2D([], [], linestyle="", marker=look.marker, color=look.color, label=look.title)
            for look in families
        ),
        *(
            Line2D([], [], linestyle="", marker="o", color=GRAY, label=EMBEDDERS[name].title, **FILLINGS[name])
            for name in models.embedder.unique()
        ),
        Line2D([], [], color="black", linestyle=":", label="Pareto front"),
    ]
