import numpy as np
import pytest

from bench.analysis.costs import (
    disagreements,
    exponent,
    lightning_ratio,
    loss_differences,
    mean_lightning_ratio,
    mean_ratio,
    medians,
    ratio,
    ratios,
)
from bench.records import RaceRecord
from tests.bench.costs.samples import growth, lightning, race


def test_the_exponent_of_a_power_is_the_power() -> None:
    slope = exponent(growth(sizes=[16, 32, 64], seconds=[[0.003 * size**1.5] * 2 for size in (16, 32, 64)]))
    assert (slope.mean, slope.low, slope.high) == pytest.approx((1.5, 1.5, 1.5))
    assert slope.n == 6


def test_the_interval_is_the_one_of_a_line_through_noise() -> None:
    # Decimal logarithms are 0 and 0.2 at size 1, 1 and 1.2 at size 10: slope 1, residuals of 0.1, whose squares
    # over two degrees of freedom are 0.02; t is 4.3027 there, and the sizes' squared distances sum to 1.
    slope = exponent(growth(sizes=[1, 10], seconds=[[1.0, 10**0.2], [10.0, 10**1.2]]))
    reach = 4.3027 * 0.02**0.5
    assert (slope.mean, slope.low, slope.high) == pytest.approx((1, 1 - reach, 1 + reach), abs=1e-4)


def test_two_epochs_give_an_exponent_without_an_interval() -> None:
    slope = exponent(growth(sizes=[16, 32], seconds=[[1.0], [2.0]]))
    assert slope.mean == pytest.approx(1.0)
    assert np.isnan([slope.low, slope.high]).all()


def test_medians_are_of_the_epochs_of_each_size() -> None:
    assert medians(growth(seconds=[[1.0, 9.0, 2.0], [3.0, 5.0, 4.0]])) == [2.0, 4.0]


def test_a_ratio_is_of_neighboring_epochs() -> None:
    assert ratios(race()) == [2.0, 2.0, 3.0]
    assert ratio(race()) == 2.0


def test_the_mean_over_models_is_geometric() -> None:
    assert mean_ratio([race(), race(engine_seconds=[0.5, 0.25, 0.75])]) == pytest.approx(4.0)  # 2 and 8


def test_the_ratio_to_lightning_is_of_neighboring_epochs_too() -> None:
    assert lightning_ratio(lightning()) == 2.0
    assert lightning_ratio(race()) is None
    assert mean_lightning_ratio([lightning(), race(), lightning(lightning_seconds=[16.0, 8.0, 16.0])]) == 4.0


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (race(), ""),
        (lightning(), ""),
        (race(exact_difference=2e-6), "ours is another computation than the reference"),
        (race(exact_difference=float("nan")), "ours is another computation than the reference"),
        (lightning(lightning_exact_difference=1e-3), "PyTorch Lightning's is another computation"),
        (race(engine_losses=[0.51, 0.4, 0.2, 0.1]), "the first epoch's losses differ by 0.02, more than rounding"),
        (race(engine_losses=[0.51, 0.4, 0.2, 0.1], precision="bf16"), ""),
    ],
)
def test_loops_that_do_not_compute_the_same_are_named(record: RaceRecord, said: str) -> None:
    lines = disagreements(record)
    assert len(lines) == bool(said)
    assert all(line.startswith(record.model) and said in line for line in lines)


def test_loss_differences_are_relative_to_the_reference() -> None:
    assert loss_differences(race()) == pytest.approx([0, 0, 0, 0.01])
    assert loss_differences(race(reference_losses=[-4.0], engine_losses=[-3.0])) == [0.25]
