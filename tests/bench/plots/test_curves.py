from math import log

import numpy as np
import pytest
from matplotlib.collections import PolyCollection

from bench.plots.curves import curves
from tests.bench.samples import MODEL, TWIN, record

# Three seeds: the medians are 0.5, 0.3, 0.2; the ranges 0.4 to 0.6, 0.2 to 0.9, 0.1 to 0.3.
LOSSES = [[0.4, 0.9, 0.3], [0.5, 0.2, 0.2], [0.6, 0.3, 0.1]]


def test_a_line_is_the_median_of_seeds_and_a_band_their_range() -> None:
    figure = curves([record(seed=i, valid_losses=losses) for i, losses in enumerate(LOSSES)])
    assert figure is not None
    (panel,) = figure.axes
    guessing, line = panel.get_lines()
    assert np.asarray(line.get_xydata()).tolist() == [[1, 0.5], [2, 0.3], [3, 0.2]]
    assert set(np.asarray(guessing.get_ydata()).tolist()) == {log(2)}
    (band,) = (shape for shape in panel.collections if isinstance(shape, PolyCollection))
    corners = {tuple(corner) for corner in np.asarray(band.get_paths()[0].vertices).round(12)}
    assert corners == {(1, 0.4), (2, 0.2), (3, 0.1), (1, 0.6), (2, 0.9), (3, 0.3)}


def test_one_seed_has_no_band() -> None:
    figure = curves([record()])
    assert figure is not None
    assert not figure.axes[0].collections


def test_a_panel_is_a_strategy_with_a_line_style_for_each_embedder() -> None:
    figure = curves([record(TWIN), record(MODEL), record("wide-rgb-strided"), record("wide-lidar-strided")])
    assert figure is not None
    assert [panel.get_title(loc="left") for panel in figure.axes] == [
        "compact-late-concat",
        "wide-rgb",
        "wide-lidar",
    ]
    both, alone, _ = figure.axes
    assert [line.get_linestyle() for line in both.get_lines()[1:]] == ["-", "--"]
    assert [line.get_linestyle() for line in alone.get_lines()[1:]] == ["--"]
    assert all(panel.get_yscale() == "log" for panel in figure.axes)


@pytest.mark.parametrize("losses", [[0.7, 0.69, 0.68], [0.7, 0.3, 0.1], [0.7, 0.01, 1e-6], [0.7, 0.1, 0.0]])
def test_the_scale_has_figures_whatever_its_range(losses: list[float]) -> None:
    figure = curves([record(valid_losses=losses)])
    assert figure is not None
    figure.draw_without_rendering()
    low, high = figure.axes[0].get_ylim()
    inside = [tick for tick in figure.axes[0].get_yticks() if low <= tick <= high]
    assert 2 <= len(inside) <= 12


def test_panels_above_a_gap_number_their_epochs() -> None:
    models = ["wide-rgb", "wide-lidar", "wide-early-concat", "wide-late-concat", "experts-rgb"]
    figure = curves([record(f"{model}-strided") for model in models])
    assert figure is not None
    figure.draw_without_rendering()
    labeled = [panel.xaxis.get_tick_params()["labelbottom"] for panel in figure.axes]
    assert labeled == [False, True, True, True, True]
