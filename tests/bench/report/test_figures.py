import base64

from matplotlib.figure import Figure

from bench.report.figures import image


def drawn(title: str) -> Figure:
    figure = Figure(figsize=(5, 3))
    figure.subplots().plot([1, 2, 3], label="a line")
    figure.legend(title=title)
    return figure


def test_a_figure_is_svg_of_its_size_with_its_title_as_text() -> None:
    shown = image(drawn("one line"))
    kind, _, content = shown.uri.partition(";base64,")
    assert kind == "data:image/svg+xml"
    assert b"<svg" in base64.b64decode(content)
    assert (shown.width, shown.height, shown.text) == (480, 288, "one line")


def test_the_same_figure_gives_the_same_bytes() -> None:
    assert image(drawn("one line")) == image(drawn("one line"))
