from itertools import combinations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes

from bench.plots.cost import cost, pareto_front
from tests.bench.plots.reading import legend
from tests.bench.samples import MODEL, TWIN, record
from tests.bench.tables.samples import EMBEDDERS, embedded, foreign, made

POINTS = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 4)), min_size=1, max_size=8)


def front(points: list[tuple[float, float]]) -> list[str]:
    models = [f"model {i}" for i in range(len(points))]
    costs, accuracies = (pd.Series(values, index=models, dtype=float) for values in zip(*points, strict=True))
    return pareto_front(costs, accuracies)


def test_the_front_by_hand() -> None:
    # Cheap and bad, dear and good, between them one that is beaten, and one dearer but no better than the best.
    assert front([(1, 0.5), (5, 0.9), (4, 0.4), (6, 0.9), (2, 0.7)]) == ["model 0", "model 4", "model 1"]


def test_of_equal_models_both_are_on_the_front() -> None:
    assert front([(1, 0.5), (1, 0.5)]) == ["model 0", "model 1"]


def test_a_model_of_unknown_cost_is_on_no_front() -> None:
    assert front([(float("nan"), 1.0), (1, 0.5)]) == ["model 1"]


@given(POINTS)
def test_a_model_is_on_the_front_or_beaten_by_one_that_is(points: list[tuple[float, float]]) -> None:
    def beats(a: tuple[float, float], b: tuple[float, float]) -> bool:
        return a != b and a[0] <= b[0] and a[1] >= b[1]

    on_front = [points[int(name.removeprefix("model "))] for name in front(points)]
    for point in points:
        assert (point in on_front) != any(beats(other, point) for other in on_front)


def numbers(panel: Axes) -> dict[str, tuple[float, float]]:
    return {text.get_text(): text.xy for text in panel.texts if hasattr(text, "xy")}


def test_models_on_a_front_are_numbered_and_named() -> None:
    figure = made(
        cost(
            [
                record(MODEL, valid_accuracy=0.75, parameters=1000, epoch_seconds=[1.0], peak_memory_bytes=10**6),
                record(
                    TWIN, valid_accuracy=0.5, parameters=1000, epoch_seconds=[0.5], peak_memory_bytes=2 * 10**6
                ),
            ]
        )
    )
    parameters, time, memory = figure.axes
    assert numbers(parameters) == {"1": (1000, 0.75)}
    assert numbers(time) == {"2": (0.5, 0.5), "1": (1.0, 0.75)}
    assert numbers(memory) == {"1": (1, 0.75)}  # in the unit of the axis
    caption = figure.get_supxlabel().replace("\N{NO-BREAK SPACE}", " ")
    assert f"on a front: 1 {MODEL}, 2 {TWIN}" in caption
    assert "not in these records: GFLOP per step" in caption


def test_a_bar_reaches_from_the_lowest_to_the_highest_seed() -> None:
    figure = made(cost([record(seed=i, valid_accuracy=accuracy) for i, accuracy in enumerate((0.5, 0.7, 0.9))]))
    panel = figure.axes[0]
    (bar,) = panel.collections[0].get_segments()  # type: ignore[attr-defined]
    assert bar.tolist() == [[1000, 0.5], [1000, 0.9]]
    assert np.asarray(panel.get_lines()[0].get_ydata()).tolist() == [(0.5 + 0.7 + 0.9) / 3]


def test_times_of_disturbed_runs_are_not_drawn() -> None:
    def drawn(*loads: float) -> list[float]:
        """The points of the panel of times; none without such a panel."""
        times = [1.0, 9.0]
        figure = made(
            cost([record(seed=i, epoch_seconds=[times[i]], other_load=load) for i, load in enumerate(loads)])
        )
        assert ("times: rough" in figure.get_supxlabel()) == any(loads)
        panels = [panel for panel in figure.axes if panel.get_xlabel() == "epoch time (s)"]
        return [float(x) for panel in panels for x in np.asarray(panel.get_lines()[0].get_xdata())]

    assert drawn(0.0, 0.0) == [5.0]
    assert drawn(0.0, 1.0) == [1.0]
    assert drawn(1.0, 1.0) == []


def test_a_cost_that_one_of_several_models_has_has_no_panel() -> None:
    first, others = record(), [record(TWIN, other_load=1.0), record("wide-rgb-maxpool", other_load=1.0)]
    figure = made(cost([first, *others]))
    assert [panel.get_xlabel() for panel in figure.axes] == ["parameters", "peak memory (MB)"]


def test_every_axis_has_numbers_also_around_one_value() -> None:
    figure = made(cost([record(), record(TWIN)]))
    figure.draw_without_rendering()
    for panel in figure.axes:
        low, high = panel.get_xlim()
        assert len([tick for tick in panel.get_xticks() if low <= tick <= high]) > 1


def test_families_differ_in_marker_and_embedders_in_color_and_filling() -> None:
    families = [f"family{i}" for i in range(12)]
    figure = made(cost([embedded(name, family, family=family) for name in EMBEDDERS for family in families]))
    points = [line for line in figure.axes[0].get_lines() if line.get_marker() != "None"]
    assert len({line.get_marker() for line in points}) == 12
    looks = {(line.get_color(), line.get_fillstyle(), line.get_markersize()) for line in points}
    assert len(looks) == len({look[1:] for look in looks}) == 9
    assert legend(figure) == [*families, *EMBEDDERS, "Pareto front"]


def test_a_record_without_accuracy_is_drawn_on_no_front() -> None:
    figure = made(cost([record(valid_accuracy=None)]))
    figure.draw_without_rendering()
    assert numbers(figure.axes[0]) == {}


def test_close_models_share_a_label_and_no_label_hits_another_or_the_axis() -> None:
    close = [(1000, 0.70), (1001, 0.702), (1100, 0.8), (5000, 0.81), (5200, 0.95), (90_000, 0.951)]
    shown = [
        foreign(f"model{i}", valid_accuracy=accuracy, parameters=parameters)
        for i, (parameters, accuracy) in enumerate(close)
    ]
    figure = made(cost(shown))
    panel = figure.axes[0]
    assert numbers(panel) == {
        "1,2": (1000, 0.702),
        "3": (1100, 0.8),
        "4": (5000, 0.81),
        "5": (5200, 0.95),
        "6": (90_000, 0.951),
    }
    figure.draw_without_rendering()
    labels = [text.get_window_extent() for text in panel.texts]
    assert not any(a.overlaps(b) for a, b in combinations(labels, 2))
    assert all(label.x0 > panel.get_window_extent().x0 for label in labels)


def test_no_number_of_an_axis_is_an_accuracy_that_cannot_be() -> None:
    figure = made(cost([record(valid_accuracy=1.0), record(TWIN, valid_accuracy=1.0)]))
    low, high = figure.axes[0].get_ylim()
    assert high > 1  # room for the points
    ticks = figure.axes[0].get_yticks()
    assert max(ticks) == 1
    assert min(ticks) >= low
