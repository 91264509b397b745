from collections.abc import Iterable

import pandas as pd
import pytest

from bench.records.probe import ProbeRecord
from bench.tables.probes import (
    features_frame,
    features_table,
    probe_tables,
    robustness_frame,
    robustness_table,
)
from tests.bench.probes.samples import probe_record

LATE, EARLY = "wide-late-concat-strided", "wide-early-concat-strided"
LEVELS = (0.0, 0.5, 0.9, 1.0)


def curve(model: str, accuracies: Iterable[float], seed: int = 51) -> list[ProbeRecord]:
    return [
        probe_record(model, level=level, value=value, seed=seed)
        for level, value in zip(LEVELS, accuracies, strict=True)
    ]


FOUND = [
    *curve(LATE, [0.9, 0.9, 0.9, 0.5]),
    *curve(EARLY, [0.8, 0.8, 0.8, 0.8]),
    *curve(LATE, [0.7, 0.7, 0.7, 0.7], seed=52),
    *curve(EARLY, [0.6, 0.6, 0.6, 0.6], seed=52),
]


def test_a_row_holds_what_a_curve_is_worth() -> None:
    frame = robustness_frame(FOUND)
    assert len(frame) == 4
    late, early = frame.iloc[0], frame.iloc[1]
    assert (late.model, late.seed, late.corruption) == (LATE, 51, "dropped-returns")
    assert (late.clean, late.worst) == (0.9, 0.5)
    assert late.relative == pytest.approx(0.9 * 0.9 + 0.1 * 0.7)
    assert (late.effective, early.relative) == (0, pytest.approx(0.8))
    assert early.effective == pytest.approx(0.1 * 0.2)  # late fusion lost 0 to 0.4 over the last tenth


def test_late_fusion_is_that_of_the_same_seed_and_embedder() -> None:
    frame = robustness_frame(curve(EARLY, [0.8] * 4) + curve(LATE, [0.9, 0.5, 0.5, 0.5], seed=52))
    assert frame.effective.isna().tolist() == [True, False]
    assert robustness_frame(curve("deep-intermediate-concat-strided", [0.8] * 4)).effective.isna().all()


def test_a_curve_with_a_level_missing_is_left_out_and_a_repeated_value_counts_once() -> None:
    assert robustness_frame(curve(LATE, [0.9] * 4)[:3]).empty
    again = robustness_frame(curve(LATE, [0.9] * 4) + curve(LATE, [0.7] * 4))
    assert again.relative.tolist() == pytest.approx([0.7])


def test_the_table_has_a_line_a_corruption_and_model_with_the_spread_of_seeds() -> None:
    table = robustness_table(FOUND)
    assert table is not None
    assert [row[:2] for row in table.rows] == [
        ["dropped-returns, to 1 share of returns", LATE],
        ["dropped-returns, to 1 share of returns", EARLY],
    ]
    assert table.rows[1][2:] == ["0.700", "0.700", "0.700 ± 1.271", "+0.010 ± 0.127", "2"]
    assert table.conditions == [
        "data: shapes-hard, up to 500 validation pairs a value",
        "profile: full, seeds: 51, 52 (n = 2)",
        "device: cpu",
    ]


def gradient(model: str, value: float, seed: int = 51) -> ProbeRecord:
    return probe_record(
        model,
        benchmark="features",
        probe="zero-gradients",
        level=None,
        metric="share",
        layer="trunk.0.0",
        value=value,
        seed=seed,
    )


def test_features_stand_maxpool_beside_strided() -> None:
    maxpool = EARLY.replace("strided", "maxpool")
    found = [gradient(maxpool, 0.8), gradient(maxpool, 0.9, seed=52), gradient(EARLY, 0.5)]
    table = features_table(found)
    assert table is not None
    assert table.header == ["strategy", "measure", "MaxPool", "strided", "n"]
    assert table.rows == [["wide-early-concat", "zero gradients, trunk.0.0", "0.850 ± 0.635", "0.500", "2 / 1"]]
    pd.testing.assert_frame_equal(table.data, features_frame(found))


def test_a_strategy_without_a_twin_has_a_gap() -> None:
    table = features_table([gradient(EARLY, 0.5)])
    assert table is not None
    assert table.rows[0][2:] == ["-", "0.500", "0 / 1"]


def test_there_is_a_table_for_each_benchmark_that_has_run() -> None:
    assert probe_tables([]) == []
    assert [table.name for table in probe_tables(FOUND)] == ["robustness"]
    assert [table.name for table in probe_tables([*FOUND, gradient(EARLY, 0.5)])] == ["robustness", "features"]
