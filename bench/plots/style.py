"""How figures look: sizes, panels, colors that most eyes tell apart, shapes for those that do not, captions.

Panels are placed by sizes in inches, not by a layout engine: that would draw every figure twice more.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from math import ceil, log10
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FixedLocator, Locator, LogLocator, MaxNLocator, NullLocator
from matplotlib.typing import LineStyleType

WIDTH_IN = 9.0
"""Of all figures: about 900 pixels on a screen."""

GRAY = "0.45"

# The colors of Okabe and Ito, which differ in lightness too (https://jfly.uni-koeln.de/color/), with Tol's wine
# and olive in place of their yellow, which is faint on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9", "#882255", "#999933")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*", "d")
LINES: tuple[LineStyleType, ...] = (
    "-",
    (0, (5, 2)),
    (0, (6, 1.5, 1, 1.5)),
    (0, (1, 1.2)),
    (0, (4, 1, 1, 1, 1, 1)),
    (0, (2, 3)),
    (0, (9, 3)),
    (0, (7, 2, 3, 2)),
    (0, (1, 4)),
)

TITLE_POINTS, TEXT_POINTS, SMALL_POINTS = 11, 9, 8
LINE_HEIGHT = 1.25
"""Of text, in its size."""

MARGIN_IN = 0.1
RIGHT_IN = 0.25
"""Room right of the last panel, for half of a number at its end."""

GAP_IN = 0.3
"""Between panels of a row."""

NUMBERS_IN = 0.25
"""Room for the numbers below a panel."""

LEGEND_ROW = 1.25
"""The height of a row of a legend, in lines of its text."""

SIGN, TO_LABEL, TO_NEXT = 2.8, 0.8, 2.0
"""The width of a sign in a legend, and the gaps after it and after its label, in sizes of the text."""

CAPTION_CHARACTERS = 145
"""In a line of a caption."""

NAME_CHARACTERS = 60


@dataclass(frozen=True)
class Look:
    """What tells one series from another: in color, and without."""

    color: str
    line: LineStyleType
    marker: str

    @property
    def of_line(self) -> dict[str, Any]:
        """For a line with markers."""
        return {
            "color": self.color,
            "linestyle": self.line,
            "marker": self.marker,
            "markersize": 4,
            "linewidth": 1.4,
        }


def looks(names: Iterable[str]) -> dict[str, Look]:
    """The look of each name, in the order of first appearance.

    The first 9 differ in color and in line, the first 13 in marker; looks repeat after 117.
    """
    return {
        name: Look(COLORS[i % len(COLORS)], LINES[i % len(LINES)], MARKERS[i % len(MARKERS)])
        for i, name in enumerate(dict.fromkeys(names))
    }


def embedder_looks(references: Iterable[str], embedders: Iterable[str]) -> dict[str, Look]:
    """The look of each embedder; the references come first, so that they look the same in every figure.

    Embedders are all that are shown; "" for models without.
    """
    shown = list(embedders)
    return looks([*references, *shown] if any(shown) else shown)


def embedder_titles(embedders: Iterable[str]) -> dict[str, str]:
    """What each embedder is called in a legend; empty where no model has one."""
    shown = list(dict.fromkeys(embedders))
    return {embedder: embedder or "without embedder" for embedder in shown} if any(shown) else {}


def marker_handles(named: Iterable[tuple[str, Look]]) -> list[Line2D]:
    """The part of a legend that tells colors and markers apart."""
    return [Line2D([], [], linestyle="", color=look.color, marker=look.marker, label=name) for name, look in named]


def line_handles(of_embedders: Mapping[str, Look], embedders: Iterable[str]) -> list[Line2D]:
    """The part of a legend that tells the lines of embedders apart."""
    titles = embedder_titles(embedders).items()
    return [
        Line2D([], [], color="black", linestyle=of_embedders[name].line, label=title) for name, title in titles
    ]


def sheet(
    titles: Sequence[str],
    *,
    columns: int,
    height_in: float,
    title: str,
    handles: Sequence[Sequence[Line2D]],
    notes: Iterable[str],
    left_in: float = 0.6,
    label_in: float = 0.0,
    share_x: bool = False,
) -> tuple[Figure, list[Axes]]:
    """A figure with panels that share their vertical axis, a title and a legend above them, and a caption below.

    Args:
        titles: One per panel, above it.
        columns: The largest number of panels in a row.
        height_in: Of a panel without its labels, in inches.
        title: Of the figure.
        handles: Of the legend, by group; a group has rows of its own unless one row has room for all.
        notes: One paragraph of the caption each.
        left_in: Room for labels left of a row of panels.
        label_in: Room for the label of each panel's horizontal axis, below its numbers.
        share_x: Whether panels share their horizontal axis; only the lowest panels have numbers then.
    """
    columns = min(columns, len(titles))
    caption = "\n".join(fill(note, CAPTION_CHARACTERS, break_on_hyphens=False) for note in notes)
    everything = [handle for group in handles for handle in group]
    groups = [everything] if _in_row(everything) == len(everything) else list(filter(None, handles))
    rows_of_groups = [ceil(len(group) / _in_row(group)) for group in groups]
    row_in = LEGEND_ROW * _lines_in(1, TEXT_POINTS)
    head_in = MARGIN_IN + _lines_in(1, TITLE_POINTS) + row_in * sum(rows_of_groups)
    foot_in = MARGIN_IN + _lines_in(caption.count("\n") + 1, SMALL_POINTS)
    above_in = 0.12 + _lines_in(max(text.count("\n") + bool(text) for text in titles), SMALL_POINTS)
    below_in = (0.1 if share_x else NUMBERS_IN) + label_in
    lowest_in = NUMBERS_IN + label_in + 0.05
    rows = ceil(len(titles) / columns)
    full_in = head_in + rows * (above_in + height_in) + (rows - 1) * below_in + lowest_in + foot_in
    width_in = (WIDTH_IN - left_in - RIGHT_IN - (columns - 1) * GAP_IN) / columns
    figure = Figure(figsize=(WIDTH_IN, full_in))
    panels: list[Axes] = []
    for place, text in enumerate(titles):
        row, column = divmod(place, columns)
        left = left_in + column * (width_in + GAP_IN)
        bottom = full_in - head_in - (row + 1) * (above_in + height_in) - row * below_in
        panel = figure.add_axes(
            (left / WIDTH_IN, bottom / full_in, width_in / WIDTH_IN, height_in / full_in),
            sharex=panels[0] if panels and share_x else None,
            sharey=panels[0] if panels else None,
        )
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(color="0.9", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.tick_params(
            labelsize=SMALL_POINTS,
            bottom=False,  # the grid is enough
            left=False,
            labelleft=column == 0,
            labelbottom=place + columns >= len(titles) or not share_x,
        )
        # Fixed places: those that matplotlib looks for take as long as the rest of the drawing.
        panel.set_title(text, loc="left", y=1.0, fontsize=SMALL_POINTS)
        panel.xaxis.set_label_coords(0.5, -NUMBERS_IN / height_in)
        panel.yaxis.set_label_coords((0.22 - left_in) / width_in, 0.5)
        panels.append(panel)
    top_in = 0.0
    for group, rows_of_group in zip(groups, rows_of_groups, strict=True):
        in_row = _in_row(group)
        figure.legend(
            # matplotlib fills one column after the other, but people read rows
            handles=[handle for column in range(in_row) for handle in group[column::in_row]],
            loc="upper left",
            bbox_to_anchor=(0, 1 - top_in / full_in),
            ncols=in_row,
            fontsize=TEXT_POINTS,
            title="" if top_in else title,
            title_fontproperties={"weight": "bold", "size": TITLE_POINTS},
            alignment="left",
            frameon=False,
            handlelength=SIGN,
            handletextpad=TO_LABEL,
            columnspacing=TO_NEXT,
            borderaxespad=0.2,
            borderpad=0.2,
        )
        top_in += row_in * rows_of_group + (0 if top_in else _lines_in(1, TITLE_POINTS))
    figure.supxlabel(
        caption,
        x=MARGIN_IN / WIDTH_IN,
        y=MARGIN_IN / full_in,
        horizontalalignment="left",
        verticalalignment="bottom",
        fontsize=SMALL_POINTS,
        color="0.25",
    )
    return figure, panels


def name_rows(panels: Sequence[Axes], names: Sequence[str], heights_in: Sequence[float]) -> list[float]:
    """Divide panels of one sheet into rows, the first one on top: a name left of each, every second one shaded.

    The vertical axis is in inches from the top.

    Returns:
        Where each row begins.
    """
    *tops_in, bottom_in = accumulate(heights_in, initial=0.0)
    for panel in panels:
        panel.grid(visible=False, axis="y")
        for top_in, height_in in list(zip(tops_in, heights_in, strict=True))[1::2]:
            panel.axhspan(top_in, top_in + height_in, color="0.96", zorder=0)
    middles_in = [top_in + height_in / 2 for top_in, height_in in zip(tops_in, heights_in, strict=True)]
    panels[0].set_yticks(middles_in, names)
    panels[0].set_ylim(bottom_in, 0)
    return tops_in


class Band(NamedTuple):
    """The range of seeds around a line, from ``low`` to ``high`` at each x; x rises."""

    x: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    color: str


def draw_bands(panel: Axes, bands: Sequence[Band]) -> None:
    """Draw the bands of a panel faintly, all at once."""
    corners = [
        np.column_stack([[*band.x, *reversed(band.x)], [*band.low, *reversed(band.high)]]) for band in bands
    ]
    colors = [band.color for band in bands]
    panel.add_collection(PolyCollection(corners, facecolors=colors, alpha=0.18, linewidths=0))


def short(name: str) -> str:
    """A name as it fits beside a figure: of a long one, the beginning and the end."""
    half = NAME_CHARACTERS // 2
    return name if len(name) <= NAME_CHARACTERS else f"{name[:half]}…{name[-half:]}"


@cache
def text_width_in(text: str, points: float = TEXT_POINTS) -> float:
    """The width of a line of text, in inches."""
    width, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(size=points), ismath=False)
    return width / 72


def _in_row(handles: Sequence[Line2D]) -> int:
    """How many columns of a legend fit into the width, if its handles are placed row by row; at least one."""
    sign_in = (SIGN + TO_LABEL + TO_NEXT) * TEXT_POINTS / 72
    widths = [text_width_in(str(handle.get_label())) + sign_in for handle in handles]
    for columns in range(len(widths), 1, -1):
        if sum(max(widths[column::columns]) for column in range(columns)) <= WIDTH_IN:
            return columns
    return 1


def _lines_in(count: int, points: float) -> float:
    """The height of lines of text, in inches."""
    return count * points * LINE_HEIGHT / 72


def label_log_scale(axis: Axis) -> None:
    """Give an axis on a log scale plain numbers, in steps that suit its range."""
    low, high = axis.get_view_interval()
    if not 0 < low < high:  # nothing was drawn
        return
    decades = log10(high / low)
    locator: Locator
    if decades > 3:
        locator = LogLocator()
        locator.set_axis(axis)
    elif decades > 1:
        locator = LogLocator(subs=(1, 2, 5))
    elif decades > 0.4:
        locator = LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 7))
    else:
        locator = MaxNLocator(5)
    # Locators give numbers outside of the axis too, each of which takes time to draw.
    axis.set_major_locator(
        FixedLocator([value for value in locator.tick_values(low, high) if low <= value <= high])
    )
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(lambda value, _: _plain(value))


def _plain(value: float) -> str:
    """A number of an axis, in thousands or millions where it is large."""
    for unit, size in (("\N{NO-BREAK SPACE}M", 1e6), ("\N{NO-BREAK SPACE}k", 1e3)):
        if value >= max(size, 1e4):
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def label_shares(axis: Axis) -> None:
    """Give an axis of shares no numbers outside of 0 to 1, which its margins can reach."""
    low, high = axis.get_view_interval()
    ticks = axis.get_major_locator().tick_values(low, high)
    axis.set_major_locator(FixedLocator([value for value in ticks if max(0, low) <= value <= min(1, high)]))
