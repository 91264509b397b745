"""The commands of a nightly job: nightly, keep and history."""

import json
import shlex
from pathlib import Path

import pytest

from bench.analysis.history import history
from bench.cli import main
from bench.records import RunRecord, append
from tests.bench.analysis.samples import foreign
from tests.bench.samples import MODEL, TWIN, record

GOOD = [record(TWIN), record(MODEL)]
WORSE = [record(TWIN), record(MODEL, valid_accuracy=0.85)]


def written(folder: Path, records: list[RunRecord]) -> Path:
    folder.mkdir()
    for one in records:
        append(folder / "records.jsonl", one)
    return folder


def test_nights_one_after_the_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = str(tmp_path / "kept")
    options = ["--last-good", kept, "--fail-on", "valid_accuracy:-0.01"]
    first, worse, later = (
        str(written(tmp_path / name, records))
        for name, records in {"first": GOOD, "worse": WORSE, "later": GOOD}.items()
    )
    assert main(["nightly", first, *options]) == 0
    assert "no earlier good run in" in capsys.readouterr().out
    assert main(["keep", first, "--last-good", kept]) == 0
    assert main(["nightly", worse, *options]) == 1
    assert "which valid_accuracy:-0.01 does not allow" in capsys.readouterr().out
    assert (tmp_path / "worse" / "summary.md").read_text().startswith("## Not a good run")
    assert main(["nightly", later, *options, "--out", str(tmp_path / "later.md")]) == 0
    assert (tmp_path / "later.md").read_text().startswith("## A good run\n\nCompared with")


@pytest.mark.parametrize("command", ["nightly", "compare"])
def test_a_metric_that_only_records_declare_can_fail_a_run(command: str, tmp_path: Path) -> None:
    kept, before, now = tmp_path / "kept", tmp_path / "before", tmp_path / "now"
    written(before, [foreign(0.2)])
    written(now, [foreign(0.3)])
    assert main(["keep", str(before), "--last-good", str(kept)]) == 0
    runs = [str(now), "--last-good", str(kept)] if command == "nightly" else [str(before), str(now)]
    assert main([command, *runs, "--fail-on", "valid_brier:+0.01"]) == 1
    assert main([command, *runs, "--fail-on", "valid_brier:+0.5"]) == 0


def test_rules_that_make_no_sense_are_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = written(tmp_path / "run", GOOD)
    assert main(["nightly", str(run), "--last-good", str(tmp_path), "--fail-on", "beauty:-1"]) == 2
    assert "there is no metric beauty" in capsys.readouterr().err
    assert not (run / "summary.md").exists()


@pytest.mark.parametrize("out", [[], ["--out", "elsewhere.json"]])
def test_the_history_is_strict_json(out: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    append(tmp_path / "records.jsonl", record())
    assert main(["history", str(tmp_path), *out]) == 0
    path = tmp_path / (out[1] if out else "history.json")
    assert json.loads(path.read_text()) == history([record()])


def test_half_a_run_is_not_good_and_the_command_that_accepts_it_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, half = tmp_path / "kept", written(tmp_path / "half a run", GOOD[:1])
    assert main(["keep", str(written(tmp_path / "good", GOOD)), "--last-good", str(kept)]) == 0
    assert main(["nightly", str(half), "--last-good", str(kept), "--out", str(tmp_path / "new" / "s.md")]) == 1
    _, reason, _, remedy = capsys.readouterr().out.splitlines()
    assert reason == f"{MODEL} (seed 51): only in the last good run"
    assert remedy == f"if this is intended: python -m bench keep '{half}' --last-good {kept}"
    assert reason in (tmp_path / "new" / "s.md").read_text()
    assert main(shlex.split(remedy)[shlex.split(remedy).index("bench") + 1 :]) == 0
    assert main(["nightly", str(half), "--last-good", str(kept)]) == 0
