"""What a reader sees of a figure."""

from matplotlib.figure import Figure


def legend(figure: Figure) -> list[str]:
    """The labels of the legends, row by row."""
    figure.draw_without_rendering()
    texts = [text for legend in figure.legends for text in legend.get_texts()]
    places = {text.get_text(): text.get_window_extent() for text in texts}
    return sorted(places, key=lambda name: (-round(places[name].y0 / 10), places[name].x0))
