from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import main
from bench.analysis import gate
from bench.analysis.nightly import keep, last_good, last_good_path, shortcomings, summary
from bench.records import run as records
from bench.records.run import DIVERGED, FAILED, RecordError, RunRecord
from tests.bench.samples import MODEL, TWIN, record

RULES = gate.parse("valid_accuracy:-0.01")

GOOD = [record(TWIN), record(MODEL)]
WORSE = [record(TWIN), record(MODEL, valid_accuracy=0.85)]
UNFINISHED = [record(TWIN), record(MODEL, status=DIVERGED, error="the loss is not finite", valid_accuracy=None)]


def on(device_name: str, **changes: Any) -> list[RunRecord]:
    return [record(environment={**record().environment, "device_name": device_name}, **changes)]


def written(folder: Path, found: list[RunRecord]) -> Path:
    folder.mkdir()
    for one in found:
        records.append(folder / "records.jsonl", one)
    return folder


def test_what_is_kept_is_what_is_compared_with(tmp_path: Path) -> None:
    assert last_good(tmp_path, GOOD) == []
    path = keep(tmp_path, GOOD)
    assert path == last_good_path(tmp_path, GOOD) == tmp_path / "quick-a-processor.jsonl"
    assert last_good(tmp_path, GOOD) == GOOD


def test_a_later_good_run_takes_the_place_of_the_earlier(tmp_path: Path) -> None:
    keep(tmp_path, WORSE)
    keep(tmp_path, GOOD)
    assert last_good(tmp_path, GOOD) == GOOD
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("other", [on("another processor"), on("a processor", profile="full")])
def test_every_device_and_profile_has_its_own(other: list[RunRecord], tmp_path: Path) -> None:
    keep(tmp_path, GOOD)
    assert last_good(tmp_path, other) == []
    keep(tmp_path, other)
    assert last_good(tmp_path, GOOD) == GOOD


def test_what_was_left_of_a_killed_keeping_is_no_part_of_the_next(tmp_path: Path) -> None:
    records.append(last_good_path(tmp_path, GOOD).with_suffix(".new"), record(MODEL, seed=7))
    keep(tmp_path, GOOD)
    assert last_good(tmp_path, GOOD) == GOOD


def test_runs_of_several_devices_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="quick on a processor; quick on another"):
        keep(tmp_path, [*GOOD, *on("another")])


def test_a_run_with_a_cell_that_was_not_completed_is_not_kept(tmp_path: Path) -> None:
    keep(tmp_path, GOOD)
    with pytest.raises(RecordError, match=rf"not kept as good: .*{MODEL} \(seed 51\) diverged, the loss is not"):
        keep(tmp_path, UNFINISHED)
    assert last_good(tmp_path, GOOD) == GOOD


def test_a_rule_that_is_broken_and_a_cell_that_was_not_completed_are_shortcomings() -> None:
    assert shortcomings(RULES, GOOD, GOOD) == []
    (broken,) = shortcomings(RULES, GOOD, WORSE)
    assert MODEL in broken
    assert "0.900 -> 0.850" in broken
    assert "diverged" in shortcomings((), GOOD, UNFINISHED)[0]


def test_without_an_earlier_run_only_cells_that_were_not_completed_are_shortcomings() -> None:
    assert shortcomings(RULES, [], WORSE) == []
    assert len(shortcomings(RULES, [], UNFINISHED)) == 1


def test_a_cell_that_failed_and_was_run_again_is_none() -> None:
    failed = record(MODEL, status=FAILED, error="RuntimeError: out of memory", valid_accuracy=None)
    assert shortcomings(RULES, GOOD, [failed, *GOOD]) == []


def test_the_summary_has_verdict_comparison_and_tables() -> None:
    text = summary(RULES, GOOD, WORSE)
    assert text.startswith("## No good run\n\n- ")
    assert "of 2026-01-02." in text
    assert "**Compared with the earlier run**" in text
    assert "### standard" in text
    assert f"| {MODEL} | 1 |" in text
    assert summary(RULES, GOOD, GOOD).startswith("## A good run\n\nCompared with")


def test_the_summary_of_a_first_run_says_so() -> None:
    text = summary(RULES, [], GOOD)
    assert text.startswith(
        "## A good run\n\nNo earlier good run of this profile on this device; nothing was compared."
    )
    assert "### standard" in text


def test_nights_one_after_the_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = str(tmp_path / "kept")
    options = ["--last-good", kept, "--fail-on", "valid_accuracy:-0.01"]
    first, worse, later = (
        str(written(tmp_path / name, found))
        for name, found in {"first": GOOD, "worse": WORSE, "later": GOOD}.items()
    )
    assert main(["nightly", first, *options]) == 0
    assert "no earlier good run in" in capsys.readouterr().out
    assert main(["keep", first, "--last-good", kept]) == 0
    assert main(["nightly", worse, *options]) == 1
    assert "which valid_accuracy:-0.01 does not allow" in capsys.readouterr().out
    assert (tmp_path / "worse" / "summary.md").read_text().startswith("## No good run")
    assert main(["nightly", later, *options, "--out", str(tmp_path / "said.md")]) == 0
    assert (tmp_path / "said.md").read_text().startswith("## A good run\n\nCompared with")


def test_rules_that_make_no_sense_are_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = written(tmp_path / "run", GOOD)
    assert main(["nightly", str(run), "--last-good", str(tmp_path), "--fail-on", "beauty:-1"]) == 2
    assert "beauty is no metric" in capsys.readouterr().err
    assert not (run / "summary.md").exists()
