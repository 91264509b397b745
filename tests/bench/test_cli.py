"""``python -m bench``: what each command prints and writes, and what is refused with exit status 2.

The commands of a nightly job are tested in ``test_main_nightly.py``, ``audit`` in ``harness/test_audits.py``,
``corruptions`` in ``probes/test_sheet.py``, ``run`` in ``test_wheel.py``.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, TypeVar

import pytest

from bench import baseline
from bench.cli import main
from bench.records import FAILED, append
from tests.bench.report.pages import inference
from tests.bench.samples import MODEL, TWIN, record

T = TypeVar("T")

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder with two records."""
    return folder(tmp_path / "run", {})


def folder(path: Path, changes: dict[str, Any]) -> Path:
    path.mkdir()
    for model in (TWIN, MODEL):
        append(path / "records.jsonl", record(model, **changes))
    return path


@pytest.mark.parametrize("what", ["", "records.jsonl"], ids=["folder", "file"])
def test_tables_are_made_again_from_the_records(run: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tables", str(run / what)]) == 0
    assert f"| {MODEL} | 1 | 0.2500 | 0.900 |" in (run / "tables" / "fusion.md").read_text()
    printed = capsys.readouterr().out
    assert "embedders compared with maxpool" in printed
    assert f"written to {run / 'tables'}" in printed


def test_tables_go_to_the_folder_that_is_named(run: Path, tmp_path: Path) -> None:
    assert main(["tables", str(run), "--out", str(tmp_path / "there")]) == 0
    assert (tmp_path / "there" / "fusion.csv").is_file()
    assert not (run / "tables").exists()


def test_what_is_made_of_the_only_run_of_a_folder_is_beside_its_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.plots.write_figures", lambda _, path, *__: [path.mkdir()])
    monkeypatch.setattr("bench.report.writing.write_page", lambda _, path, __: path.write_text("a page"))
    (tmp_path / "runs").mkdir()
    run = folder(tmp_path / "runs" / "a", {})
    for command in ("tables", "plots", "report", "history"):
        assert main([command, str(tmp_path / "runs")]) == 0
    made = {"tables", "plots", "report.html", "history.json"}
    assert {path.name for path in run.iterdir()} == {"records.jsonl", *made}
    assert list((tmp_path / "runs").iterdir()) == [run]
    folder(tmp_path / "runs" / "b", {"seed": 52})
    assert main(["report", str(tmp_path / "runs")]) == 0  # a page of both is in neither
    assert (tmp_path / "runs" / "report.html").is_file()


def test_the_home_folder_can_be_named_where_the_shell_leaves_its_sign(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(run.parent))
    assert main(["history", "~/run", "--out=~/there.json"]) == 0
    assert (run.parent / "there.json").is_file()
    assert main(["compare", "~/run", "~/run/records.jsonl"]) == 0


OWN_CLAIMS = f"""
looks = [6]
run = ["standard"]

[settings]
"" = ["standard"]

[[claims]]
name = "ours"
words = "strided convolutions are better"
reading = "the loss is lower"
[[claims.tests]]
estimand = "loss"
comparisons = ["{TWIN} is better than {MODEL}"]
"""


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("command", ["tables", "report"])
def test_own_claims_are_judged_again(command: str, run: Path, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN_CLAIMS)
    made = run / "tables" / "claims.md" if command == "tables" else run / "report.html"
    assert main([command, str(run)]) == 0
    assert not made.is_file() or "strided convolutions are better" not in made.read_text()
    assert main([command, str(run), "--claims", str(tmp_path / "own.toml")]) == 0
    assert "strided convolutions are better" in made.read_text()


def test_claims_that_cannot_be_read_are_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tables", str(run), "--claims", "nowhere.toml"]) == 2
    assert "nowhere.toml" in capsys.readouterr().err


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

    monkeypatch.setenv("COLUMNS", "200")  # no line of the table is broken
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
    assert re.search(r"best valid loss +│ +0\.7500 │ +0\.2500 │ +-0\.500 ", capsys.readouterr().out)
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
    assert (f"best valid loss 0.2500 -> 0.5000 (+0.250), which {rule}" in capsys.readouterr().out) == bool(status)
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
    [
        (None, r"{folder}: holds no records; pass the folder of a run.*"),
        (b"", r"{folder}: holds no records; .*"),
        (b"garbage\n", r"{folder}/records\.jsonl, line 1: not a RunRecord .*; remove the line or .*"),
    ],
)
@pytest.mark.parametrize("command", ["tables", "plots", "report", "history"])
def test_records_that_cannot_be_read_are_answered_in_one_line(
    command: str, content: bytes | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "records.jsonl").write_bytes(content)
    assert main([command, str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.fullmatch(f"error: {message.format(folder=tmp_path)}\n", printed.err)


def test_a_folder_that_cannot_be_written_is_answered_in_one_line(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "tables").touch()
    assert main(["tables", str(run)]) == 2
    assert re.fullmatch(r"error: .*File exists.*tables'\n", capsys.readouterr().err)


# The page


class Here(Executor):
    """Calls in this process: another one takes longer to start than the page takes."""

    def submit(self, call: Callable[..., T], /, *arguments: Any, **words: Any) -> Future[T]:
        future: Future[T] = Future()
        future.set_result(call(*arguments, **words))
        return future


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.report.writing.ProcessPoolExecutor", lambda **_: Here())


@pytest.mark.usefixtures("in_this_process")
def test_the_page_of_a_run_is_beside_its_records(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run)]) == 0
    assert capsys.readouterr().out == f"written to {run / 'report.html'}\n"
    assert MODEL in (run / "report.html").read_text()


@pytest.mark.usefixtures("in_this_process")
def test_the_page_of_several_runs_goes_to_the_file_that_is_named(run: Path, tmp_path: Path) -> None:
    other = folder(tmp_path / "other", {"dataset": "moons"})
    page = tmp_path / "new" / "page.html"
    assert main(["report", str(run), str(other / "records.jsonl"), "--out", str(page)]) == 0
    assert "moons" in page.read_text()
    assert not (run / "report.html").exists()


@pytest.mark.usefixtures("in_this_process")
def test_without_a_run_the_page_shows_the_committed_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(baseline, "ROOT", tmp_path)
    monkeypatch.setattr(baseline, "FOLDER", tmp_path / "baseline")
    assert main(["report"]) == 2
    assert "no committed records; give the folder of a run, or a records file" in capsys.readouterr().err
    baseline.add([record(study="fusion-compact")])
    assert main(["report"]) == 0
    assert "fusion-compact" in (tmp_path / "results" / "runs" / "report.html").read_text()


@pytest.mark.usefixtures("in_this_process")
def test_measurements_alone_can_be_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    append(tmp_path / "costs.jsonl", inference(MODEL))
    assert main(["tables", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert MODEL in printed
    assert "no run was completed" not in printed
    assert main(["report", str(tmp_path)]) == 0


# Words

COMMANDS = (
    *("run", "tables", "plots", "report", "compare", "baseline", "merge", "history", "nightly", "keep"),
    *("audit", "schedule", "corruptions"),
)


def test_the_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert tuple(re.findall(r"^    (\w+)\s+[a-z]", capsys.readouterr().out, re.MULTILINE)) == COMMANDS


@pytest.mark.parametrize("words", [[], ["paint"], ["tables"], ["compare", "HEAD"], ["nightly", "run"]])
def test_words_that_are_no_command_exit_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert "usage: python -m bench" in capsys.readouterr().err


PLUGIN = """
from bench import STANDARD, Study, register_metric, register_study

@register_study("study-of-a-plugin")
def study():
    return Study(question="?", models=("wide-rgb-strided",), protocols={"": STANDARD})

@register_metric("sharpness", higher_is_better=True)
def sharpness(logits, labels):
    return 1.0
"""


@pytest.mark.usefixtures("registries")
def test_help_lists_what_a_plugin_registers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN)
    with pytest.raises(SystemExit, match="0"):
        main(["audit", f"--plugin={file}", "--help"])
    assert "study-of-a-plugin" in re.sub(r"-\s+", "-", capsys.readouterr().out)  # lines may end at a hyphen
    with pytest.raises(SystemExit, match="0"):
        main(["compare", "--plugin", str(file), "--help"])
    assert "valid_sharpness" in capsys.readouterr().out


def test_a_plugin_that_cannot_be_loaded_is_answered_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tables", str(tmp_path), "--plugin", str(tmp_path / "gone.py")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.fullmatch(r"error: --plugin .*gone\.py: this file does not exist; give .*\n", printed.err)


def test_help_loads_neither_torch_nor_pandas_nor_matplotlib() -> None:
    code = (
        "import sys\n"
        "from bench.cli import main\n"
        "try:\n    main(['audit', '--help'])\n"
        "finally:\n    print('loaded:', sorted({'torch', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "downsampling-wide" in done.stdout
    assert done.stdout.endswith("loaded: []\n")


# The end of a command


def test_runs_that_cannot_be_compared_are_told_apart(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = folder(tmp_path / "other", {"profile": "full", "seed": 7})
    assert main(["compare", str(run), str(other)]) == 2
    why = f"{run} has standard shapes quick cpu, seeds 51; {other} has standard shapes full cpu, seeds 7"
    assert f"have no completed cell in common; {why}\n" in capsys.readouterr().err
    first, second = (folder(tmp_path / name, {"data_sha256": name}) for name in ("first", "second"))
    assert main(["compare", str(first), str(second)]) == 2
    assert "have no completed cell in common on the same data\n" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_leaves_what_was_there(
    number: signal.Signals, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["history", str(run)]) == 0
    before = {path: path.read_bytes() for path in run.iterdir()}
    append(run / "records.jsonl", record(seed=52))
    monkeypatch.setattr(os, "fsync", lambda _: signal.raise_signal(number))
    assert main(["history", str(run)]) == 130
    assert capsys.readouterr().err == "interrupted; the files that were written are complete\n"
    assert {path: path.read_bytes() for path in run.iterdir() if path.name != "records.jsonl"} == {
        path: content for path, content in before.items() if path.name != "records.jsonl"
    }
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize(("rule", "status"), [("valid_loss:+0.1", 1), ("valid_loss:+0.3", 0)])
def test_nobody_reads_the_output_to_its_end(
    rule: str, status: int, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with ``| head``: the verdict is the exit status all the same."""
    later = folder(tmp_path / "later", {"best_valid_loss": 0.5})
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert main(["compare", str(run), str(later), "--fail-on", rule]) == status


def test_run_becomes_pytest_so_that_it_gets_the_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    class Replaced(BaseException):
        pass

    def replaced(program: str, words: list[str]) -> None:
        raise Replaced(program, *words)

    monkeypatch.setattr(os, "execv", replaced)
    with pytest.raises(Replaced) as raised:
        main(["run", "-k", "stride"])
    program, *words = raised.value.args
    assert words[:3] == [program, "-m", "pytest"]
    assert words[-4:] == ["--pyargs", "bench", "-k", "stride"]
