from typing import Any

import pandas as pd

from bench.analysis.probes import features_frame
from bench.records import ProbeRecord
from bench.tables.probes import features_table, probe_tables, robustness_table
from tests.bench.analysis.samples import curve
from tests.bench.probes.samples import probe_record
from tests.bench.tables.samples import made

PROBES = [
    *curve("late", [0.9, 0.9, 0.9, 0.5]),
    *curve("early", [0.8, 0.8, 0.8, 0.8]),
    *curve("late", [0.7, 0.7, 0.7, 0.7], seed=52),
    *curve("early", [0.6, 0.6, 0.6, 0.6], seed=52),
]


def test_the_table_has_one_row_per_corruption_and_model_with_the_spread_of_seeds() -> None:
    table = made(robustness_table(PROBES))
    assert [row[:2] for row in table.rows] == [
        ["dropped-returns, to 1 share", "wide-late-concat-strided"],
        ["dropped-returns, to 1 share", "wide-early-concat-strided"],
    ]
    assert table.rows[1][2:] == ["0.700", "0.700", "0.700 ± 1.271", "+0.010 ± 0.127", "2"]
    assert table.conditions == [
        "data: shapes-hard, up to 500 pairs per value",
        "profile: full, seeds: 51, 52 (n = 2)",
        "device: cpu",
    ]


def test_intervals_are_wider_where_seeds_divide_the_same_pairs() -> None:
    # The variance of the mean is (1 / 2 + ratio) times that of one seed: with 1.5, four times as large.
    table = made(robustness_table(PROBES, 1.5))
    assert table.rows[1][4] == "0.700 ± 2.541"
    assert "Nadeau and Bengio" in table.notes[-1]
    probes = [gradient("maxpool", 0.8), gradient("maxpool", 0.9, seed=52)]
    assert features_table(probes, 1.5).rows[0][3] == "0.850 ± 1.271"


def test_a_corruption_that_nothing_here_knows_is_a_row_like_any_other() -> None:
    unknown = curve(
        "custom", [0.9, 0.8, 0.7, 0.6], model="mine", family="", embedder="", probe="fog", level_unit=""
    )
    table = made(robustness_table([*unknown, *curve("late", [0.9] * 4)]))
    assert [row[0] for row in table.rows] == ["fog, to 1", "dropped-returns, to 1 share"]
    assert table.rows[0][5] == "-"  # without late fusion


def gradient(embedder: str, value: float, seed: int = 51, **changes: Any) -> ProbeRecord:
    values = {
        "model": f"wide-early-concat-{embedder}",
        "embedder": embedder,
        "benchmark": "features",
        "probe": "zero-gradients",
        "level": None,
        "metric": "share",
        "layer": "trunk.0.0",
    }
    return probe_record(value=value, seed=seed, **{**values, **changes})


def test_features_have_one_row_per_measure_and_embedder() -> None:
    probes = [gradient("maxpool", 0.8), gradient("maxpool", 0.9, seed=52), gradient("blurpool", 0.5)]
    table = features_table(probes)
    assert table.rows == [
        ["wide-early-concat", "zero gradients, trunk.0.0", "maxpool", "0.850 ± 0.635", "2"],
        ["wide-early-concat", "zero gradients, trunk.0.0", "blurpool", "0.500", "1"],
    ]
    pd.testing.assert_frame_equal(table.data, features_frame(probes))


def test_values_between_seeds_have_no_interval() -> None:
    pairs = [gradient("maxpool", value, other_seed=seed) for seed, value in ((52, 0.8), (53, 0.9))]
    table = features_table(pairs)
    assert table.rows[0][-2:] == ["0.850", "2"]


def test_there_is_one_table_per_benchmark() -> None:
    assert probe_tables([]) == []
    assert [table.name for table in probe_tables(PROBES)] == ["robustness"]
    probes = [*PROBES, gradient("maxpool", 0.5), gradient("maxpool", 0.5, benchmark="calibration")]
    assert [table.name for table in probe_tables(probes)] == ["robustness", "features", "calibration"]
    assert [table.name for table in probe_tables(PROBES[:1])] == []  # one level is not a curve
