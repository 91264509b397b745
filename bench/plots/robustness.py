"""How accuracy falls under corrupted inputs."""

from collections.abc import Sequence
from itertools import cycle
from math import ceil

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.plots.style import BLACK, BLUE, EMBEDDERS, GREEN, PURPLE, VERMILION, WIDTH_IN, Look
from bench.probes.corruptions import CORRUPTIONS, Corruption
from bench.records.probe import ProbeRecord
from bench.tables.probes import conditions, robustness_curves
from fusion_models import find_model

PANELS_A_ROW = 4
PANEL_HEIGHT_IN = 1.5
LEGEND_COLUMNS = 3

_ORANGE, _SKY = "#E69F00", "#56B4E9"  # of the same eight colors of Okabe and Ito
_STRATEGIES = (
    (BLUE, "o"),
    (VERMILION, "^"),
    (GREEN, "s"),
    (PURPLE, "D"),
    (BLACK, "v"),
    (_ORANGE, "P"),
    (_SKY, "X"),
)
"""Color and marker of each strategy in turn; the line tells the embedder."""


def robustness(found: Sequence[ProbeRecord]) -> Figure | None:
    """Accuracy by level, a panel a corruption, a line a model; None if no curve is complete.

    Lines are means over seeds; bands reach from the lowest to the highest seed.
    """
    curves = robustness_curves(found)
    if curves.empty:
        return None
    looks = _looks(list(curves.model.unique()))
    shown = [corruption for name, corruption in CORRUPTIONS.items() if (curves.corruption == name).any()]
    columns = min(PANELS_A_ROW, len(shown))
    rows = ceil(len(shown) / columns)
    figure = Figure(figsize=(WIDTH_IN, PANEL_HEIGHT_IN * rows + 1.8), layout="constrained")
    panels: list[Axes] = list(figure.subplots(rows, columns, sharey=True, squeeze=False).flat)
    for panel, corruption in zip(panels, shown, strict=False):
        _draw(panel, corruption, curves[curves.corruption == corruption.name], looks)
    for unused in panels[len(shown) :]:
        unused.remove()
    figure.supylabel("validation accuracy", fontsize=9)
    figure.legend(
        handles=[
            Line2D([], [], color=look.color, linestyle=look.line, marker=look.marker, label=look.title)
            for look in looks.values()
        ],
        loc="outside upper left",
        ncols=LEGEND_COLUMNS,
        title=f"{found[0].study}: validation accuracy by level of corruption",
        title_fontproperties={"weight": "bold", "size": 11},
        alignment="left",
    )
    spread = (
        "lines: means over seeds; bands: from the lowest to the highest seed"
        if curves.seed.nunique() > 1
        else "one seed: no bands"
    )
    caption = "\n".join([spread, *conditions([record for record in found if record.benchmark == "robustness"])])
    figure.supxlabel(caption, x=0.01, horizontalalignment="left", fontsize=8, color="0.25")
    return figure


def _looks(models: Sequence[str]) -> dict[str, Look]:
    """How each model is drawn, by its name with the variant before it."""
    specs = {model: find_model(model.split()[-1]) for model in models}
    styles = dict(zip(dict.fromkeys(spec.strategy for spec in specs.values()), cycle(_STRATEGIES), strict=False))
    return {
        model: Look(model, styles[spec.strategy][0], EMBEDDERS[spec.embedder].line, styles[spec.strategy][1])
        for model, spec in specs.items()
    }


def _draw(panel: Axes, corruption: Corruption, curves: pd.DataFrame, looks: dict[str, Look]) -> None:
    levels = corruption.levels
    for model, of_model in curves.groupby("model", sort=False):
        look, accuracy = looks[str(model)], of_model.groupby("level").accuracy
        panel.plot(
            levels,
            accuracy.mean(),
            color=look.color,
            linestyle=look.line,
            marker=look.marker,
            markersize=4,
        )
        if of_model.seed.nunique() > 1:
            panel.fill_between(levels, accuracy.min(), accuracy.max(), color=look.color, alpha=0.15, linewidth=0)
    panel.set_title(corruption.name, loc="left", fontsize=8)
    panel.set_xlabel(corruption.unit, fontsize=8)
