"""How accuracy falls under corrupted inputs."""

from collections.abc import Sequence
from dataclasses import replace

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.analysis.probes import ROBUSTNESS, describe_probes, robustness_curves
from bench.plots.style import (
    SMALL_POINTS,
    TEXT_POINTS,
    Band,
    draw_bands,
    embedder_looks,
    label_shares,
    line_handles,
    looks,
    marker_handles,
    sheet,
    short,
)
from bench.records import ProbeRecord

CROWD = 10
"""With more models than that, panels are larger and have no bands."""


def robustness(probes: Sequence[ProbeRecord]) -> Figure | None:
    """Accuracy by level, one panel per corruption, one line per model; None if no curve is complete.

    Lines are means over seeds; bands reach from the lowest to the highest seed.
    """
    measured = [probe for probe in probes if probe.benchmark == ROBUSTNESS]
    curves = robustness_curves(measured)
    if curves.empty:
        return None
    strategies = looks(curves.strategy)
    embedders = embedder_looks((probe.reference for probe in measured), curves.embedder)
    crowded = curves.model.nunique() > CROWD
    spread = "" if crowded else "; bands: from the lowest to the highest seed"
    figure, panels = sheet(
        list(curves.corruption.unique()),
        columns=2 if crowded else 4,
        height_in=2.5 if crowded else 1.1,
        title=f"{measured[0].study}: accuracy by level of corruption",
        handles=[
            marker_handles((short(strategy), look) for strategy, look in strategies.items()),
            line_handles(embedders, curves.embedder),
        ],
        notes=[
            f"lines: means over seeds{spread}" if curves.seed.nunique() > 1 else "one seed: no bands",
            *describe_probes(measured),
        ],
        left_in=0.65,
        label_in=0.17,
    )
    seeds = curves.groupby(["corruption", "unit", "strategy", "embedder", "level"], sort=False).accuracy
    summary = seeds.agg(["mean", "min", "max", "count"]).reset_index()
    for panel, (_, of_corruption) in zip(panels, summary.groupby("corruption", sort=False), strict=True):
        bands = []
        for (strategy, embedder), curve in of_corruption.groupby(["strategy", "embedder"], sort=False):
            look = replace(strategies[str(strategy)], line=embedders[str(embedder)].line)
            panel.plot(curve.level, curve["mean"], **look.of_line)
            if curve["count"].max() > 1 and not crowded:
                bands.append(Band(curve.level.tolist(), curve["min"].tolist(), curve["max"].tolist(), look.color))
        draw_bands(panel, bands)
        panel.set_xlabel(of_corruption.unit.iloc[0], fontsize=SMALL_POINTS)
        panel.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    label_shares(panels[0].yaxis)
    figure.supylabel("accuracy", x=0.005, fontsize=TEXT_POINTS, ha="left")
    return figure
