import numpy as np
from matplotlib.figure import Figure

from bench.plots.downsampling import downsampling
from bench.records.run import RunRecord
from tests.bench.samples import MODEL, TWIN, record


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
    assert panel.get_title() == "best valid loss\n← strided better"
    _, bar, point = panel.get_lines()
    (low, high), (mean,) = (np.asarray(line.get_xdata(), dtype=float) for line in (bar, point))
    return [low, high], mean, point.get_markerfacecolor() == "black"


def test_a_point_is_the_mean_difference_and_a_bar_its_interval() -> None:
    # Mean 0.02, standard deviation 0.01, so a standard error of 0.004472; t(4) is 2.776: half of it is 0.0124.
    bar, point, decided = loss_panel(downsampling(pairs(0.01, 0.01, 0.02, 0.03, 0.03)))
    assert [round(end, 4) for end in bar] == [0.0076, 0.0324]
    assert round(point, 12) == 0.02
    assert decided


def test_what_five_seeds_do_not_decide_is_hollow() -> None:
    assert not loss_panel(downsampling(pairs(-0.01, 0.01, 0.02, 0.0, -0.02)))[2]
    assert not loss_panel(downsampling(pairs(0.01, 0.01, 0.01, 0.01)))[2]  # four agree, and are four


def test_one_seed_has_no_bar() -> None:
    figure = downsampling(pairs(0.01))
    bar, point, decided = loss_panel(figure)
    assert np.isnan(bar).all()
    assert round(point, 12) == 0.01
    assert not decided


def test_intervals_do_not_press_the_points_together() -> None:
    figure = downsampling(pairs(-1.0, 1.1))  # mean 0.05, half the interval above 13
    assert figure is not None
    low, high = figure.axes[1].get_xlim()
    assert -0.3 < low < 0 < 0.05 < high < 0.3


def test_a_row_is_a_strategy_in_the_order_it_was_run() -> None:
    figure = downsampling([record("wide-rgb-maxpool"), record("wide-rgb-strided"), *pairs(0.1)])
    assert figure is not None
    panel = figure.axes[0]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["wide-rgb", "compact-late-concat"]
    assert panel.yaxis_inverted()


def test_without_a_pair_there_is_no_figure() -> None:
    assert downsampling([record(MODEL)]) is None
