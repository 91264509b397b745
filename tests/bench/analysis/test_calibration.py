"""On simulated runs with a known truth, verdicts are wrong as seldom as promised, and detect true differences."""

from math import sqrt

import numpy as np
import pytest

from bench.analysis import calibration
from bench.analysis.calibration import (
    WORLDS,
    coverage,
    false_alarms,
    false_equalities,
    power,
    sign_flip_power,
)
from bench.analysis.quantities import LOSS
from bench.analysis.statistics import FEWEST_SEEDS, seeds_needed
from bench.analysis.verdicts import Outcome, Pairing, judge

COMPARISONS = 10
TABLES = 2_000

# Three values that differences can take are few: the far tails of t are a little off.
KNOWN_EXCESS = {"every second run never learns": 0.015}


@pytest.fixture(autouse=True)
def fewer_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "TABLES", TABLES)


def chance(share: float, tables: int = TABLES) -> float:
    """Four standard errors of a simulated share."""
    return 4 * sqrt(share * (1 - share) / tables)


@pytest.mark.parametrize("n", [5, 10, 20])
@pytest.mark.parametrize("comparisons", [1, COMPARISONS])
@pytest.mark.parametrize("world", WORLDS)
def test_equal_models_are_seldom_called_different(world: str, comparisons: int, n: int) -> None:
    assert false_alarms(WORLDS[world], n, comparisons) <= 0.05 + KNOWN_EXCESS.get(world, 0) + chance(0.05)


@pytest.mark.parametrize("spread", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("n", [5, 10, 20])
def test_models_that_differ_by_the_margin_are_seldom_called_the_same(n: int, spread: float) -> None:
    assert false_equalities(n, spread) <= 0.05 + chance(0.05)


def test_three_seeds_would_raise_false_alarms_in_tables() -> None:
    assert FEWEST_SEEDS > 3
    assert false_alarms(WORLDS["every second run never learns"], 3, COMPARISONS) > 0.2
    assert false_alarms(WORLDS["accuracy near 0.99 over 80 pairs"], 3, COMPARISONS) > 0.1


def test_verdicts_are_what_the_simulation_counts() -> None:
    rng = np.random.default_rng(1)
    alarms = 0
    tables = 100
    for _ in range(tables):
        a, b = (rng.normal(size=(3, 5)) for _ in range(2))
        verdicts = judge(Pairing("A", "B", LOSS.metric, tuple(a[i]), tuple(b[i])) for i in range(3))
        alarms += any(verdict.outcome in (Outcome.A_BETTER, Outcome.B_BETTER) for verdict in verdicts)
    assert alarms / tables <= 0.05 + chance(0.05, tables)


def test_power_grows_with_seeds_and_with_the_difference() -> None:
    by_seeds = [power(1.0, n, 0.05) for n in (5, 10, 20)]
    by_size = [power(effect, 5, 0.05) for effect in (0.5, 1.0, 2.0, 4.0)]
    assert by_seeds == sorted(by_seeds)
    assert by_size == sorted(by_size)
    assert by_size[-1] > 0.99


def test_five_seeds_detect_by_t_what_sign_flips_cannot() -> None:
    assert sign_flip_power(4.0, 5, 0.05) == 0
    assert sign_flip_power(4.0, 10, 0.05 / COMPARISONS) > 0.99
    assert power(4.0, 5, 0.05 / COMPARISONS) > 0.9


def test_the_suggested_number_of_seeds_has_the_promised_power() -> None:
    n = seeds_needed(spread=2.0, difference=1.5, alpha=0.05 / COMPARISONS)
    assert power(0.75, n, 0.05 / COMPARISONS) == pytest.approx(0.8, abs=chance(0.8) + 0.02)


def test_the_bootstrap_is_too_narrow_for_five_seeds() -> None:
    normal = WORLDS["normal"]
    margin = chance(0.95, TABLES // 5)
    assert coverage(normal, 0.0, 5, "t") > 0.95 - margin
    assert coverage(normal, 0.0, 5, "percentile") < 0.95 - margin
    assert coverage(normal, 0.0, 5, "BCa") < 0.95 - margin
