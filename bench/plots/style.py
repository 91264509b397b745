"""How figures look: sizes, colors that most eyes tell apart, shapes for those that do not, captions."""

from dataclasses import dataclass
from itertools import cycle
from math import log10
from textwrap import fill

from matplotlib import RcParams
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import Locator, LogLocator, MaxNLocator, NullLocator
from matplotlib.typing import LineStyleType

from bench.tables import EMBEDDER_TITLES
from fusion_models import MODELS

WIDTH_IN = 9.0
"""Of all figures: about 900 pixels on a screen."""

STYLE = RcParams(
    {
        "font.size": 9,
        "axes.titlesize": 9,
        "axes.labelsize": 9,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "legend.fontsize": 9,
        "legend.frameon": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "0.9",
        "grid.linewidth": 0.6,
        "lines.linewidth": 1.4,
        "lines.markersize": 5,
    }
)

# The colors of Okabe and Ito, which differ in lightness too (https://jfly.uni-koeln.de/color/).
BLUE, VERMILION, GREEN, PURPLE, BLACK = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000"
GRAY = "0.45"

CAPTION_CHARACTERS = 145
"""In a line of a caption."""


@dataclass(frozen=True)
class Look:
    """What tells one series from another: in color, and without."""

    title: str
    color: str
    line: LineStyleType
    marker: str


_OF_EMBEDDERS: tuple[tuple[str, LineStyleType, str], ...] = ((BLUE, "-", "o"), (VERMILION, "--", "s"))
_OF_FAMILIES = ((BLUE, "o"), (VERMILION, "^"), (GREEN, "s"), (PURPLE, "D"), (BLACK, "v"))

EMBEDDERS = {
    name: Look(title, color, line, marker)
    for (name, title), (color, line, marker) in zip(EMBEDDER_TITLES.items(), cycle(_OF_EMBEDDERS), strict=False)
}

FAMILIES = {
    name: Look(name, color, "", marker)
    for name, (color, marker) in zip(
        dict.fromkeys(spec.family for spec in MODELS.values()), cycle(_OF_FAMILIES), strict=False
    )
}


def describe(figure: Figure, title: str, handles: list[Line2D], notes: list[str]) -> None:
    """Put a title and a legend above a figure, and what is to be known below it, one paragraph a note."""
    figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=len(handles),
        title=title,
        title_fontproperties={"weight": "bold", "size": 11},
        alignment="left",
        borderaxespad=0.2,
        borderpad=0.2,
    )
    text = "\n".join(fill(note, CAPTION_CHARACTERS, break_on_hyphens=False) for note in notes)
    figure.supxlabel(text, x=0.01, horizontalalignment="left", fontsize=8, color="0.25")


def label_log_scale(axis: Axis) -> None:
    """Give an axis on a log scale plain figures, as many as its range has room for."""
    low, high = axis.get_view_interval()
    decades = log10(high / low)
    locator: Locator
    if decades > 3:
        locator = LogLocator()
    elif decades > 1:
        locator = LogLocator(subs=(1, 2, 5))
    elif decades > 0.4:
        locator = LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 7))
    else:
        locator = MaxNLocator(5)
    axis.set_major_locator(locator)
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(lambda value, _: f"{value / 1e6:g} M" if value >= 1e5 else f"{value:g}")
