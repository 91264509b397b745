from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from bench.plots import write_figures
from bench.plots.robustness import robustness
from bench.probes.corruptions import CORRUPTIONS
from bench.records.probe import ProbeRecord
from bench.studies import STUDIES
from tests.bench.probes.samples import probe_record

MODELS = STUDIES["robustness"].models


def curve(model: str, name: str, top: float, seed: int = 51) -> list[ProbeRecord]:
    """Falls by 0.1 a level."""
    corruption = CORRUPTIONS[name]
    return [
        probe_record(model, probe=name, level=level, level_unit=corruption.unit, value=top - place / 10, seed=seed)
        for place, level in enumerate(corruption.levels)
    ]


def drawn(found: list[ProbeRecord]) -> Figure:
    figure = robustness(found)
    assert figure is not None
    return figure


def test_a_panel_a_corruption_and_a_line_a_model() -> None:
    found = [each for name in ("range-noise", "rgb-shift") for model in MODELS for each in curve(model, name, 0.9)]
    first, second = drawn(found).axes
    assert (first.get_title("left"), first.get_xlabel()) == ("range-noise", "m")
    assert (second.get_title("left"), second.get_xlabel()) == ("rgb-shift", "px")
    assert len(first.lines) == len(second.lines) == len(MODELS)
    looks = {(line.get_color(), line.get_linestyle()) for line in first.lines}
    shapes = {(str(line.get_marker()), line.get_linestyle()) for line in first.lines}
    assert len(looks) == len(shapes) == len(MODELS)  # told apart with and without colors


def test_a_line_is_the_mean_over_seeds_in_a_band_of_all_of_them() -> None:
    found = [*curve(MODELS[0], "range-noise", 0.9), *curve(MODELS[0], "range-noise", 0.7, seed=52)]
    (panel,) = drawn(found).axes
    (line,) = panel.lines
    assert np.asarray(line.get_xdata()).tolist() == list(CORRUPTIONS["range-noise"].levels)
    assert np.asarray(line.get_ydata()).tolist() == pytest.approx([0.8, 0.7, 0.6, 0.5])
    heights = np.asarray(panel.collections[0].get_paths()[0].vertices)[:, 1]
    assert (heights.max(), heights.min()) == pytest.approx((0.9, 0.4))
    (alone,) = drawn(found[:4]).axes
    assert not alone.collections


def test_the_legend_names_the_models_and_the_caption_says_what_holds() -> None:
    figure = drawn([each for model in MODELS for each in curve(model, "range-noise", 0.9)])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(MODELS)
    assert "one seed: no bands\ndata: shapes-hard, up to 500 validation pairs" in figure.get_supxlabel()


def test_nothing_is_drawn_of_curves_that_are_not_complete() -> None:
    assert robustness([]) is None
    assert robustness(curve(MODELS[0], "range-noise", 0.9)[:3]) is None


def test_the_figure_is_written_beside_the_others(tmp_path: Path) -> None:
    written = write_figures([], tmp_path, curve(MODELS[0], "range-noise", 0.9))
    assert [path.name for path in written] == ["robustness-robustness.png", "robustness-robustness.svg"]
