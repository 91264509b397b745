"""Figures as images inside the page."""

import base64
from dataclasses import dataclass
from io import BytesIO

from matplotlib import rc_context
from matplotlib.figure import Figure

LARGEST_SVG = 250_000
"""Bytes; a figure with more lines than that is drawn as pixels."""

PIXELS_PER_INCH = 144


@dataclass(frozen=True)
class Image:
    """An image that is part of the page.

    Attributes:
        uri: its content, as a data URI.
        width: in CSS pixels; ``height`` likewise.
        text: what it shows, for who cannot see it.
    """

    uri: str
    width: int
    height: int
    text: str


def image(figure: Figure) -> Image:
    """A figure as SVG, or as PNG where SVG is large. Its text is the title, which figures have above their legend.

    An SVG within an image element shares neither styles nor ids with the page, so figures do not disturb each
    other.
    """
    kind, content = "svg+xml", _drawn(figure, "svg")
    if len(content) > LARGEST_SVG:
        kind, content = "png", _drawn(figure, "png")
    (legend,) = figure.legends
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    return Image(data_uri(kind, content), width, height, legend.get_title().get_text())


def data_uri(kind: str, content: bytes) -> str:
    """The content of an image of a kind ("png", "svg+xml") as a data URI."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _drawn(figure: Figure, kind: str) -> bytes:
    content = BytesIO()
    # Without the date and without ids drawn by chance, the same records give the same page.
    with rc_context({"svg.hashsalt": "fusiongauge"}):
        figure.savefig(content, format=kind, dpi=PIXELS_PER_INCH, metadata={"Date": None} if kind == "svg" else {})
    return content.getvalue()
