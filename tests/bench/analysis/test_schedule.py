"""Cells on devices: by hand, and as properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.schedule import partition, schedule
from bench.tables.schedule import schedule_table
from tests.bench.samples import record

SECONDS = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.floats(0, 100), max_size=20)


def test_the_costliest_part_goes_first_to_the_shard_with_the_least() -> None:
    seconds = {"a": 5.0, "b": 4.0, "c": 3.0, "d": 3.0, "e": 3.0}
    # a and b open two shards; c joins b (4 < 5), d joins a (5 < 7), e joins b (7 < 8).
    assert partition(seconds, 2) == {"a": 1, "b": 2, "c": 2, "d": 1, "e": 2}


@given(SECONDS, st.integers(1, 8))
def test_every_part_is_in_one_shard_in_whatever_order_parts_come(seconds: dict[str, float], shards: int) -> None:
    placed = partition(seconds, shards)
    assert placed.keys() == seconds.keys()
    assert set(placed.values()) <= set(range(1, shards + 1))
    assert placed == partition(dict(reversed(seconds.items())), shards)


@given(SECONDS, st.integers(1, 8))
def test_no_shard_is_longer_than_the_mean_and_one_part(seconds: dict[str, float], shards: int) -> None:
    loads = dict.fromkeys(range(1, shards + 1), 0.0)
    for name, shard in partition(seconds, shards).items():
        loads[shard] += seconds[name]
    assert max(loads.values()) <= sum(seconds.values()) / shards + max(seconds.values(), default=0.0) + 1e-9


def test_on_one_device_nothing_is_idle() -> None:
    plan = schedule([3.0, 2.0, 1.0], 1)
    assert (plan.seconds, plan.idle) == (6.0, 0.0)


def test_the_study_lasts_as_long_as_its_busiest_device() -> None:
    # 4 | 3, then 2 joins 3: the first device waits for one of the 2 x 5 seconds.
    plan = schedule([2.0, 4.0, 3.0], 2)
    assert (plan.seconds, plan.idle) == pytest.approx((5.0, 0.1))


def test_more_devices_than_cells_wait() -> None:
    plan = schedule([2.0, 4.0], 8)
    assert (plan.seconds, plan.idle) == pytest.approx((4.0, 1 - 6 / 32))


def test_what_a_cell_takes_beside_its_training_counts_as_idle() -> None:
    plan = schedule([3.0, 3.0], 1, beside=1.0)
    assert (plan.seconds, plan.idle) == pytest.approx((8.0, 0.25))


def test_the_table_says_where_the_times_are_from() -> None:
    seconds = [1800.0, 5400.0]
    table = schedule_table([schedule(seconds, count) for count in (1, 2)], seconds, [record()] * 3, 5, 2)
    assert table.rows == [["1", "2.0 h", "0%", "1.0"], ["2", "1.5 h", "33%", "1.3"]]
    assert table.notes[0] == "2 cells, 2.0 h in total on one device; the longest cell takes 1.5 h"
    assert table.notes[1] == (
        "expected from 3 records of a processor with 2 threads; 2 of 5 models have no record, and are "
        "estimated from their operations"
    )


def test_without_records_only_ratios_mean_something() -> None:
    table = schedule_table([schedule([60.0], 1)], [60.0], [], 1, 1)
    assert table.notes[1] == "no record has the time of a model, so only the ratios are meaningful"
    assert table.rows == [["1", "1.0 min", "0%", "1.0"]]
