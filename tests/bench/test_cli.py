import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench import baseline
from bench.__main__ import main
from bench.records import run as records
from bench.records.run import FAILED
from tests.bench.samples import MODEL, TWIN, record


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder with two records."""
    return folder(tmp_path / "run", {})


def folder(path: Path, changes: dict[str, Any]) -> Path:
    path.mkdir()
    for model in (TWIN, MODEL):
        records.append(path / "records.jsonl", record(model, **changes))
    return path


@pytest.mark.parametrize("what", ["", "records.jsonl"], ids=["folder", "file"])
def test_tables_are_made_again_from_the_records(run: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tables", str(run / what)]) == 0
    assert f"| {MODEL} | 1 | 0.25 | 0.900 |" in (run / "tables" / "fusion.md").read_text()
    printed = capsys.readouterr().out
    assert "MaxPool beside strided convolution" in printed
    assert f"written to {run / 'tables'}" in printed


def test_tables_go_where_they_are_asked_to(run: Path, tmp_path: Path) -> None:
    assert main(["tables", str(run), "--out", str(tmp_path / "there")]) == 0
    assert (tmp_path / "there" / "fusion.csv").is_file()
    assert not (run / "tables").exists()


def test_figures_are_drawn_of_several_runs_together(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = folder(tmp_path / "other", {"seed": 52})
    assert main(["plots", str(run), str(other)]) == 0
    assert str(run / "plots" / "curves.svg") in capsys.readouterr().out.splitlines()
    assert not (other / "plots").exists()


def test_without_a_completed_cell_nothing_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed = folder(tmp_path / "failed", {"status": FAILED})
    assert main(["plots", str(failed), "--out", str(tmp_path / "there")]) == 2
    assert "no cell was completed" in capsys.readouterr().err
    assert not (tmp_path / "there").exists()


def test_comparing_prints_what_changed(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    later = folder(tmp_path / "later", {"best_valid_loss": 0.5})
    assert main(["compare", str(run), str(later)]) == 0
    assert "+0.25" in capsys.readouterr().out


def test_a_run_can_be_compared_with_the_baseline_of_a_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def git(*arguments: str) -> None:
        author = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        subprocess.run(["git", "-C", str(tmp_path), *author, *arguments], check=True, capture_output=True)

    monkeypatch.setattr(baseline, "ROOT", tmp_path)
    monkeypatch.setattr(baseline, "FOLDER", tmp_path / "results" / "baseline")
    git("init")
    git("commit", "--allow-empty", "-m", "nothing")
    baseline.add([record(best_valid_loss=0.75)])
    git("add", ".")
    git("commit", "-m", "records")
    baseline.add([record(best_valid_loss=0.25)])
    git("commit", "-am", "better ones")
    assert main(["compare", "HEAD~1", "HEAD"]) == 0
    assert re.search(r"best valid loss +│ +0.75 │ +0.25 │ +-0.5 ", capsys.readouterr().out)
    assert main(["compare", "HEAD~2", "HEAD"]) == 2
    assert "HEAD~2: this commit has no records in results/baseline" in capsys.readouterr().err
    assert main(["compare", "nowhere", "HEAD"]) == 2
    assert re.fullmatch(
        r"error: git ls-tree .*nowhere.*; give the folder of a run, a records file, or a commit of .*\n",
        capsys.readouterr().err,
    )


@pytest.mark.parametrize(("rule", "status"), [("valid_loss:+0.1", 1), ("valid_loss:+0.3", 0)])
def test_comparing_fails_where_a_rule_is_broken(
    rule: str, status: int, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later = folder(tmp_path / "later", {"best_valid_loss": 0.5})
    assert main(["compare", str(run), str(later), "--fail-on", rule]) == status
    assert (f"best valid loss 0.25 -> 0.5 (+0.25), which {rule}" in capsys.readouterr().out) == bool(status)
    assert main(["compare", str(run), str(later), "--fail-on", "loss"]) == 2
    assert "error: --fail-on 'loss': give a metric, a sign" in capsys.readouterr().err


def test_runs_without_a_cell_in_common_are_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = folder(tmp_path / "other", {"seed": 7})
    assert main(["compare", str(run), str(other)]) == 2
    assert "have no completed cell in common" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), (b"", "holds no record"), (b"garbage\n", "line 1: not JSON")],
)
def test_what_cannot_be_read_is_said_in_one_line(
    content: bytes | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "records.jsonl").write_bytes(content)
    assert main(["tables", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: {tmp_path / 'records.jsonl'}")
    assert message in printed.err
    assert printed.err.count("\n") == 1
