"""How the cost of training grows: a panel an axis, logarithms on both sides, a line a model."""

from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from bench.costs.scaling import Axis, Growth
from bench.plots.style import EMBEDDERS, FAMILIES, GRAY, STYLE, WIDTH_IN, describe, label_log_scale
from fusion_models import find_model


@rc_context(STYLE)
def scaling(grown: Sequence[Growth], conditions: Sequence[str]) -> Figure:
    """Seconds of the median epoch against size, a panel an axis; dotted: in proportion to pixels, for comparison.

    Args:
        grown: the lines, one or more an axis.
        conditions: what they were measured under, for the caption.
    """
    axes = list(dict.fromkeys(each.axis for each in grown))
    figure = Figure(figsize=(WIDTH_IN, 4.5), layout="constrained")
    panels: list[Axes] = list(figure.subplots(1, len(axes), sharey=True, squeeze=False).flat)
    for panel, axis in zip(panels, axes, strict=True):
        _draw(panel, axis, [each for each in grown if each.axis is axis])
    panels[0].set_ylabel("seconds of the median epoch")
    label_log_scale(panels[0].yaxis)
    describe(figure, "How the cost of training grows", _handles(grown), list(conditions))
    return figure


def _draw(panel: Axes, axis: Axis, grown: Sequence[Growth]) -> None:
    for each in grown:
        spec = find_model(each.model)
        family = FAMILIES[spec.family]
        panel.plot(
            list(each.medians),
            list(each.medians.values()),
            linestyle=EMBEDDERS[spec.embedder].line,
            color=family.color,
            marker=family.marker,
        )
    sizes = list(grown[0].medians)
    cheapest = min(min(each.medians.values()) for each in grown)
    panel.plot(sizes, [cheapest * (size / sizes[0]) ** axis.work for size in sizes], ":", color=GRAY)
    panel.set(xscale="log", yscale="log", xticks=sizes, xlabel=axis.title)
    panel.xaxis.set_major_formatter("{x:g}")
    panel.xaxis.set_minor_locator(NullLocator())


def _handles(grown: Sequence[Growth]) -> list[Line2D]:
    """What the legend shows: families by color and shape, embedders by line."""
    specs = [find_model(each.model) for each in grown]
    families = [FAMILIES[name] for name in dict.fromkeys(spec.family for spec in specs)]
    embedders = [EMBEDDERS[name] for name in dict.fromkeys(spec.embedder for spec in specs)]
    return [
        *(
            Line2D([], [], linestyle="", marker=look.marker, color=look.color, label=look.title)
            for look in families
        ),
        *(Line2D([], [], linestyle=look.line, color=GRAY, label=look.title) for look in embedders),
        Line2D([], [], linestyle=":", color=GRAY, label="as pixels"),
    ]
