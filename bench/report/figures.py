"""Figures as images inside the page."""

import base64
import gc
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from bench.records import CostRecord, ProbeRecord, RunRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Image:
    """An image that is part of the page.

    Attributes:
        uri: Its content, as a data URI.
        width: In CSS pixels; ``height`` likewise.
        text: What it shows, for those who cannot see it.
    """

    uri: str
    width: int
    height: int
    text: str


@dataclass(frozen=True)
class Group:
    """Records whose figures are drawn together."""

    records: Sequence[RunRecord] = ()
    probes: Sequence[ProbeRecord] = ()
    costs: Sequence[CostRecord] = ()


def load() -> None:
    """Load what ``images`` needs, in a process that does nothing else."""
    importlib.import_module("bench.plots")
    gc.freeze()  # what was loaded stays; looking through it for garbage takes a tenth of the time


def images(group: Group) -> list[Image]:
    """Every figure that the records allow."""
    from bench.plots import figures  # loads matplotlib, which a process that does not draw can do without

    return [image(figure) for figure in figures(group.records, group.probes, group.costs).values()]


def image(figure: "Figure") -> Image:
    """A figure as SVG, with the title of its legend as text.

    An SVG within an image element shares neither styles nor ids with the page, so figures do not disturb each
    other. A PNG takes as long to draw and is not smaller.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    content = BytesIO()
    # Letters stay letters: smaller than their outlines. Without the date and with fixed ids, the same records give
    # the same page. ``figure.savefig`` would draw twice.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "fusiongauge"}):
        FigureCanvasSVG(figure).print_svg(content, metadata={"Date": None})
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    text = " ".join(legend.get_title().get_text() for legend in figure.legends)
    return Image(f"data:image/svg+xml;base64,{base64.b64encode(content.getvalue()).decode()}", width, height, text)
