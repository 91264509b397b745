from math import nan

import pytest

from bench.analysis import formats
from bench.analysis.statistics import Interval
from bench.metrics import declarations

METRICS = declarations()


@pytest.mark.parametrize(
    ("name", "value", "text", "signed"),
    [
        ("best_valid_loss", 0.123456, "0.1235", "+0.123"),
        ("best_valid_loss", 1.2e-7, "1.2e-07", "+1.2e-07"),
        ("valid_accuracy", 0.98765, "0.988", "+0.988"),
        ("parameters", 1_415_051, "1,415,051", "+1,415,051"),
        ("flops_per_step", 21_234_000_000, "21.23", "+21.23"),
        ("efficiency", 0.314, "31", "+31"),
        ("peak_memory_bytes", 41_600_000, "42", "+42"),
    ],
)
def test_a_value_is_rounded_and_converted_to_the_unit_of_its_title(
    name: str, value: float, text: str, signed: str
) -> None:
    assert formats.text(METRICS[name], value) == text
    assert formats.signed(METRICS[name], value) == signed


@pytest.mark.parametrize(
    ("name", "interval", "mean", "difference"),
    [
        ("valid_accuracy", Interval(0.85, 0.8, 0.9, 5), "0.850 ± 0.050", "+0.850 ± 0.050"),
        ("valid_accuracy", Interval(-0.02, -0.03, -0.01, 5), "-0.020 ± 0.010", "-0.020 ± 0.010"),
        ("peak_memory_bytes", Interval(41.6e6, 39.6e6, 43.6e6, 5), "42 ± 2", "+42 ± 2"),
        # As many decimals as two digits of the half width have.
        ("best_valid_loss", Interval(0.692543, 0.691893, 0.693193, 5), "0.69254 ± 0.00065", "+0.69254 ± 0.00065"),
        ("best_valid_loss", Interval(0.5, -12.0, 13.0, 2), "0 ± 12", "+0 ± 12"),
        # One seed, or seeds that agree to the bit: no spread is shown.
        ("best_valid_loss", Interval(0.25, nan, nan, 1), "0.25", "+0.25"),
        ("parameters", Interval(1000.0, 1000.0, 1000.0, 5), "1,000", "+1,000"),
    ],
)
def test_a_mean_is_followed_by_half_its_interval(
    name: str, interval: Interval, mean: str, difference: str
) -> None:
    assert formats.mean(METRICS[name], interval) == mean
    assert formats.difference(METRICS[name], interval) == difference


def test_without_any_value_there_is_a_dash() -> None:
    assert formats.mean(METRICS["efficiency"], Interval(nan, nan, nan, 0)) == "-"
