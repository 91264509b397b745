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
        ("best_valid_loss", 0.648, "0.6480", "+0.648"),
        ("best_valid_loss", 1.2e-7, "1.200e-07", "+1.20e-07"),
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
        ("best_valid_loss", Interval(0.25, nan, nan, 1), "0.2500", "+0.250"),
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


def one(value: float) -> Interval:
    return Interval(value, nan, nan, 1)


def around(value: float, half: float) -> Interval:
    return Interval(value, value - half, value + half, 6)


@pytest.mark.parametrize(
    ("intervals", "texts"),
    [
        # Without a spread: four significant digits of the largest.
        ([one(0.648), one(0.6895)], ["0.6480", "0.6895"]),
        ([one(0.0625), one(0.6895)], ["0.0625", "0.6895"]),
        ([one(12.5), one(0.5)], ["12.50", "0.50"]),
        ([one(0.0), one(0.5)], ["0.0000", "0.5000"]),
        # A hundredfold apart: each has its own.
        ([one(0.0012), one(0.6895)], ["0.001200", "0.6895"]),
        # With one: two significant digits of it, if these are alike.
        ([around(0.648, 0.012), around(0.6895, 0.0087)], ["0.6480 ± 0.0120", "0.6895 ± 0.0087"]),
        ([around(0.648, 0.012), one(0.5), Interval(nan, nan, nan, 0)], ["0.648 ± 0.012", "0.500", "-"]),
        ([around(0.648, 0.00012), around(0.6895, 0.087)], ["0.64800 ± 0.00012", "0.690 ± 0.087"]),
        ([], []),
    ],
)
def test_the_values_of_a_column_have_the_same_decimals(intervals: list[Interval], texts: list[str]) -> None:
    loss = METRICS["best_valid_loss"]
    decimals = formats.common_decimals(loss, intervals)
    assert [formats.mean(loss, interval, decimals) for interval in intervals] == texts


def test_the_decimals_of_a_metric_that_declares_them_are_its_own() -> None:
    assert formats.common_decimals(METRICS["valid_accuracy"], [one(0.5), one(1e-6)]) == 3


@pytest.mark.parametrize(
    ("seconds", "texts"),
    [
        ([2.0, 0.3], ["2.00", "0.30"]),
        ([0.0022, 0.0026], ["0.0022", "0.0026"]),
        ([0.0022, 0.04], ["0.002", "0.040"]),
        ([8000.0, 0.001], ["8,000.00", "0.00"]),
        ([0.0, 0.0], ["0.00", "0.00"]),
    ],
)
def test_times_that_are_short_keep_two_digits(seconds: list[float], texts: list[str]) -> None:
    """As those of a GPU: with two decimals every epoch of a small model would take 0.00 s."""
    metric = METRICS["epoch_seconds"]
    decimals = formats.common_decimals(metric, map(one, seconds))
    assert [formats.text(metric, value, decimals) for value in seconds] == texts
    assert formats.mean(metric, around(0.0022, 0.0004)) == "0.0022 ± 0.0004"


@pytest.mark.parametrize(
    ("value", "text"), [(1234.0, "1234"), (0.0, "0.000"), (99995.0, "1.000e+05"), (5.0, "5.000")]
)
def test_significant_digits_end_without_a_point(value: float, text: str) -> None:
    assert formats.significant(value, 4) == text


@pytest.mark.parametrize(
    ("a", "b", "text"),
    [
        ("field-late-mean-maxpool", "field-late-mean-strided", "maxpool - strided (field-late-mean)"),
        ("field-intermediate-add-spd", "field-intermediate-concat-spd", "add - concat (field-intermediate, spd)"),
        ("field-intermediate-add-spd", "field-rgb-spd", "intermediate-add - rgb (field, spd)"),
        ("mine", "yours", "mine - yours"),
        ("net", "net-net", "net - net-net"),
        ("a-a", "a-a-a", "a - a-a (a)"),
        ("a-x over b-x", "c-x over d-x", "a-x over b-x - c-x over d-x"),
    ],
)
def test_what_names_share_is_shown_once(a: str, b: str, text: str) -> None:
    assert formats.beside(a, b, "-") == text


def test_a_noun_agrees_with_its_number() -> None:
    assert [formats.counted(count, "run") for count in (0, 1, 2, None)] == [
        "0 runs",
        "1 run",
        "2 runs",
        "unknown runs",
    ]


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        ([], ""),
        ([51], "51"),
        ([52, 51], "51, 52"),
        ([51, 52, 53], "51 to 53"),
        ([53, 7, 52, 52, 51, 60, 61], "7, 51 to 53, 60, 61"),
    ],
)
def test_seeds_in_a_row_are_named_by_their_ends(seeds: list[int], words: str) -> None:
    assert formats.enumerated(seeds) == words
