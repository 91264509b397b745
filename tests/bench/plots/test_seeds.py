from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from msgspec.structs import replace

from bench.analysis.published import read_published
from bench.plots.seeds import seeds
from bench.records import FAILED, RunRecord
from tests.bench.plots.reading import legend
from tests.bench.samples import MODEL, TWIN, record, with_test_figures
from tests.bench.tables.samples import made


def runs(model: str, losses: Sequence[float], **changes: Any) -> list[RunRecord]:
    """A run for each loss on validation pairs."""
    return [record(model, seed=51 + i, best_valid_loss=loss, **changes) for i, loss in enumerate(losses)]


def marked(panel: Axes, marker: str) -> list[tuple[list[float], float]]:
    """The horizontal places of the markers of a kind, and their mean height, line by line."""
    lines = [line for line in panel.get_lines() if line.get_marker() == marker]
    return [
        (
            np.asarray(line.get_xdata(), dtype=float).ravel().tolist(),
            round(float(np.mean(np.asarray(line.get_ydata(), dtype=float))), 6),
        )
        for line in lines
    ]


FIVE = [0.1, 0.3, 0.2, 0.2, 0.9]


def test_every_seed_is_a_point_in_the_row_of_its_strategy_and_their_median_a_bar() -> None:
    figure = made(seeds([*runs(TWIN, FIVE), *runs(MODEL, [2 * loss for loss in FIVE])]))
    accuracy, loss = figure.axes
    assert (accuracy.get_title("left"), loss.get_title("left")) == ("valid accuracy", "best valid loss")
    (twin, of_twin), (model, of_model) = [*marked(loss, "o"), *marked(loss, "s")]
    assert (twin, model) == (FIVE, [0.2, 0.6, 0.4, 0.4, 1.8])
    assert marked(loss, "|") == [([0.2], of_twin), ([0.4], of_model)]
    assert of_twin < of_model  # downwards
    assert legend(figure) == ["maxpool", "strided", "median"]
    assert [label.get_text() for label in accuracy.get_yticklabels()] == ["compact-late-concat"]


def test_seeds_of_equal_values_are_seen_one_by_one() -> None:
    figure = made(seeds(runs(TWIN, [0.2] * 5)))
    (line,) = [line for line in figure.axes[1].get_lines() if line.get_marker() == "o"]
    assert len(set(np.asarray(line.get_ydata(), dtype=float).tolist())) == 5


@pytest.mark.parametrize(("losses", "scale"), [([0.0, 0.1, 0.5], "log"), ([0.0, 0.0], "linear")])
def test_losses_of_0_are_noted(losses: list[float], scale: str) -> None:
    figure = made(seeds(runs(TWIN, losses)))
    assert figure.axes[1].get_xscale() == scale
    assert f"losses of 0, which are not shown: {losses.count(0.0)}" in figure.get_supxlabel()


def test_results_are_on_test_pairs_where_there_are_any() -> None:
    figure = made(seeds([with_test_figures(run, loss=0.7) for run in runs(MODEL, [0.2, 0.4])]))
    assert [panel.get_title("left") for panel in figure.axes] == ["test accuracy", "test loss"]
    assert [places for places, _ in marked(figure.axes[1], "s")] == [[0.7, 0.7]]


@pytest.mark.parametrize(
    ("study", "title", "field"),
    [
        ("fusion-compact", "validation accuracy", "valid_accuracy"),
        ("downsampling-deep", "accuracy over all pairs", "train_and_valid_accuracy"),
    ],
)
def test_published_runs_are_stars_among_results_on_the_same_pairs(study: str, title: str, field: str) -> None:
    published = read_published(study)["rows"][0]
    other = "wide-rgb-maxpool"  # nothing is published for it
    records = [*runs(published["model"], FIVE, study=study), *runs(other, FIVE, study=study)]
    figure = made(seeds([replace(with_test_figures(run), train_accuracy=1.0) for run in records]))
    accuracy, loss = figure.axes
    assert (accuracy.get_title("left"), loss.get_title("left")) == (title, "best validation loss")
    of_first, _ = [height for _, height in marked(loss, "o")]
    assert marked(accuracy, "*") == [([published[field]], of_first)]
    assert marked(loss, "*") == [([published["best_valid_loss"]], of_first)]
    values = {round(value, 9) for places, _ in marked(accuracy, "o") for value in places}
    assert values == {0.9 if field == "valid_accuracy" else 0.98}  # 400 of 500 pairs train
    assert legend(figure)[-1] == "published, one run"
    assert "published: on the original pairs, not on these" in figure.get_supxlabel()
    assert "NOT the published protocol" in figure.get_supxlabel()  # the records are of profile quick


@pytest.mark.parametrize(
    ("model", "changes"), [("wide-rgb-maxpool", {}), ("compact-late-concat-maxpool", {"classes": 10})]
)
def test_without_a_published_run_to_compare_nothing_tells_of_one(model: str, changes: dict[str, Any]) -> None:
    figure = made(seeds(runs(model, FIVE, study="fusion-compact", **changes)))
    assert legend(figure)[-1] == "median"
    assert "published" not in figure.get_supxlabel()


def test_a_model_without_a_loss_has_an_empty_row() -> None:
    missing = [replace(run, best_valid_loss=None) for run in runs(MODEL, FIVE)]
    figure = made(seeds([*runs(TWIN, FIVE), *missing]))
    assert (len(marked(figure.axes[1], "o")), marked(figure.axes[1], "s")) == (1, [])


def test_one_seed_shows_nothing_that_a_table_does_not() -> None:
    assert seeds([]) is None
    assert seeds([record(MODEL), record(TWIN)]) is None
    assert seeds([record(MODEL), record(MODEL, seed=52, status=FAILED)]) is None
