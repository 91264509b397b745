from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from bench.costs.scaling import AXES, ROWS, Growth
from bench.plots import write_figure
from bench.plots.scaling import scaling


@pytest.fixture
def grown() -> list[Growth]:
    """Every row along every axis; a row's number times the size."""
    return [
        Growth(spec.name, axis, {size: [number * size / 1_000] for size in axis.sizes})
        for axis in AXES.values()
        for number, spec in enumerate(ROWS, start=1)
    ]


@pytest.fixture
def figure(grown: list[Growth]) -> Figure:
    return scaling(grown, ["device: a processor"])


def test_there_is_a_panel_an_axis_with_a_line_a_model_and_the_proportional_one(figure: Figure) -> None:
    assert [panel.get_xlabel() for panel in figure.axes] == [axis.title for axis in AXES.values()]
    for panel in figure.axes:
        assert len(panel.lines) == len(ROWS) + 1
        assert (panel.get_xscale(), panel.get_yscale()) == ("log", "log")


def test_a_line_passes_through_the_medians(figure: Figure) -> None:
    first, second, *_, proportional = (np.asarray(line.get_xydata(), float) for line in figure.axes[1].lines)
    sizes = np.array(AXES["batch"].sizes)
    np.testing.assert_array_equal(first, np.column_stack([sizes, sizes / 1_000]))
    np.testing.assert_array_equal(second, np.column_stack([sizes, 2 * sizes / 1_000]))
    np.testing.assert_allclose(proportional, np.column_stack([sizes, sizes / 1_000]))


def test_the_dotted_line_grows_as_the_pixels(figure: Figure) -> None:
    *_, dotted = (np.asarray(line.get_xydata(), float) for line in figure.axes[2].lines)
    np.testing.assert_allclose(dotted, [[32, 0.032], [64, 4 * 0.032], [128, 16 * 0.032]])


def test_lines_differ_without_their_colors(figure: Figure) -> None:
    shapes = [(line.get_marker(), line.get_linestyle()) for line in figure.axes[0].lines]
    assert len(set(shapes)) == len(shapes)


def test_the_caption_says_what_it_was_measured_under(figure: Figure) -> None:
    assert "device: a processor" in [text.get_text() for text in figure.texts]


def test_the_same_figure_gives_the_same_bytes(grown: list[Growth], tmp_path: Path) -> None:
    first, second = (write_figure(scaling(grown, []), tmp_path / name, "scaling") for name in ("first", "second"))
    assert [path.name for path in first] == ["scaling.png", "scaling.svg"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
