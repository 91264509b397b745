from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from bench.plots import write_figures
from bench.plots.scaling import scaling
from bench.records import GrowthRecord
from tests.bench.costs.samples import growth
from tests.bench.tables.samples import EMBEDDERS

AXES = {"pairs": (1, [32, 64, 128]), "image": (2, [32, 64])}
FAMILIES = [f"family{i}" for i in range(12)]
MODELS = [(family, embedder) for family in FAMILIES for embedder in EMBEDDERS]


@pytest.fixture
def records() -> list[GrowthRecord]:
    """Every model along every axis; a model's number times the size."""
    return [
        growth(
            model=f"{family}-{embedder}",
            family=family,
            embedder=embedder,
            axis=axis,
            axis_title=f"size of {axis}",
            work=work,
            sizes=sizes,
            seconds=[[number * size / 1_000] for size in sizes],
        )
        for axis, (work, sizes) in AXES.items()
        for number, (family, embedder) in enumerate(MODELS, start=1)
    ]


@pytest.fixture
def figure(records: list[GrowthRecord]) -> Figure:
    return scaling(records)


def test_there_is_one_panel_per_axis_with_a_line_per_model_and_the_proportional_one(figure: Figure) -> None:
    assert [panel.get_xlabel() for panel in figure.axes] == ["size of pairs", "size of image"]
    for panel in figure.axes:
        assert len(panel.lines) == len(MODELS) + 1
        assert (panel.get_xscale(), panel.get_yscale()) == ("log", "log")


def test_a_line_passes_through_the_medians(figure: Figure) -> None:
    first, second, *_, proportional = (np.asarray(line.get_xydata(), float) for line in figure.axes[1].lines)
    assert first.tolist() == [[32, 0.032], [64, 0.064]]
    assert second.tolist() == [[32, 0.064], [64, 0.128]]
    assert proportional.tolist() == [[32, 0.032], [64, 0.128]]  # pixels grow with the square of the size


def test_lines_differ_without_their_colors(figure: Figure) -> None:
    lines = figure.axes[0].lines[:-1]
    looks = {(str(line.get_marker()), str(line._dash_pattern)) for line in lines}  # type: ignore[attr-defined]
    assert len(looks) == len(MODELS)


def test_of_several_records_of_a_model_the_last_counts() -> None:
    again = scaling([growth(seconds=[[9.0], [9.0]]), growth(seconds=[[1.0], [2.0]])])
    (line, _) = again.axes[0].lines
    assert np.asarray(line.get_ydata()).tolist() == [1.0, 2.0]


def test_costs_under_other_conditions_have_a_figure_of_their_own(tmp_path: Path) -> None:
    written = write_figures([], tmp_path, costs=[growth(), growth(environment={}, embedder="", family="")])
    assert [path.name for path in written[::2]] == ["scaling.png", "scaling-2.png"]
