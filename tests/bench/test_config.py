from dataclasses import replace
from typing import Any

import pytest

from bench.config import FULL, PROFILES, SMOKE, STANDARD, Profile

LIMITS = Profile("tiny", simulated_pairs=10, pairs=30, epochs=2, rounds=1, batch=8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pairs": 0}, "at least 1"),
        ({"epochs": 0}, "at least 1"),
        ({"batch_size": 0}, "at least 1"),
        ({"valid_fraction": 0.0}, "between 0 and 1"),
        ({"valid_fraction": 1.0}, "between 0 and 1"),
        ({"learning_rate": 1e-7}, "positive and fall"),
        ({"final_learning_rate": -1e-6}, "positive and fall"),
    ],
)
def test_a_protocol_that_makes_no_sense_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(STANDARD, **change)


@pytest.mark.parametrize(("simulated", "pairs"), [(True, 10), (False, 30)])
def test_a_profile_limits_pairs_and_epochs(simulated: bool, pairs: int) -> None:
    assert LIMITS.shorten(STANDARD, simulated=simulated) == replace(STANDARD, pairs=pairs, epochs=2)


def test_a_profile_makes_nothing_longer() -> None:
    short = replace(STANDARD, pairs=5, epochs=1)
    assert LIMITS.shorten(short, simulated=True) == short


def test_the_full_profile_changes_nothing() -> None:
    assert FULL.shorten(STANDARD, simulated=True) == STANDARD
    assert FULL.shorten(STANDARD, simulated=False) == STANDARD


def test_each_profile_is_larger_than_the_one_before() -> None:
    sizes = [(profile.simulated_pairs, profile.pairs, profile.epochs) for profile in PROFILES.values()]
    assert sizes == sorted(sizes)
    assert [profile.name for profile in PROFILES.values()] == list(PROFILES)


def test_smoke_still_trains_on_whole_batches() -> None:
    protocol = SMOKE.shorten(STANDARD, simulated=True)
    assert protocol.pairs * (1 - protocol.valid_fraction) >= protocol.batch_size
