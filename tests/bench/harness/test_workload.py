"""How long cells are expected to take, from records and from operations, by hand."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.config import STANDARD, RunConfig
from bench.harness.cell import Cell
from bench.harness.workload import committed_records, expected_seconds, operations_per_pair
from bench.records import FAILED, RunRecord, append
from bench.registry import find_study
from fusion_models import ModelSpec, find_model
from tests.bench.samples import MODEL, TWIN, record

PROTOCOL = replace(STANDARD, pairs=1000, valid_fraction=0.2, epochs=10)
"""8,000 pairs are trained."""


def cell(model: str, **changes: Any) -> Cell:
    return Cell(find_study("standard"), RunConfig(replace(PROTOCOL, **changes)), find_model(model), 51)


def trained(model: str, seconds: float, **changes: Any) -> RunRecord:
    """Three epochs over 400 pairs."""
    return record(model, train_seconds=seconds, **changes)


def uncounted(_: ModelSpec) -> float | None:
    raise AssertionError("records are enough")


def test_seconds_are_the_median_of_the_model_s_records_times_the_pairs() -> None:
    records = [trained(MODEL, seconds) for seconds in (1.2, 2.4, 99.0)]
    assert expected_seconds([cell(MODEL)], records, uncounted) == {MODEL: pytest.approx(2.4 / 1200 * 8000)}


def test_more_epochs_and_pairs_take_as_many_times_as_long() -> None:
    twice = expected_seconds([cell(MODEL, epochs=20)], [trained(MODEL, 1.2)], uncounted)
    half = expected_seconds([cell(MODEL, pairs=500)], [trained(MODEL, 1.2)], uncounted)
    assert twice[MODEL] == pytest.approx(4 * half[MODEL])


def test_records_of_the_most_frequent_device_count_and_unfinished_ones_do_not() -> None:
    records = [
        trained(MODEL, 1.2),
        trained(MODEL, 1.2),
        trained(MODEL, 120.0, environment={"device_name": "a slow processor", "threads": 2}),
        trained(MODEL, 120.0, environment={"device_name": "a processor", "threads": 1}),
        *[trained(MODEL, 120.0, status=FAILED)] * 3,
    ]
    assert expected_seconds([cell(MODEL)], records, uncounted)[MODEL] == pytest.approx(8.0)


def test_a_model_without_records_has_its_operations_at_the_speed_of_the_others() -> None:
    operations = {MODEL: 100.0, TWIN: 300.0}
    seconds = expected_seconds(
        [cell(MODEL), cell(TWIN)], [trained(MODEL, 1.2)], lambda spec: operations[spec.name]
    )
    assert seconds[TWIN] == pytest.approx(3 * seconds[MODEL])


def test_a_model_that_cannot_be_counted_is_an_average_one() -> None:
    seconds = expected_seconds([cell(MODEL), cell(TWIN)], [trained(MODEL, 1.2)], lambda _: None)
    assert seconds[TWIN] == seconds[MODEL]
    assert set(expected_seconds([cell(TWIN)], [], lambda _: None).values()) == {8000.0}


def test_strided_convolutions_have_fewer_operations_than_maxpool() -> None:
    strided, maxpool = (operations_per_pair(find_model(model)) for model in (MODEL, TWIN))
    assert strided is not None
    assert maxpool is not None
    assert maxpool > 2 * strided > 0


def test_committed_records_are_those_of_the_folder_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.harness.workload.COMMITTED", tmp_path / "baseline")
    assert committed_records() == []
    (tmp_path / "baseline").mkdir()
    append(tmp_path / "baseline" / "standard.jsonl", record(MODEL))
    assert committed_records() == [record(MODEL)]
