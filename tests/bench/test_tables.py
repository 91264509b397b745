from typing import Any

import pandas as pd
import pytest

from bench.records import DIVERGED, FAILED, RunRecord
from bench.tables import as_text, conditions, downsampling_table, frame, fusion_table, variants_table
from tests.bench.samples import MODEL, TWIN, record

# Two seeds of two models: losses 0.25 and 0.75, then 0.5 and 1.5.
RECORDS = [
    record(TWIN, seed=51, best_valid_loss=0.25, valid_accuracy=0.9, epoch_seconds=[1.0, 9.0, 2.0]),
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
RECORDS[0] = record(**{**RECORDS[0].to_dict(), "parameters": 1_415_051})

CONDITIONS = """
data: shapes, 2 classes, 400 training pairs, 100 validation pairs{eol}
profile: quick, 3 epochs, seeds: 51, 52 (n = 2){eol}
device: a processor, 2 threads, torch 2.0
""".format(eol="  ")


def test_fusion_table_holds_means_over_seeds() -> None:
    # MaxPool: loss (0.25 + 0.75) / 2, accuracy (0.9 + 0.8) / 2, epochs of 2 s (the median) and 4 s, trainings of
    # 6 s and 12 s, 40.0 and 42.4 MB. Strided: (0.5 + 1.5) / 2, (0.7 + 0.5) / 2, 2 s, (4 + 5) / 2, 40 MB.
    assert fusion_table(RECORDS).markdown() == (
        "**standard: fusion architectures**\n"
        "\n"
        "| model | seeds | best valid loss | valid accuracy | parameters | epoch time (s) | train time (s) "
        "| peak memory (MB) |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        "| compact-late-concat-maxpool | 2 | 0.5 | 0.850 | 1,415,051 | 3.00 | 9.0 | 41 |\n"
        "| compact-late-concat-strided | 2 | 1 | 0.600 | 1,000 | 2.00 | 4.5 | 40 |\n"
        f"{CONDITIONS}"
    )


def test_downsampling_table_subtracts_maxpool_from_strided() -> None:
    table = downsampling_table(RECORDS)
    assert table is not None
    assert table.markdown() == (
        "**standard: MaxPool beside strided convolution**\n"
        "\n"
        "| strategy | metric | MaxPool | strided | difference |\n"
        "| --- | --- | ---: | ---: | ---: |\n"
        "| compact-late-concat | best valid loss | 0.5 | 1 | +0.5 |\n"
        "| compact-late-concat | valid accuracy | 0.850 | 0.600 | -0.250 |\n"
        "| compact-late-concat | parameters | 1,415,051 | 1,000 | -1,414,051 |\n"
        "| compact-late-concat | epoch time (s) | 3.00 | 2.00 | -1.00 |\n"
        "| compact-late-concat | train time (s) | 9.0 | 4.5 | -4.5 |\n"
        "| compact-late-concat | peak memory (MB) | 41 | 40 | -1 |\n"
        "\n"
        "difference = strided - MaxPool, paired by seed  \n"
        f"{CONDITIONS.lstrip()}"
    )


def raw(data: pd.DataFrame, **where: str) -> dict[str, Any]:
    for column, value in where.items():
        data = data[data[column] == value]
    (row,) = data.to_dict("records")
    return {str(key): value for key, value in row.items()}


def test_a_difference_is_paired_by_seed() -> None:
    # Seed 53 has no strided run: it counts in the table of models and not in the difference.
    lonely = record(TWIN, seed=53, best_valid_loss=100.0)
    table = downsampling_table([*RECORDS, lonely])
    assert table is not None
    loss = raw(table.data, metric="best_valid_loss")
    assert (loss["seeds"], loss["maxpool"], loss["strided"], loss["difference"]) == (2, 0.5, 1.0, 0.5)
    assert raw(fusion_table([*RECORDS, lonely]).data, model=TWIN)["best_valid_loss"] == pytest.approx(101 / 3)


def test_the_data_behind_a_table_are_raw_numbers() -> None:
    table = fusion_table([record(best_valid_loss=0.123456789, peak_memory_bytes=41_234_567)])
    assert raw(table.data, model=MODEL) == {
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


def test_csv_brings_back_the_numbers() -> None:
    table = downsampling_table(RECORDS)
    assert table is not None
    header, first, *_ = table.data.to_csv(index=False).splitlines()
    assert header == "strategy,metric,seeds,maxpool,strided,difference"
    assert first == "compact-late-concat,best_valid_loss,2,0.5,1.0,0.5"


def test_the_last_record_of_a_cell_counts() -> None:
    again = [record(best_valid_loss=0.25), record(TWIN), record(best_valid_loss=0.75)]
    cells = frame(again)
    assert cells.model.tolist() == [TWIN, MODEL]
    assert cells.best_valid_loss.tolist() == [0.25, 0.75]


def test_models_stand_in_the_order_they_were_run() -> None:
    names = ["wide-rgb-strided", "compact-late-concat-strided", "deep-intermediate-concat-maxpool"]
    table = fusion_table([record(name) for name in names])
    assert [row[0] for row in table.rows] == names


def test_variants_of_a_protocol_are_rows_of_their_own() -> None:
    table = fusion_table([record(variant="raw"), record(variant="normalized", best_valid_loss=0.5)])
    assert [row[:3] for row in table.rows] == [[f"raw {MODEL}", "1", "0.25"], [f"normalized {MODEL}", "1", "0.5"]]


@pytest.mark.parametrize("status", [DIVERGED, FAILED])
def test_unfinished_runs_are_named_and_not_averaged(status: str) -> None:
    unfinished = record(seed=52, status=status, best_valid_loss=None, valid_accuracy=None, train_seconds=None)
    table = fusion_table([record(), unfinished])
    assert [row[:3] for row in table.rows] == [[MODEL, "1", "0.25"]]
    assert table.conditions[-1] == f"left out, not completed: {MODEL} (seed 52, {status})"


def test_conditions_name_everything_that_differed() -> None:
    lines = conditions([record(), record(dataset="other", profile="full", protocol={"epochs": 20})])
    assert lines[0].startswith("data: shapes, other, ")
    assert lines[1] == "profile: quick, full, 3, 20 epochs, seeds: 51 (n = 1)"


def test_without_a_completed_run_there_is_an_empty_table_that_says_so() -> None:
    table = fusion_table([record(status=FAILED)])
    assert table.rows == []
    assert table.conditions == ["no run was completed"]


@pytest.mark.parametrize(
    "records",
    [
        [record(MODEL)],
        [record(TWIN)],
        [record(MODEL, seed=51), record(TWIN, seed=52)],
        [record(MODEL), record(TWIN, status=DIVERGED)],
    ],
    ids=["strided alone", "maxpool alone", "other seeds", "twin diverged"],
)
def test_without_a_pair_there_is_no_downsampling_table(records: list[RunRecord]) -> None:
    assert downsampling_table(records) is None


def test_on_a_terminal_a_word_is_not_repeated_below_itself() -> None:
    table = downsampling_table(RECORDS)
    assert table is not None
    text = as_text(table, color=False)
    assert text.count("compact-late-concat") == 1
    assert "\x1b" not in text
    assert "\x1b" in as_text(table, color=True)
    for row in table.rows:
        assert all(cell in text for cell in row)


def test_variants_stand_side_by_side_with_the_range_of_seeds() -> None:
    table = variants_table(
        [
            record(variant="raw", seed=51, valid_accuracy=0.5, best_valid_loss=0.75),
            record(variant="raw", seed=52, valid_accuracy=0.75, best_valid_loss=0.25),
            record(variant="normalized", valid_accuracy=1.0, best_valid_loss=0.125),
            record(TWIN, variant="raw"),
        ]
    )
    assert table is not None
    assert table.header == [
        "model",
        "valid accuracy, raw",
        "valid accuracy, normalized",
        "valid loss, raw",
        "valid loss, normalized",
    ]
    assert table.rows == [
        [MODEL, "0.625 (0.500 to 0.750)", "1.000", "0.5 (0.25 to 0.75)", "0.125"],
        [TWIN, "0.900", "-", "0.25", "-"],
    ]


def test_one_variant_alone_makes_no_table_of_variants() -> None:
    assert variants_table([record(variant="raw"), record(variant="normalized", status=FAILED)]) is None
