from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from bench.analysis.published import read_published
from bench.plots.seeds import seeds
from bench.records import FAILED, RunRecord
from tests.bench.plots.reading import legend
from tests.bench.samples import MODEL, TWIN, record, with_test_figures
from tests.bench.tables.samples import made


def runs(model: str, losses: Sequence[float], **changes: str) -> list[RunRecord]:
    """A run for each loss on validation pairs."""
    return [record(model, seed=51 + i, best_valid_loss=loss, **changes) for i, loss in enumerate(losses)]


def marked(panel: Axes, marker: str) -> list[tuple[list[float], float]]:
    """The horizontal places of the markers of a kind, and their height, line by line."""
    lines = [line for line in panel.get_lines() if line.get_marker() == marker]
    return [
        (np.asarray(line.get_xdata(), dtype=float).ravel().tolist(), float(np.ravel(line.get_ydata())[0]))
        for line in lines
    ]


def test_every_seed_is_a_point_in_the_row_of_its_strategy_and_their_mean_a_bar() -> None:
    figure = made(seeds([*runs(TWIN, [0.1, 0.3]), *runs(MODEL, [0.2, 0.4, 0.9])]))
    accuracy, loss = figure.axes
    assert (accuracy.get_title("left"), loss.get_title("left")) == ("valid accuracy", "best valid loss")
    (twin, of_twin), (model, of_model) = [*marked(loss, "o"), *marked(loss, "s")]
    assert (twin, model) == ([0.1, 0.3], [0.2, 0.4, 0.9])
    assert marked(loss, "|") == [([0.2], of_twin), ([0.5], of_model)]
    assert of_twin < of_model  # downwards
    assert legend(figure) == ["maxpool", "strided", "mean"]
    assert [label.get_text() for label in accuracy.get_yticklabels()] == ["compact-late-concat"]


def test_results_are_on_test_pairs_where_there_are_any() -> None:
    figure = made(seeds([with_test_figures(run, loss=0.7) for run in runs(MODEL, [0.2, 0.4])]))
    assert [panel.get_title("left") for panel in figure.axes] == ["test accuracy", "test loss"]
    assert [places for places, _ in marked(figure.axes[1], "s")] == [[0.7, 0.7]]


def test_published_runs_are_stars_among_validation_results() -> None:
    study, published = "fusion-compact", read_published("fusion-compact")["rows"][0]
    other = "wide-rgb-maxpool"  # nothing is published for it
    records = [*runs(published["model"], [0.1, 0.3], study=study), *runs(other, [0.2, 0.2], study=study)]
    figure = made(seeds([with_test_figures(run) for run in records]))
    assert [panel.get_title("left") for panel in figure.axes] == ["validation accuracy", "best validation loss"]
    of_first = next(height for _, height in marked(figure.axes[1], "o"))
    assert marked(figure.axes[0], "*") == [([published["valid_accuracy"]], of_first)]
    assert marked(figure.axes[1], "*") == [([published["best_valid_loss"]], of_first)]
    assert legend(figure)[-1] == "published, one run"
    assert "not on these" in figure.get_supxlabel()


def test_one_seed_shows_nothing_that_a_table_does_not() -> None:
    assert seeds([]) is None
    assert seeds([record(MODEL), record(TWIN)]) is None
    assert seeds([record(MODEL), record(MODEL, seed=52, status=FAILED)]) is None
