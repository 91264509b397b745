"""The figure of how the cost of training grows: a panel an axis, logarithms on both sides, a line a model."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Literal

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bench.costs.scaling import Axis, Growth
from bench.tables import EMBEDDER_TITLES
from fusion_models import find_model

Line = Literal["-", "--", "-."]

# The colors of Okabe and Ito, which differ in lightness too (https://jfly.uni-koeln.de/color/), with a shape each.
_FAMILY_LOOKS = (("#0072B2", "o"), ("#D55E00", "^"), ("#009E73", "s"), ("#CC79A7", "D"))
_EMBEDDER_LOOKS: tuple[Line, ...] = ("-", "--", "-.")
_GRAY = "0.45"

_SIZE_IN = (9.0, 4.2)
_PIXELS_PER_INCH = 150


def scaling_figure(grown: Sequence[Growth], conditions: Sequence[str]) -> Figure:
    """Seconds of the median epoch against size, a panel an axis; dotted: in proportion to pixels, for comparison.

    Args:
        grown: the lines, one or more an axis.
        conditions: what they were measured under, for the caption.
    """
    axes = list(dict.fromkeys(each.axis for each in grown))
    specs = [find_model(each.model) for each in grown]
    families = dict(zip(dict.fromkeys(spec.family for spec in specs), cycle(_FAMILY_LOOKS), strict=False))
    embedders = dict(zip(dict.fromkeys(spec.embedder for spec in specs), cycle(_EMBEDDER_LOOKS), strict=False))
    figure = Figure(figsize=_SIZE_IN, layout="constrained")
    panels: list[Axes] = list(figure.subplots(1, len(axes), sharey=True, squeeze=False).flat)
    for panel, axis in zip(panels, axes, strict=True):
        _draw(panel, axis, [each for each in grown if each.axis is axis], families, embedders)
    panels[0].set_ylabel("seconds of the median epoch", fontsize=9)
    figure.suptitle(
        "How the cost of training grows", x=0.01, horizontalalignment="left", fontsize=10, fontweight="bold"
    )
    figure.supxlabel("\n".join(conditions), x=0.01, horizontalalignment="left", fontsize=8, color="0.25")
    figure.legend(handles=_handles(families, embedders), loc="outside right upper", fontsize=8, frameon=False)
    return figure


def _draw(
    panel: Axes,
    axis: Axis,
    grown: Sequence[Growth],
    families: dict[str, tuple[str, str]],
    embedders: dict[str, Line],
) -> None:
    for each in grown:
        spec = find_model(each.model)
        color, marker = families[spec.family]
        sizes, seconds = list(each.medians), list(each.medians.values())
        panel.plot(sizes, seconds, embedders[spec.embedder], color=color, marker=marker, markersize=4)
    sizes = list(grown[0].medians)
    cheapest = min(min(each.medians.values()) for each in grown)
    panel.plot(sizes, [cheapest * (size / sizes[0]) ** axis.work for size in sizes], ":", color=_GRAY)
    panel.set(xscale="log", yscale="log", xticks=sizes)
    panel.set_xlabel(axis.title, fontsize=8)
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.tick_params(labelsize=8)
    panel.grid(color="0.9", linewidth=0.6)


def _handles(families: dict[str, tuple[str, str]], embedders: dict[str, Line]) -> list[Line2D]:
    """What the legend shows: families by color and shape, embedders by line."""
    return [
        *(
            Line2D([], [], linestyle="", marker=marker, color=color, label=family)
            for family, (color, marker) in families.items()
        ),
        *(
            Line2D([], [], linestyle=line, color=_GRAY, label=EMBEDDER_TITLES.get(embedder, embedder))
            for embedder, line in embedders.items()
        ),
        Line2D([], [], linestyle=":", color=_GRAY, label="as pixels"),
    ]


def write_figure(figure: Figure, folder: Path) -> list[Path]:
    """Write the figure as ``scaling.png`` and ``.svg``; the same figure gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    png, svg = folder / "scaling.png", folder / "scaling.svg"
    figure.savefig(png, dpi=_PIXELS_PER_INCH)
    with rc_context({"svg.hashsalt": "scaling"}):  # of the names within the file, random otherwise
        figure.savefig(svg, metadata={"Date": None})
    return [png, svg]
