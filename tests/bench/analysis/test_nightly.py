from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from bench.analysis import gate
from bench.analysis.comparison import compare
from bench.analysis.nightly import keep, last_good, last_good_path, shortcomings
from bench.records import DIVERGED, FAILED, RecordError, RunRecord, append
from tests.bench.analysis.samples import foreign
from tests.bench.samples import MODEL, TWIN, record

RULES = gate.parse("valid_accuracy:-0.01")

GOOD = [record(TWIN), record(MODEL)]
WORSE = [record(TWIN), record(MODEL, valid_accuracy=0.85)]
UNFINISHED = [record(TWIN), record(MODEL, status=DIVERGED, error="the loss is not finite", valid_accuracy=None)]


def on(device_name: str, **changes: Any) -> list[RunRecord]:
    return [record(environment={**record().environment, "device_name": device_name}, **changes)]


def test_what_is_kept_is_what_later_runs_are_compared_with(tmp_path: Path) -> None:
    assert last_good(tmp_path, GOOD) == []
    path = keep(tmp_path, GOOD)
    assert path == last_good_path(tmp_path, GOOD) == tmp_path / "quick-a-processor.jsonl"
    assert last_good(tmp_path, GOOD) == GOOD


def test_a_later_good_run_replaces_the_earlier(tmp_path: Path) -> None:
    keep(tmp_path, WORSE)
    keep(tmp_path, GOOD)
    assert last_good(tmp_path, GOOD) == GOOD
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("other", [on("another processor"), on("a processor", profile="full"), [foreign()]])
def test_every_device_and_profile_has_its_own(other: list[RunRecord], tmp_path: Path) -> None:
    keep(tmp_path, GOOD)
    assert last_good(tmp_path, other) == []
    keep(tmp_path, other)
    assert last_good(tmp_path, other) == other
    assert last_good(tmp_path, GOOD) == GOOD


def test_what_a_killed_process_left_is_not_kept(tmp_path: Path) -> None:
    append(last_good_path(tmp_path, GOOD).with_suffix(".new"), record(MODEL, seed=7))
    keep(tmp_path, GOOD)
    assert last_good(tmp_path, GOOD) == GOOD


def test_runs_of_several_devices_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="quick on a processor; quick on another"):
        keep(tmp_path, [*GOOD, *on("another")])


def test_a_run_with_a_cell_that_was_not_completed_is_not_kept(tmp_path: Path) -> None:
    keep(tmp_path, GOOD)
    with pytest.raises(RecordError, match=rf"not kept as good: {MODEL} \(seed 51\): diverged, the loss is not"):
        keep(tmp_path, UNFINISHED)
    assert last_good(tmp_path, GOOD) == GOOD


def test_a_broken_rule_and_a_cell_that_was_not_completed_are_shortcomings() -> None:
    assert shortcomings(RULES, compare(GOOD, GOOD)) == []
    (broken,) = shortcomings(RULES, compare(GOOD, WORSE))
    assert MODEL in broken
    assert "0.900 -> 0.850" in broken
    for rules in ((), RULES):
        assert shortcomings(rules, compare(GOOD, UNFINISHED)) == [
            f"{MODEL} (seed 51): diverged, the loss is not finite"
        ]


def test_without_an_earlier_run_only_cells_that_were_not_completed_are_shortcomings() -> None:
    assert shortcomings(RULES, compare([], WORSE)) == []
    assert len(shortcomings(RULES, compare([], UNFINISHED))) == 1


def test_a_cell_that_failed_and_was_run_again_is_none() -> None:
    failed = record(MODEL, status=FAILED, error="RuntimeError: out of memory", valid_accuracy=None)
    assert shortcomings(RULES, compare(GOOD, [failed, *GOOD])) == []


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        (GOOD[:1], f"{MODEL} (seed 51): only in the last good run"),
        ([replace(one, seed=52) for one in GOOD], f"{TWIN} (seed 51): only in the last good run"),
        ([replace(one, data_sha256="another") for one in GOOD], "valid_accuracy:-0.01 is not judged, as the data"),
        (
            [replace(one, valid_accuracy=None, valid_metrics={}) for one in GOOD],
            f"{TWIN} (seed 51): valid accuracy has",
        ),
    ],
    ids=["half a run", "other seeds", "other data", "no value"],
)
def test_a_run_that_could_not_be_judged_is_not_good(later: list[RunRecord], reason: str) -> None:
    before = [replace(one, data_sha256="one") for one in GOOD]
    assert shortcomings(RULES, compare(before, later))[0].startswith(reason)
    assert shortcomings(RULES, compare(before, [*before, record(seed=7)])) == []  # a new model is no fault


def test_what_cannot_hold_a_last_good_run_is_no_first_run(tmp_path: Path) -> None:
    path = last_good_path(tmp_path, GOOD)
    path.touch()
    with pytest.raises(RecordError, match=rf"{path}: holds no records; restore the file, or remove it"):
        last_good(tmp_path, GOOD)
    with pytest.raises(RecordError, match=rf"{path}: this is not a folder"):
        last_good(path, GOOD)
