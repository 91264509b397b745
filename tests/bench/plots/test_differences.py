import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from bench.plots.differences import downsampling, strategies
from bench.records import RunRecord
from tests.bench.plots.reading import legend
from tests.bench.samples import MODEL, TWIN, record
from tests.bench.tables.samples import EMBEDDERS, embedded, made


def pairs(*differences: float) -> list[RunRecord]:
    """Runs whose losses differ by these, seed by seed."""
    return [
        record(model, seed=51 + i, best_valid_loss=loss)
        for i, difference in enumerate(differences)
        for model, loss in ((TWIN, 0.5), (MODEL, 0.5 + difference))
    ]


def loss_panel(figure: Figure | None) -> tuple[list[float], float, bool]:
    """The ends of the bar, the point, and whether it is filled."""
    assert figure is not None
    panel = figure.axes[1]
    assert panel.get_title("left") == "best valid loss\n← better"
    _, point = panel.get_lines()
    bars = panel.collections[0]
    assert isinstance(bars, LineCollection)
    ends = [float(x) for segment in bars.get_segments() for x, _ in np.asarray(segment)]
    (mean,) = np.asarray(point.get_xdata(), dtype=float)
    return ends, mean, point.get_markerfacecolor() != "white"


def test_a_point_is_the_mean_difference_and_a_bar_its_interval() -> None:
    # Mean 0.02; seeds divide the same pairs, 400 to train and 100 to validate, so the standard error is
    # 0.00894 sqrt(1 / 6 + 1 / 4) = 0.005774; t(5) is 2.571: half of the interval is 0.0148.
    bar, point, decided = loss_panel(downsampling(pairs(0.01, 0.01, 0.02, 0.02, 0.03, 0.03)))
    assert [round(end, 4) for end in bar] == [0.0052, 0.0348]
    assert round(point, 12) == 0.02
    assert decided


def test_what_is_not_decided_is_hollow() -> None:
    assert not loss_panel(downsampling(pairs(-0.01, 0.01, 0.02, 0.0, -0.02, 0.0)))[2]
    assert not loss_panel(downsampling(pairs(*[0.01] * 5)))[2]  # five agree, and are five


def test_one_seed_has_no_bar() -> None:
    bar, point, decided = loss_panel(downsampling(pairs(0.01)))
    assert bar == []
    assert round(point, 12) == 0.01
    assert not decided


def test_intervals_do_not_press_the_points_together() -> None:
    figure = made(downsampling(pairs(-1.0, 1.1)))  # mean 0.05, half the interval above 13
    low, high = figure.axes[1].get_xlim()
    assert -0.3 < low < 0 < 0.05 < high < 0.3


def row_labels(figure: Figure | None) -> list[str]:
    assert figure is not None
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def points(figure: Figure, panel: int = 0) -> list[float]:
    """The points of a panel from top to bottom."""
    lines = [line for line in figure.axes[panel].get_lines() if line.get_marker() != "None"]
    placed = sorted((y, x) for line in lines for x, y in np.asarray(line.get_xydata()).round(12).tolist())
    return [x for _, x in placed]


def test_a_row_is_a_strategy_in_the_order_of_records() -> None:
    figure = downsampling([record("wide-rgb-maxpool"), record("wide-rgb-strided"), *pairs(0.1)])
    assert row_labels(figure) == ["wide-rgb", "compact-late-concat"]
    assert figure is not None
    assert figure.axes[0].yaxis_inverted()


def test_nine_embedders_have_a_point_each_in_the_row_of_their_strategy() -> None:
    seeds = [
        embedded(name, strategy, seed=seed, valid_accuracy=base - 0.01 * place)
        for seed in (51, 52)
        for strategy, base in (("a", 0.5), ("b", 0.9))
        for place, name in enumerate(EMBEDDERS)
    ]
    figure = made(downsampling(seeds))
    assert row_labels(figure) == ["a", "b"]
    assert points(figure) == [-0.01 * place for _ in "ab" for place in range(1, len(EMBEDDERS))]
    assert figure.legends[0].get_title().get_text() == "standard: difference to maxpool"
    assert legend(figure)[: len(EMBEDDERS) - 1] == list(EMBEDDERS[1:])


def test_there_is_one_panel_per_metric() -> None:
    scored = [record(TWIN, valid_metrics={"brier": 0.25}), record(MODEL, valid_metrics={"brier": 0.125})]
    figure = made(downsampling([*scored, record("wide-rgb-maxpool"), record("wide-rgb-strided")]))
    titles = [panel.get_title("left").splitlines()[0] for panel in figure.axes]
    assert titles == ["valid accuracy", "best valid loss", "valid brier", "epoch time (s)"]
    assert np.array_equal(points(figure, 2), [-0.125, np.nan], equal_nan=True)  # wide-rgb was not scored


def test_a_long_name_leaves_room_for_the_panels() -> None:
    figure = made(downsampling([embedded(name, "n" * 200) for name in EMBEDDERS[:2]]))
    assert all(panel.get_position().width > 0.1 for panel in figure.axes)
    assert "…" in row_labels(figure)[0]


def test_without_a_pair_there_is_no_figure() -> None:
    assert downsampling([record(MODEL)]) is None


def test_strategies_are_drawn_against_concatenation_with_the_same_embedder() -> None:
    records = [
        embedded(embedder, f"wide-{stage}-{operator}", stage=stage, operator=operator, family="wide", seed=seed,
                 valid_accuracy=base + gain + seed / 1e4)
        for embedder, base in (("maxpool", 0.5), ("strided", 0.7))
        for stage, operator, gain in (
            ("intermediate", "concat", 0.0), ("intermediate", "add", -0.1), ("late", "mean", 0.05)
        )
        for seed in (51, 52)
    ]  # fmt: skip
    figure = made(strategies(records))
    assert row_labels(figure) == ["wide-late-mean", "wide-intermediate-add"]  # the best first
    assert points(figure) == [0.05, 0.05, -0.1, -0.1]


def test_times_that_other_processes_disturbed_have_no_panel() -> None:
    def titles(other_load: float) -> list[str]:
        figure = made(downsampling([record(model, other_load=other_load) for model in (TWIN, MODEL)]))
        return [panel.get_title("left").splitlines()[0] for panel in figure.axes]

    assert titles(0.0) == ["valid accuracy", "best valid loss", "epoch time (s)"]
    assert titles(1.0) == ["valid accuracy", "best valid loss"]


def test_times_that_other_processes_disturbed_are_in_no_difference() -> None:
    """The first of two seeds was disturbed with one of both models: the second one's difference is drawn."""
    records = [
        record(model, seed=seed, epoch_seconds=[seconds], other_load=load)
        for seed, loads in ((51, (0.0, 1.0)), (52, (0.0, 0.0)))
        for model, seconds, load in zip((TWIN, MODEL), (1.0, 7.0 if seed == 51 else 1.5), loads, strict=True)
    ]
    panel = made(downsampling(records)).axes[-1]
    assert panel.get_title("left").startswith("epoch time (s)")
    points_of = [np.asarray(line.get_xdata()) for line in panel.get_lines() if line.get_linestyle() == "None"]
    assert np.abs(np.concatenate(points_of)).tolist() == [0.5]


def test_strategies_without_a_concatenation_are_not_drawn() -> None:
    assert strategies(pairs(0.1, 0.2)) is None
