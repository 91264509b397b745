import pytest

from bench.records.run import FAILED
from bench.tables import fusion_table
from tests.bench.samples import MODEL, TWIN, record

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
    # Half an interval of two values is 12.706 times half of what they differ by.
    assert fusion_table(RECORDS).markdown() == (
        "**standard: fusion architectures**\n"
        "\n"
        "| model | seeds | best valid loss | valid accuracy | parameters | epoch time (s) | train time (s) "
        "| peak memory (MB) |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        "| compact-late-concat-maxpool | 2 | 0.5 ± 3.2 | 0.850 ± 0.635 | 1,415,051 | 3.00 ± 12.71 | 9.0 ± 38.1 "
        "| 41 ± 15 |\n"
        "| compact-late-concat-strided | 2 | 1.0 ± 6.4 | 0.600 ± 1.271 | 1,000 | 2.00 | 4.5 ± 6.4 | 40 |\n"
        "\n"
        "±: half the 95% interval of the mean over seeds (Student's t)  \n"
        "nothing is marked as best: fewer than 5 seeds decide nothing  \n"
        "data: shapes, 2 classes, 400 training pairs, 100 validation pairs  \n"
        "profile: quick, 3 epochs, seeds: 51, 52 (n = 2)  \n"
        "device: a processor, threads: 2, torch 2.0\n"
    )


def test_five_seeds_mark_the_best_of_a_column() -> None:
    seeds = range(51, 56)
    better = [record(TWIN, seed=seed, best_valid_loss=0.1 + seed / 1e4) for seed in seeds]
    worse = [record(MODEL, seed=seed, best_valid_loss=0.2 + seed / 1e3) for seed in seeds]
    table = fusion_table([*better, *worse])
    assert table.marked == {(0, 2)}
    assert table.notes[-1].startswith("marked: the best of its column")


def test_the_data_behind_the_table_are_raw_numbers() -> None:
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
    assert ends == pytest.approx((0.85 - 0.6353, 0.85 + 0.6353), abs=1e-4)


def test_models_stand_in_the_order_they_were_run() -> None:
    names = ["wide-rgb-strided", "compact-late-concat-strided", "deep-intermediate-concat-maxpool"]
    table = fusion_table([record(name) for name in names])
    assert [row[0] for row in table.rows] == names


def test_variants_of_a_protocol_are_rows_of_their_own() -> None:
    table = fusion_table([record(variant="raw"), record(variant="normalized", best_valid_loss=0.5)])
    assert [row[:3] for row in table.rows] == [[f"raw {MODEL}", "1", "0.25"], [f"normalized {MODEL}", "1", "0.5"]]


def test_without_a_completed_run_there_is_an_empty_table_that_says_so() -> None:
    table = fusion_table([record(status=FAILED)])
    assert table.rows == []
    assert table.conditions == ["no run was completed"]
