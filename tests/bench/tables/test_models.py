"""The tables with one row per model."""

from typing import Any

import pytest

from bench.records import DIVERGED, FAILED, Metric, RunRecord
from bench.tables.models import cost_table, fusion_table
from tests.bench.samples import MODEL, TWIN, record
from tests.bench.tables.samples import embedded, foreign, made

# Two seeds of two models: losses 0.25 and 0.75, then 0.5 and 1.5.
RECORDS = [
    record(
        TWIN,
        seed=51,
        best_valid_loss=0.25,
        valid_accuracy=0.9,
        epoch_seconds=[1.0, 9.0, 2.0],
        parameters=1_415_051,
    ),
    record(MODEL, seed=51, best_valid_loss=0.5, valid_accuracy=0.7, train_seconds=4.0),
    record(
        TWIN,
        seed=52,
        best_valid_loss=0.75,
        valid_accuracy=0.8,
        epoch_seconds=[4.0, 4.0, 4.0],
        train_seconds=12.0,
        peak_memory_bytes=42_400_000,
        parameters=1_415_051,
    ),
    record(MODEL, seed=52, best_valid_loss=1.5, valid_accuracy=0.5, train_seconds=5.0),
]


def test_the_table_holds_means_over_seeds_and_half_their_intervals() -> None:
    # MaxPool: loss (0.25 + 0.75) / 2, accuracy (0.9 + 0.8) / 2, epochs of 2 s (the median) and 4 s, trainings of
    # 6 s and 12 s, 40.0 and 42.4 MB. Strided: (0.5 + 1.5) / 2, (0.7 + 0.5) / 2, 2 s, (4 + 5) / 2, 40 MB.
    # Half an interval of two values that differ by d is 12.706 d / sqrt(2) sqrt(1 / 2) for costs. Seeds divide the
    # same 500 pairs, so for what 100 of them evaluate it is 12.706 d / sqrt(2) sqrt(1 / 2 + 100 / 400).
    assert fusion_table(RECORDS).markdown() == (
        "**standard: fusion architectures**\n"
        "\n"
        "| model | seeds | best valid loss | valid accuracy | parameters | epoch time (s) | train time (s) "
        "| peak memory (MB) |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        "| compact-late-concat-maxpool | 2 | 0.5 ± 3.9 | 0.850 ± 0.778 | 1,415,051 | 3.00 ± 12.71 | 9.0 ± 38.1 "
        "| 41 ± 15 |\n"
        "| compact-late-concat-strided | 2 | 1.0 ± 7.8 | 0.600 ± 1.556 | 1,000 | 2.00 | 4.5 ± 6.4 | 40 |\n"
        "\n"
        "±: half the width of the 95% interval of the mean over seeds (Student's t); for losses and accuracies "
        "with the variance of Nadeau and Bengio, as all seeds divide the same pairs  \n"
        "no row is marked as best: fewer than 6 seeds are too few for a decision  \n"
        "data: shapes, 2 classes, 400 training pairs, 100 validation pairs  \n"
        "profile: quick, 3 epochs, seeds: 51, 52 (n = 2)  \n"
        "device: a processor, threads: 2, torch 2.0\n"
    )


def test_six_seeds_mark_the_best_of_a_column() -> None:
    seeds = range(51, 57)
    better = [record(TWIN, seed=seed, best_valid_loss=0.1 + seed / 1e4) for seed in seeds]
    worse = [record(MODEL, seed=seed, best_valid_loss=0.2 + seed / 1e3) for seed in seeds]
    table = fusion_table([*better, *worse])
    assert table.marked == {(0, 2)}
    assert table.notes[-1].startswith("marked: the best of its column")


def test_every_metric_that_is_shown_has_a_column_in_its_direction() -> None:
    brier = Metric(name="brier", title="Brier score", higher_is_better=False, decimals=3)
    hidden = Metric(name="hidden", title="hidden", shown=False)
    records = [
        foreign(
            model,
            seed=seed,
            metrics=[brier, hidden],
            valid_metrics={"brier": score + seed / 1e4, "hidden": 1.0, "undeclared": score + seed / 1e3},
        )
        for model, score in (("first", 0.25), ("second", 0.125))
        for seed in range(6)
    ]
    table = fusion_table(records)
    assert table.header[4:6] == ["valid Brier score", "valid undeclared"]
    assert [row[4] for row in table.rows] == ["0.250 ± 0.000", "0.125 ± 0.000"]
    assert table.marked == {(1, 4)}  # nothing is known of the direction of the undeclared one
    assert "hidden" not in " ".join(table.header)


def test_the_data_of_the_table_are_raw_numbers() -> None:
    table = fusion_table([record(best_valid_loss=0.123456789, peak_memory_bytes=41_234_567)])
    (row,) = table.data.dropna(axis="columns").to_dict("records")
    assert row == {
        "model": MODEL,
        "seeds": 1,
        "best_valid_loss": 0.123456789,
        "valid_accuracy": 0.9,
        "parameters": 1000,
        "epoch_seconds": 2.0,
        "train_seconds": 6.0,
        "peak_memory_bytes": 41_234_567,
    }
    assert "0.1235" in table.markdown()


def test_the_data_hold_the_ends_of_intervals() -> None:
    row = fusion_table(RECORDS).data.to_dict("records")[0]
    ends = (row["valid_accuracy_low"], row["valid_accuracy_high"])
    assert ends == pytest.approx((0.85 - 0.7781, 0.85 + 0.7781), abs=1e-4)


def test_models_stand_in_the_order_they_were_run() -> None:
    names = ["wide-rgb-strided", "mine", "compact-late-concat-strided", "deep-intermediate-concat-maxpool"]
    table = fusion_table([foreign(name) for name in names])
    assert [row[0] for row in table.rows] == names


def test_variants_of_a_protocol_are_rows_of_their_own() -> None:
    table = fusion_table([record(variant="raw"), record(variant="normalized", best_valid_loss=0.5)])
    assert [row[:3] for row in table.rows] == [
        [f"raw {MODEL}", "1", "0.2500"],
        [f"normalized {MODEL}", "1", "0.5000"],
    ]


def test_without_a_completed_run_there_is_an_empty_table_that_says_so() -> None:
    table = fusion_table([record(status=FAILED)])
    assert not table.rows
    assert not table.notes
    assert table.conditions == ["no run was completed"]


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


def test_the_cost_table_by_hand() -> None:
    table = made(cost_table([measured(), measured(TWIN, flops_per_step=2 * 10**9, seconds_to_target=None)]))
    assert table.header == [
        "model",
        "seeds",
        "parameters",
        "GFLOP per step",
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


def test_the_note_names_the_operation_that_the_ceiling_was_reached_with() -> None:
    of_both = {"flops_per_second": 9e9, "product_flops_per_second": 9e9, "onednn_product_flops_per_second": 4e9}
    table = made(cost_table([measured(), measured(TWIN, ceiling=of_both)]))
    assert sum("reached by product; a faster model has 100%" in note for note in table.notes) == 1


def test_seeds_that_did_not_reach_the_target_are_counted_and_not_averaged() -> None:
    table = made(cost_table([measured(seed=51), measured(seed=52, seconds_to_target=None)]))
    assert table.rows[0][-1] == "10.0 (1 of 2)"


def test_a_metric_that_no_record_has_gets_no_column_and_is_named() -> None:
    table = made(cost_table([record()]))
    assert table.header == ["model", "seeds", "parameters", "epoch time (s)", "peak memory (MB)"]
    assert "not in these records: GFLOP per step, GFLOP/s, % of ceiling, time to target (s)" in table.notes
    assert not any("GFLOP per step:" in note for note in table.notes)


def test_a_record_without_a_target_is_told_from_one_that_missed_it() -> None:
    table = made(cost_table([measured(), record(TWIN)]))
    assert table.rows[1][3:] == ["-", "2.00", "-", "-", "40", "-"]


def test_the_cheapest_is_marked_where_six_seeds_agree() -> None:
    cheap = [measured(seed=seed, parameters=500) for seed in range(6)]
    table = made(cost_table([*cheap, *(measured(TWIN, seed=seed) for seed in range(6))]))
    assert table.marked == {(0, 2)}
    assert table.markdown().splitlines()[4].startswith(f"| {MODEL} | 6 | **500** | 1.00 |")


def test_of_unfinished_runs_there_is_no_cost() -> None:
    assert cost_table([measured(status=DIVERGED)]) is None


def test_a_record_with_nothing_but_its_result_is_shown() -> None:
    bare = embedded("none-of-ours", protocol={}, environment={}, peak_memory_bytes=None, parameters=None)
    table = made(cost_table([bare]))
    assert table.header == ["model", "seeds", "epoch time (s)"]


@pytest.mark.parametrize("name", ["parameters", "flops_per_step", "efficiency", "seconds_to_target"])
def test_csv_holds_raw_numbers_with_their_intervals(name: str) -> None:
    table = made(cost_table([measured(seed=51), measured(seed=52)]))
    (row,) = table.data.to_dict("records")
    assert row[name] == row[f"{name}_low"] == row[f"{name}_high"] != 0


def test_a_metric_that_is_not_finite_in_some_runs_is_named() -> None:
    records = [record(valid_metrics={"odd": None}), record(seed=52, valid_metrics={"odd": 0.5})]
    assert "valid_odd: left out where it is not a finite number, in 1 of 2 runs" in fusion_table(records).notes


def test_times_of_disturbed_runs_are_marked_and_nothing_else_is() -> None:
    records = [record(TWIN, other_load=1.3), record(MODEL), record(TWIN, seed=52), record(MODEL, seed=52)]
    table = fusion_table(records)
    twin, other = ([cell for cell in row if "~" in cell] for row in table.rows)
    assert twin == ["~2.00", "~6.0"]  # the epoch and the training
    assert other == []
    note = (
        "~: rough, as other processes kept more than 0.2 cores busy; "
        "such times are neither marked nor counted by claims"
    )
    assert note in table.notes
    line = "times: rough in 1 of 4 runs, as other processes kept more than 0.2 cores busy meanwhile (up to 1.3)"
    assert f"{line}; neither claims nor figures use them" in table.conditions
    assert note not in fusion_table(records[1:]).notes


@pytest.mark.parametrize("load", [0.2, None])
def test_times_of_machines_that_are_idle_or_do_not_tell_are_not_marked(load: float | None) -> None:
    assert "~" not in fusion_table([record(other_load=load)]).markdown()
