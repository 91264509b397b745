import json
from dataclasses import replace
from typing import Any

import pytest
from bench.analysis.changes import BETTER, CHANGED, NOT_JUDGED, SAME, WORSE

from bench.analysis.comparison import (
    compare,
    comparison_table,
    facts,
    from_benchmarks,
    from_facts,
)
from bench.records.run import DIVERGED, FAILED, RecordError, RunRecord
from bench.tables import TextTable
from tests.bench.samples import MODEL, TWIN, record


def table(before: list[RunRecord], now: list[RunRecord]) -> TextTable:
    made = comparison_table(compare(before, now))
    assert made is not None
    return made


def verdicts(before: list[RunRecord], now: list[RunRecord]) -> dict[str, str]:
    return {change.metric.name: change.verdict for change in compare(before, now).changes}


def on(machine: str) -> dict[str, Any]:
    return {"device_name": machine, "threads": 2, "packages": {"torch": "2.0"}}


def test_facts_are_the_record_without_its_environment_and_become_it_again() -> None:
    whole = record().to_dict()
    assert facts(record()) == {key: value for key, value in whole.items() if key != "environment"}
    stored = json.loads(json.dumps([facts(record()), record().environment]))
    assert from_facts(*stored) == record()


def test_the_records_of_a_saved_run_are_those_of_its_cells() -> None:
    saved = {
        "machine_info": record().environment,
        "benchmarks": [{"extra_info": facts(record())}, {"extra_info": {}}, {"extra_info": facts(record(TWIN))}],
    }
    assert from_benchmarks(saved) == [record(), record(TWIN)]
    saved["benchmarks"][0]["extra_info"]["schema_version"] = 99  # type: ignore[index]
    with pytest.raises(RecordError, match="has schema version 99, this FusionGauge reads versions up to"):
        from_benchmarks(saved)


def test_equal_runs_are_the_same() -> None:
    name = f"{MODEL} (seed 51)"
    assert table([record()], [record()]).rows == [
        [name, "best valid loss", "0.25", "0.25", "=", SAME],
        [name, "valid accuracy", "0.900", "0.900", "=", SAME],
        [name, "parameters", "1,000", "1,000", "=", SAME],
        [name, "epoch time (s)", "2.00 (1.50 to 2.50)", "2.00 (1.50 to 2.50)", "=", SAME],
        [name, "train time (s)", "6.0", "6.0", "=", SAME],
        [name, "peak memory (MB)", "40", "40", "=", SAME],
    ]


def test_changes_are_signed_and_one_seed_decides_only_what_is_exact() -> None:
    later = record(best_valid_loss=0.375, valid_accuracy=0.8, parameters=999, peak_memory_bytes=43_000_000)
    made = table([record()], [later])
    assert [row[2:] for row in made.rows if "time" not in row[1]] == [
        ["0.25", "0.375", "+0.125", CHANGED],
        ["0.900", "0.800", "-0.100", CHANGED],
        ["1,000", "999", "-1", CHANGED],
        ["40", "43", "+3", WORSE],
    ]
    assert made.data.change.tolist() == pytest.approx([0.125, -0.1, -1, 0, 0, 3_000_000])
    assert made.data.seeds.tolist() == [1] * 6


def test_a_change_below_what_is_shown_is_not_called_equal() -> None:
    made = table([record(best_valid_loss=0.25)], [record(best_valid_loss=0.25 + 1e-9)])
    assert made.rows[0][2:] == ["0.25", "0.25", "+1e-09", CHANGED]


def test_several_seeds_are_one_row_with_means_and_an_interval() -> None:
    before = [record(seed=51, best_valid_loss=0.25), record(seed=52, best_valid_loss=0.75)]
    now = [record(seed=52, best_valid_loss=0.85), record(seed=51, best_valid_loss=0.25)]
    row = table(before, now).rows[0]
    # Differences 0 and 0.1: mean 0.05, standard error 0.05, t quantile of one degree of freedom 12.706.
    assert row == [f"{MODEL} (2 seeds)", "best valid loss", "0.5", "0.55", "+0.05 (-0.585 to +0.685)", CHANGED]


def test_on_another_machine_times_and_memory_are_shown_and_not_judged() -> None:
    later = record(
        environment=on("another processor"), epoch_seconds=[9.0] * 3, train_seconds=27.0, peak_memory_bytes=1
    )
    compared = compare([record()], [later])
    assert {change.metric.name: change.verdict for change in compared.changes} == {
        "best_valid_loss": SAME,
        "valid_accuracy": SAME,
        "parameters": SAME,
        "epoch_seconds": NOT_JUDGED,
        "train_seconds": NOT_JUDGED,
        "peak_memory_bytes": NOT_JUDGED,
    }
    (warning,) = compared.warnings
    assert warning == (
        "NOT THE SAME MACHINE as the earlier run: times and memory are shown, not judged\n"
        "  device_name: a processor -> another processor"
    )


def test_times_of_seeds_side_by_side_are_not_judged_by_those_of_one_alone() -> None:
    compared = compare([record()], [record(seeds_together=4, epoch_seconds=[9.0] * 3)])
    verdicts = {change.metric.name: change.verdict for change in compared.changes}
    assert verdicts["epoch_seconds"] == NOT_JUDGED
    assert verdicts["best_valid_loss"] == SAME
    (warning,) = compared.warnings
    assert warning == (
        "NOT AS MANY SEEDS SIDE BY SIDE as in the earlier run: times are shown, not judged\n"
        "  seeds_together: 1 -> 4"
    )


@pytest.mark.parametrize(
    "change",
    [{"threads": 1}, {"packages": {"torch": "2.1"}}, {"cuda": "13.0"}],
    ids=lambda change: next(iter(change)),
)
def test_threads_and_torch_are_part_of_the_machine(change: dict[str, Any]) -> None:
    later = record(environment=record().environment | change)
    assert compare([record()], [later]).warnings[0].startswith("NOT THE SAME MACHINE")


def test_what_does_not_decide_times_is_said_and_judged() -> None:
    changed = {"python": "3.99", "packages": {"torch": "2.0", "pandas": "9"}, "commit": "abc", "dirty": True}
    later = record(environment=record().environment | changed, peak_memory_bytes=1)
    compared = compare([record()], [later])
    assert compared.warnings == (
        "not quite the same environment as the earlier run\n  pandas: None -> 9\n  python: None -> 3.99",
    )
    assert compared.changes[-1].verdict == BETTER


def test_other_protocol_data_and_code_are_said_once() -> None:
    before = [record(data_sha256="a" * 64, code_sha256="c" * 64, seed=seed) for seed in (51, 52)]
    now = [
        replace(old, protocol={"epochs": 4, "keep_groups": True}, data_sha256="b" * 64, code_sha256="d" * 64)
        for old in before
    ]
    assert compare(before, now).warnings == (
        "NOT THE SAME PROTOCOL as the earlier run\n  epochs: 3 -> 4",
        "NOT THE SAME DATA as the earlier run\n  shapes: aaaaaaaaaaaa -> bbbbbbbbbbbb",
        "not the code of the earlier run\n  code: cccccccccccc -> dddddddddddd",
    )
    assert compare(before, before).warnings == ()


def test_records_without_hashes_are_not_called_other_data() -> None:
    known = record(data_sha256="a" * 64, code_sha256="c" * 64)
    assert compare([replace(known, data_sha256=None, code_sha256=None)], [known]).warnings == ()


@pytest.mark.parametrize(
    "other",
    [{"model": TWIN}, {"seed": 52}, {"dataset": "other"}, {"study": "input-scaling"}, {"variant": "raw"}],
    ids=lambda changes: next(iter(changes)),
)
def test_cells_of_one_run_alone_are_listed_and_not_compared(other: dict[str, Any]) -> None:
    assert comparison_table(compare([record(**other)], [record()])) is None
    made = table([record(), record(**other)], [record()])
    assert len(made.rows) == 6
    assert any(note.startswith("only before: ") for note in made.notes)
    made = table([record()], [record(), record(**other)])
    assert len(made.rows) == 6
    assert any(note.startswith("only now: ") for note in made.notes)


def test_what_one_run_alone_has_is_named_with_its_seeds_and_what_tells_it_from_other_rows() -> None:
    before = [record(), record(seed=7, dataset="other"), record(seed=8, dataset="other")]
    compared = compare(before, [record(), record(TWIN)])
    assert compared.only_before == (f"other {MODEL} (seeds 7, 8)",)
    assert compared.only_now == (f"shapes {TWIN} (seed 51)",)


def test_cells_that_are_not_completed_any_more_are_said() -> None:
    diverged = record(status=DIVERGED, error="the loss is not finite", best_valid_loss=None)
    compared = compare([record(), record(seed=52)], [diverged, record(seed=52)])
    assert compared.unfinished == (f"{MODEL} (seed 51): diverged, the loss is not finite",)
    assert compared.cells == 1
    assert compare([diverged], [record()]).unfinished == ()


def test_of_several_records_of_a_cell_the_last_counts() -> None:
    first, last = record(best_valid_loss=0.5), record(best_valid_loss=0.25)
    assert verdicts([first, last], [last])["best_valid_loss"] == SAME
    assert compare([last], [first, replace(first, status=FAILED)]).cells == 0


def test_memory_counted_another_way_is_not_compared() -> None:
    assert "peak_memory_bytes" not in verdicts([record(peak_memory_method="another way")], [record()])
