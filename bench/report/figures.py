"""Figures as images inside the page."""

import base64
from dataclasses import dataclass
from io import BytesIO

from matplotlib import rc_context
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


def image(figure: Figure) -> Image:
    """A figure as SVG, with the title of its legend as text.

    An SVG within an image element shares neither styles nor ids with the page, so figures do not disturb each
    other. A PNG takes as long to draw and is not smaller.
    """
    content = BytesIO()
    # Without the date and with fixed ids, the same records give the same page.
    with rc_context({"svg.hashsalt": "fusiongauge"}):
        figure.savefig(content, format="svg", metadata={"Date": None})
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    text = " ".join(legend.get_title().get_text() for legend in figure.legends)
    return Image(f"data:image/svg+xml;base64,{base64.b64encode(content.getvalue()).decode()}", width, height, text)
