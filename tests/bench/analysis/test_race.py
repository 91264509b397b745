import pytest

from bench.analysis.race import loss_differences, mean_ratio, ratio, ratios
from tests.bench.costs.samples import race


def test_a_ratio_is_of_neighboring_epochs() -> None:
    assert ratios(race()) == [2.0, 2.0, 3.0]
    assert ratio(race()) == 2.0


def test_the_mean_over_models_is_geometric() -> None:
    assert mean_ratio([race(), race(engine_seconds=[0.5, 0.25, 0.75])]) == pytest.approx(4.0)  # 2 and 8


def test_loss_differences_are_relative_to_the_reference() -> None:
    assert loss_differences(race()) == pytest.approx([0, 0, 0, 0.01])
    assert loss_differences(race(reference_losses=[-4.0], engine_losses=[-3.0])) == [0.25]
