import pandas as pd
import pytest

from bench.tables.costs import cost_tables
from tests.bench.costs.samples import growth, inference, lightning, race, resident
from tests.bench.samples import MODEL

CONDITIONS = ["data: made up", "profile: full", "device: a processor, threads: 2, torch 2.0"]


def test_inference_has_one_row_per_model_and_leaves_open_what_was_not_measured() -> None:
    (table,) = cost_tables(
        [
            inference(),
            inference(model="other", seconds=[0.004]),
            inference(batch_size=256, seconds=[0.125]),
        ]
    )
    assert table.rows == [[MODEL, "1,000", "2.00", "1.00", "2,048"], ["other", "1,000", "4.00", "0.00", "-"]]
    assert table.notes[0].endswith("throughput: in batches of 256")
    assert table.data.latency_seconds.tolist() == [0.002, 0.004]
    assert table.data.pairs_per_second[0] == 2048
    assert pd.isna(table.data.pairs_per_second[1])
    assert table.conditions == ["inputs: 4 channels", *CONDITIONS]


def test_replays_of_graphs_have_a_column_of_their_own() -> None:
    (table,) = cost_tables([inference(), inference(graph=True, seconds=[0.0005]), inference(model="other")])
    assert table.header[2:5] == ["latency (ms)", "its IQR (ms)", "latency as a graph (ms)"]
    assert [row[2:] for row in table.rows] == [["2.00", "1.00", "0.50", "-"], ["2.00", "1.00", "-", "-"]]
    assert table.data.graph_latency_seconds[0] == 0.0005
    assert "as a graph: the same pass as the replay of a CUDA graph" in table.notes[0]


def test_the_spread_of_latency_is_between_quartiles() -> None:
    (table,) = cost_tables([inference(seconds=[0.1, 0.2, 0.4, 0.6, 9.0])])
    assert table.rows[0][2:4] == ["400.00", "400.00"]
    assert table.notes[0].endswith("latency: of a single pair")


def test_scaling_has_both_ends_and_the_exponent() -> None:
    (table,) = cost_tables(
        [
            growth(),
            growth(axis="batch", axis_title="pairs of a step", model="other", seconds=[[1.0], [2.0]]),
            growth(model="other", seconds=[[9.0], [9.0]]),
            growth(model="other", seconds=[[1.0], [2.0]]),
        ]
    )
    assert table.rows == [
        ["pairs", MODEL, "16 to 32", "250.0", "500.0", "1.00", "1.00 to 1.00"],
        ["pairs", "other", "16 to 32", "1000.0", "2000.0", "1.00", "-"],
        ["batch", "other", "16 to 32", "1000.0", "2000.0", "1.00", "-"],
    ]
    assert table.data["size"].tolist() == [16, 32] * 3
    assert table.data.epoch_seconds.tolist()[:4] == [0.25, 0.5, 1.0, 2.0]
    assert "batch: pairs of a step; in proportion to pixels the exponent is 1" in table.notes
    assert table.conditions == CONDITIONS


def test_the_engine_has_one_row_per_model_and_the_geometric_mean() -> None:
    (table,) = cost_tables([race(), race(model="other", engine_seconds=[0.5, 0.25, 0.75])])
    assert table.name == "engine"
    assert table.rows[0] == [MODEL, "400.00", "200.00", "2.00", "2.00 to 3.00", "1e-15", "1e-02"]
    assert table.notes[0] == "geometric mean of the ratios: 4.00; target: at least 1.7"
    assert table.conditions == CONDITIONS
    assert table.data.reference_step_seconds.tolist() == [0.4, 0.4]
    (other,) = cost_tables([race(target=None)])
    assert "target" not in other.notes[0]


def test_lightning_has_columns_of_its_own_where_it_was_raced() -> None:
    (table,) = cost_tables([lightning(), lightning(model="other", lightning_seconds=[16.0, 8.0, 16.0])])
    assert table.header[1:7] == [
        *("reference (ms)", "Lightning (ms)", "ours (ms)", "ratio", "its range", "ratio to Lightning"),
    ]
    assert table.rows[0] == [MODEL, "400.00", "300.00", "200.00", "2.00", "2.00 to 3.00", "2.00", "1e-14", "1e-02"]
    assert (
        table.notes[0] == "geometric mean of the ratios: 2.00; target: at least 1.7; of those to Lightning: 4.00"
    )
    tables = cost_tables([lightning(), race()])
    assert [table.name for table in tables] == ["engine", "engine-2"]


def test_memory_is_one_row_of_megabytes() -> None:
    (table,) = cost_tables([resident()])
    assert table.name == "resident-memory"
    assert table.rows == [["20,000", "700", "3,100", "9,000", "9,200"]]
    assert table.data.trained_bytes.tolist() == [9_200_000_000]
    assert f"simulates shapes, trains {MODEL} for one epoch" in table.notes[0]


def test_costs_under_other_conditions_have_a_table_of_their_own() -> None:
    tables = cost_tables([race(), inference(), race(device="cuda", environment={})])
    assert [table.name for table in tables] == ["engine", "inference", "engine-2"]
    assert tables[2].conditions[-1] == "device: unknown, threads: unknown, torch unknown"


@pytest.mark.parametrize("record", [inference(), growth(), race(), resident()])
def test_every_kind_of_cost_has_a_table(record: object) -> None:
    assert len(cost_tables([record])) == 1  # type: ignore[list-item]
