import base64

from matplotlib.figure import Figure

from bench.report.figures import LARGEST_SVG, image


def drawn(title: str, lines: int) -> Figure:
    figure = Figure(figsize=(5, 3))
    axes = figure.subplots()
    for line in range(lines):
        axes.plot([line * place % 7 for place in range(200)], label=str(line))
    figure.legend(title=title)
    return figure


def test_a_small_figure_is_svg_of_its_size() -> None:
    made = image(drawn("one line", 1))
    kind, _, content = made.uri.partition(";base64,")
    assert kind == "data:image/svg+xml"
    assert b"<svg" in base64.b64decode(content)
    assert (made.width, made.height, made.text) == (480, 288, "one line")


def test_a_figure_whose_svg_would_be_large_is_png() -> None:
    made = image(drawn("many lines", 400))
    kind, _, content = made.uri.partition(";base64,")
    assert kind == "data:image/png"
    assert base64.b64decode(content).startswith(b"\x89PNG")
    assert len(content) < 3 * LARGEST_SVG
