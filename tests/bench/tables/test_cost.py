from typing import Any

import pytest

from bench.records.run import DIVERGED, RunRecord
from bench.tables import cost_table
from tests.bench.samples import MODEL, TWIN, record

PROTOCOL = {"epochs": 3, "batch_size": 32, "drop_last": True}


def measured(model: str = MODEL, **changes: Any) -> RunRecord:
    """200 pairs are 6 batches of 32: 6 steps of 1 GFLOP in the median epoch of 2 s are 3 GFLOP/s, of 12."""
    costs = {
        "train_pairs": 200,
        "protocol": PROTOCOL,
        "flops_per_step": 10**9,
        "ceiling": {"flops_per_second": 12e9, "bytes_per_second": 1e9},
        "epoch_seconds": [1.0, 9.0, 2.0],
        "target_accuracy": 0.95,
        "seconds_to_target": 10.0,
    }
    return record(model, **{**costs, **changes})


def test_the_table_by_hand() -> None:
    table = cost_table([measured(), measured(TWIN, flops_per_step=2 * 10**9, seconds_to_target=None)])
    assert table is not None
    assert table.header == [
        "model",
        "seeds",
        "parameters",
        "GFLOP a step",
        "epoch time (s)",
        "GFLOP/s",
        "% of ceiling",
        "peak memory (MB)",
        "time to accuracy 0.95 (s)",
    ]
    assert table.rows == [
        [MODEL, "1", "1,000", "1.00", "2.00", "3.0", "25", "40", "10.0"],
        [TWIN, "1", "1,000", "2.00", "2.00", "6.0", "50", "40", "not reached"],
    ]


def test_seeds_that_did_not_reach_the_target_are_counted_and_not_averaged() -> None:
    table = cost_table([measured(seed=51), measured(seed=52, seconds_to_target=None)])
    assert table is not None
    assert table.rows[0][-1] == "10.0 (1 of 2)"


def test_what_no_record_knows_has_no_column_and_is_named() -> None:
    table = cost_table([record()])
    assert table is not None
    assert table.header == ["model", "seeds", "parameters", "epoch time (s)", "peak memory (MB)"]
    assert "not in these records: GFLOP a step, GFLOP/s, % of ceiling, time to target (s)" in table.notes
    assert not any("GFLOP a step:" in note for note in table.notes)


def test_a_record_that_does_not_know_is_told_from_one_that_did_not_reach() -> None:
    table = cost_table([measured(), record(TWIN)])
    assert table is not None
    assert table.rows[1][3:] == ["-", "2.00", "-", "-", "40", "-"]


def test_the_cheapest_is_marked_where_five_seeds_agree() -> None:
    cheap = [measured(seed=seed, parameters=500) for seed in range(5)]
    table = cost_table([*cheap, *(measured(TWIN, seed=seed) for seed in range(5))])
    assert table is not None
    assert table.marked == {(0, 2)}
    assert table.markdown().splitlines()[4].startswith(f"| {MODEL} | 5 | **500** | 1.00 |")


def test_of_unfinished_runs_there_is_no_cost() -> None:
    assert cost_table([measured(status=DIVERGED)]) is None


@pytest.mark.parametrize("field", ["parameters", "flops_per_step", "efficiency", "seconds_to_target"])
def test_csv_holds_raw_numbers_with_their_intervals(field: str) -> None:
    table = cost_table([measured(seed=51), measured(seed=52)])
    assert table is not None
    (row,) = table.data.to_dict("records")
    assert row[field] == row[f"{field}_low"] == row[f"{field}_high"] != 0
