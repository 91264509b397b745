"""Figures as images inside the page."""

import base64
import gc
import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.records.reading import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Image:
    """An image that is part of the page: a data URI, CSS pixels, and a text for those who cannot see it."""

    uri: str
    width: int
    height: int
    text: str


def load() -> None:
    """Load what ``images`` needs, in a process that does nothing else."""
    importlib.import_module("bench.plots")
    gc.freeze()  # what was loaded stays; looking through it for garbage takes a tenth of the time


def images(run: Run) -> list[Image]:
    """Every figure that the records allow."""
    from bench.plots import figures  # loads matplotlib, which a process that does not draw can do without

    return [image(figure) for figure in figures(run.records, run.probes, run.costs).values()]


def image(figure: "Figure") -> Image:
    """A figure as SVG, with the title of its legend as text.

    An SVG within an image element shares neither styles nor ids with the page, so figures do not disturb each
    other. A PNG takes as long to draw and is not smaller.
    """
    from bench.plots import image as content

    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    text = " ".join(filter(None, (legend.get_title().get_text() for legend in figure.legends)))
    return Image(
        f"data:image/svg+xml;base64,{base64.b64encode(content(figure, 'svg')).decode()}", width, height, text
    )
