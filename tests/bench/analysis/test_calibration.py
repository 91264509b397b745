"""On simulated runs with a known truth, verdicts are wrong as seldom as promised, and detect true differences."""

from math import sqrt

import numpy as np
import pytest

from bench.analysis import calibration
from bench.analysis.calibration import (
    RATIO,
    WORLDS,
    alike,
    coverage,
    divided,
    false_alarms,
    fixed_seeds,
    power,
    repeated_testing,
    sign_flip_power,
    stops,
)
from bench.analysis.pairing import Pairing
from bench.analysis.quantities import LOSS
from bench.analysis.verdicts import Outcome, judge

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


def test_three_seeds_would_raise_false_alarms_in_tables() -> None:
    assert false_alarms(WORLDS["every second run never learns"], 3, COMPARISONS) > 0.2
    assert false_alarms(WORLDS["accuracy near 0.99 over 80 pairs"], 3, COMPARISONS) > 0.1


def test_verdicts_are_what_the_simulation_counts() -> None:
    rng = np.random.default_rng(1)
    alarms = 0
    tables = 100
    for _ in range(tables):
        a, b = (rng.normal(size=(3, 8)) for _ in range(2))
        verdicts = judge(Pairing("A", "B", LOSS.metric, tuple(a[i]), tuple(b[i])) for i in range(3))
        alarms += any(verdict.outcome not in (Outcome.EQUIVALENT, Outcome.UNDECIDED) for verdict in verdicts)
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


def test_the_bootstrap_is_too_narrow_for_five_seeds() -> None:
    normal = WORLDS["normal"]
    margin = chance(0.95, TABLES // 5)
    assert coverage(normal, 0.0, 5, "t") > 0.95 - margin
    assert coverage(normal, 0.0, 5, "percentile") < 0.95 - margin
    assert coverage(normal, 0.0, 5, "BCa") < 0.95 - margin


LOOKS = (6, 8, 10)  # few, so that few sign patterns are tried


@pytest.fixture
def few_sequences(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(calibration, "SEQUENCES", 300)
    monkeypatch.setattr(calibration, "LOOKS", LOOKS)
    return 300


def test_looks_keep_their_promise_where_tests_at_every_look_do_not(few_sequences: int) -> None:
    differences = alike(WORLDS["every second run never learns"])
    assert stops(differences).different.mean() <= 0.05 + chance(0.05, few_sequences)
    same = divided(LOOKS[-1])
    assert stops(same, ratio=RATIO).different.mean() <= 0.05 + chance(0.05, few_sequences)
    assert stops(same).different.mean() > 0.15  # without the correction
    assert repeated_testing(same) > 0.2


def test_seeds_that_divide_the_same_pairs_are_as_alike_as_they_should_be(few_sequences: int) -> None:
    means = divided(1_000).mean(axis=1)
    assert means.var() == pytest.approx(RATIO / (1 + RATIO), abs=4 * (2 / few_sequences) ** 0.5 * 0.2)


def test_clear_differences_stop_early_and_so_do_models_that_are_alike(few_sequences: int) -> None:
    noise = alike(WORLDS["normal"]) / sqrt(2)
    clear = stops(noise + 3)
    assert clear.different_by(8) > 0.95
    assert clear.seeds.mean() < 9
    same = stops(noise, margin=3.0)
    assert same.equivalent.mean() > 0.9
    assert same.seeds.mean() < 9
    assert stops(noise + 3, margin=3.0).equivalent.mean() <= 0.05 + chance(0.05, few_sequences)


def test_the_seeds_of_a_single_look_are_found_by_their_power(few_sequences: int) -> None:
    differences = np.random.default_rng(0).normal(1.0, 1.0, size=(few_sequences, 12))
    n = fixed_seeds(differences, 0.7)
    assert 8 < n < 11  # a paired t test of nine seeds has a power of 0.75
    assert fixed_seeds(differences, 0.6) < n
    assert np.isnan(fixed_seeds(differences[:, :7], 0.9))
