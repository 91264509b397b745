"""How the cost of training grows: one panel per axis, logarithms on both sides, one line per model."""

from collections.abc import Sequence
from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from bench.analysis.conditions import describe_cost
from bench.analysis.costs import medians
from bench.plots.style import GRAY, TEXT_POINTS, label_log_scale, line_handles, looks, marker_handles, sheet
from bench.records import GrowthRecord


def scaling(records: Sequence[GrowthRecord]) -> Figure:
    """Seconds of the median epoch against size, one panel per axis; dotted: in proportion to pixels.

    Takes one or more records measured under the same conditions; of several of one axis and model the last counts.
    """
    latest = list({(record.axis, record.model): record for record in records}.values())
    axes = list(dict.fromkeys(record.axis for record in latest))
    families = looks(record.family for record in latest)
    embedders = looks(record.embedder for record in latest)
    figure, panels = sheet(
        [""] * len(axes),
        columns=3,
        height_in=3,
        title="How the cost of training grows",
        handles=[
            marker_handles((family or "other", look) for family, look in families.items()),
            [
                *line_handles(embedders, embedders),
                Line2D([], [], linestyle=":", color=GRAY, label="in proportion to pixels"),
            ],
        ],
        notes=describe_cost(records[0]),
        label_in=0.2,
    )
    for panel, axis in zip(panels, axes, strict=True):
        of_axis = [record for record in latest if record.axis == axis]
        for record in of_axis:
            look = replace(families[record.family], line=embedders[record.embedder].line)
            panel.plot(record.sizes, medians(record), **look.of_line)
        _finish(panel, of_axis)
    panels[0].set_ylabel("seconds of the median epoch", fontsize=TEXT_POINTS)
    label_log_scale(panels[0].yaxis)
    return figure


def _finish(panel: Axes, records: Sequence[GrowthRecord]) -> None:
    """Proportional cost, from the cheapest model's; scales and labels."""
    sizes = max((record.sizes for record in records), key=len)
    cheapest = min(min(medians(record)) for record in records)
    work = records[0].work
    panel.plot(sizes, [cheapest * (size / sizes[0]) ** work for size in sizes], ":", color=GRAY)
    panel.set(xscale="log", yscale="log", xticks=sizes)
    panel.set_xlabel(records[0].axis_title, fontsize=TEXT_POINTS)
    panel.xaxis.set_major_formatter("{x:g}")
    panel.xaxis.set_minor_locator(NullLocator())
