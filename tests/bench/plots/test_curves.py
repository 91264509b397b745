from math import log

import numpy as np
import pytest
from matplotlib.collections import PolyCollection

from bench.plots.curves import curves
from tests.bench.plots.reading import legend
from tests.bench.samples import MODEL, TWIN, record
from tests.bench.tables.samples import EMBEDDERS, embedded, foreign, made

# Three seeds: the medians are 0.5, 0.3, 0.2; the ranges 0.4 to 0.6, 0.2 to 0.9, 0.1 to 0.3.
LOSSES = [[0.4, 0.9, 0.3], [0.5, 0.2, 0.2], [0.6, 0.3, 0.1]]


def test_a_line_is_the_median_of_seeds_and_a_band_their_range() -> None:
    figure = made(curves([record(seed=i, valid_losses=losses) for i, losses in enumerate(LOSSES)]))
    (panel,) = figure.axes
    chance, line = panel.get_lines()
    assert np.asarray(line.get_xydata()).tolist() == [[1, 0.5], [2, 0.3], [3, 0.2]]
    assert set(np.asarray(chance.get_ydata()).tolist()) == {log(2)}
    (band,) = (shape for shape in panel.collections if isinstance(shape, PolyCollection))
    (outline,) = band.get_paths()
    corners = {tuple(corner) for corner in np.asarray(outline.vertices).round(12)}
    assert corners == {(1, 0.4), (2, 0.2), (3, 0.1), (1, 0.6), (2, 0.9), (3, 0.3)}


@pytest.mark.parametrize(("counts", "loss"), [([90, 10], 0.3250830), ([50, 50], log(2)), ([100, 0], None)])
def test_chance_level_is_the_entropy_of_the_validated_classes(counts: list[int], loss: float | None) -> None:
    uneven = {"train": [10, 10], "valid": counts, "test": [1, 2]}  # -0.9 ln 0.9 - 0.1 ln 0.1 = 0.325083
    figure = made(curves([record(seed=seed, class_counts=uneven) for seed in (1, 2, 3)]))
    chance = [np.asarray(line.get_ydata()) for line in figure.axes[0].get_lines() if line.get_linestyle() == ":"]
    assert [line.tolist() for line in chance] == ([] if loss is None else [pytest.approx([loss] * 2)])


def test_epochs_are_whole_numbers_even_if_there_is_one() -> None:
    figure = made(curves([record(valid_losses=[0.5])]))
    figure.draw_without_rendering()
    assert [tick for tick in figure.axes[0].get_xticks() if tick % 1] == []


def test_one_seed_has_no_band() -> None:
    figure = made(curves([record()]))
    assert not any(len(band.get_paths()) for band in figure.axes[0].collections)


def test_a_panel_is_a_strategy_with_a_line_style_for_each_embedder() -> None:
    figure = made(curves([record(TWIN), record(MODEL), record("wide-rgb-strided"), record("wide-lidar-strided")]))
    assert [panel.get_title(loc="left") for panel in figure.axes] == [
        "compact-late-concat",
        "wide-rgb",
        "wide-lidar",
    ]
    both, alone, _ = figure.axes
    solid, dashed = both.get_lines()[1:]
    assert (solid.get_linestyle(), dashed.get_linestyle()) == ("-", "--")
    assert [line.get_color() for line in alone.get_lines()[1:]] == [dashed.get_color()]
    assert all(panel.get_yscale() == "log" for panel in figure.axes)


def test_nine_embedders_differ_in_color_line_and_marker() -> None:
    figure = made(curves([embedded(embedder) for embedder in EMBEDDERS]))
    lines = figure.axes[0].get_lines()[1:]
    patterns = {str(line._dash_pattern) for line in lines}  # type: ignore[attr-defined]
    assert len(patterns) == len({line.get_color() for line in lines}) == 9
    assert len({line.get_marker() for line in lines}) == 9
    assert legend(figure) == [*EMBEDDERS, "chance level"]


def test_models_without_embedders_need_no_legend_for_them() -> None:
    figure = made(curves([foreign("mine", embedder="", valid_losses=[0.5, None, 0.25])]))
    assert legend(figure) == ["chance level"]
    mixed = made(curves([foreign("mine", embedder=""), record()]))
    assert legend(mixed)[:2] == ["without embedder", "strided"]


@pytest.mark.parametrize(
    "losses", [[0.7, 0.69, 0.68], [0.7, 0.3, 0.1], [0.7, 0.01, 1e-6], [0.7, 0.1, 0.0], [0.7, None]]
)
def test_the_scale_has_numbers_whatever_its_range(losses: list[float | None]) -> None:
    figure = made(curves([record(valid_losses=losses)]))
    figure.draw_without_rendering()
    low, high = figure.axes[0].get_ylim()
    inside = [tick for tick in figure.axes[0].get_yticks() if low <= tick <= high]
    assert 2 <= len(inside) <= 12


def test_panels_above_a_gap_number_their_epochs() -> None:
    models = ["wide-rgb", "wide-lidar", "wide-early-concat", "wide-late-concat", "experts-rgb"]
    figure = made(curves([record(f"{model}-strided") for model in models]))
    figure.draw_without_rendering()
    labeled = [panel.xaxis.get_tick_params()["labelbottom"] for panel in figure.axes]
    assert labeled == [False, True, True, True, True]
