import json
from typing import Any

import pytest

from bench.comparison import comparison_table, facts
from bench.records import DIVERGED
from bench.tables import TextTable
from tests.bench.samples import MODEL, TWIN, record


def entry(model: str = MODEL, **changes: Any) -> dict[str, Any]:
    return facts(record(model, **changes))


def compare(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> TextTable:
    table = comparison_table(before, now)
    assert table is not None
    return table


def test_facts_are_the_record_without_its_environment() -> None:
    whole = record().to_dict()
    assert entry() == {key: value for key, value in whole.items() if key != "environment"}
    assert json.loads(json.dumps(entry())) == entry()


def test_equal_runs_have_no_change() -> None:
    name = f"{MODEL} (seed 51)"
    assert compare([entry()], [entry()]).rows == [
        [name, "best valid loss", "0.25", "0.25", "="],
        [name, "valid accuracy", "0.900", "0.900", "="],
        [name, "parameters", "1,000", "1,000", "="],
        [name, "peak memory (MB)", "40", "40", "="],
    ]


def test_changes_are_signed() -> None:
    later = entry(best_valid_loss=0.375, valid_accuracy=0.8, parameters=999, peak_memory_bytes=43_000_000)
    table = compare([entry()], [later])
    assert [row[2:] for row in table.rows] == [
        ["0.25", "0.375", "+0.125"],
        ["0.900", "0.800", "-0.100"],
        ["1,000", "999", "-1"],
        ["40", "43", "+3"],
    ]
    assert table.data.change.tolist() == pytest.approx([0.125, -0.1, -1, 3_000_000])


def test_a_change_below_what_is_shown_is_not_called_equal() -> None:
    table = compare([entry(best_valid_loss=0.25)], [entry(best_valid_loss=0.25 + 1e-9)])
    assert table.rows[0][2:] == ["0.25", "0.25", "+1e-09"]


@pytest.mark.parametrize(
    "other",
    [
        {"model": TWIN},
        {"seed": 52},
        {"dataset": "other"},
        {"study": "input-scaling"},
        {"variant": "raw"},
        {"status": DIVERGED},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_cells_of_one_run_alone_are_not_compared(other: dict[str, Any]) -> None:
    assert comparison_table([entry(**other)], [entry()]) is None
    assert comparison_table([entry()], [entry(**other)]) is None
    assert len(compare([entry()], [entry(**other), entry()]).rows) == 4


def test_memory_counted_another_way_is_not_compared() -> None:
    table = compare([entry(peak_memory_method="another way")], [entry()])
    assert [row[1] for row in table.rows] == ["best valid loss", "valid accuracy", "parameters"]


def test_the_note_counts_cells() -> None:
    both = [entry(), entry(seed=52, peak_memory_method="another way")]
    assert compare([entry(), entry(seed=52)], [*both, entry(seed=53)]).notes == [
        "cells in both runs: 2; in this one: 3"
    ]
