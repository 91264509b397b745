"""The benchmarks as a user starts them: ``pytest bench`` with profile smoke.

A run that is killed has a process of its own. The others share this one, as loading torch takes longer than what
they train.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.cli import main
from bench.harness.progress import Progress
from bench.harness.saved import facts
from bench.records import COMPLETED, ProbeRecord, RunRecord, SampleRecord, read
from bench.registry import find_study
from bench.test_scaling import AXES
from data_utils import register_dataset
from fusion_models import MODELS
from tests.bench.nested import nested
from tests.bench.samples import MODEL, cropped, small_dataset

ROOT = Path(__file__).parents[2]

ONE_CELL = f"test_training and {MODEL}"
WITHOUT = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")  # the latter takes a second to load
SMOKE = ("--profile", "smoke", "--device", "cpu")


@dataclass(frozen=True)
class Ended:
    """A run of pytest that has ended."""

    code: int
    output: str
    folder: Path

    @property
    def benchmarks(self) -> list[dict[str, Any]]:
        benchmarks: list[dict[str, Any]] = json.loads((self.folder / "benchmark.json").read_text())["benchmarks"]
        return benchmarks

    @property
    def records(self) -> list[RunRecord]:
        return read(self.folder / "records.jsonl", RunRecord)


def command(results: Path, history: Path, *arguments: str) -> list[str]:
    storage = ("--benchmark-storage", f"file://{history}")
    where = ("--results-dir", str(results), *storage)
    return [sys.executable, "-m", "pytest", "bench", *WITHOUT, *where, *arguments]


def environment() -> dict[str, str]:
    """Ours without what pytest sets for the tests that it runs; one thread is enough."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return {**ours, "OMP_NUM_THREADS": "1"}


def bench(results: Path, history: Path, *arguments: str, figures: bool = False) -> Ended:
    """``pytest bench`` in this process; without figures, which take as long as a training."""
    _, _, _, *words = command(results, history, *arguments)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "200")  # no line of a table is broken
        if not figures:
            patch.setattr("bench.plots.write_figures", lambda *_: [])
        ended = nested(words)
    return Ended(ended.code, ended.output, results)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("history")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, history: Path) -> Ended:
    return bench(tmp_path_factory.mktemp("first"), history, *SMOKE, "-k", ONE_CELL, figures=True)


def test_a_run_passes_and_prints_where_its_results_are(first: Ended) -> None:
    assert first.code == 0, first.output
    assert re.search(rf"^\[1/1\] {MODEL} +loss \S+ +accuracy [01]\.\d+", first.output, re.MULTILINE)
    assert f"1 record is in {first.folder}" in first.output
    assert "1 passed" in first.output
    assert "warning" not in first.output


def test_a_run_writes_records_tables_figures_checkpoint_and_samples(first: Ended) -> None:
    (record,) = first.records
    assert (record.model, record.status, record.profile, record.seed) == (MODEL, COMPLETED, "smoke", 51)
    tables = ("fusion", "predictions", "classes", "cost", "thresholds")
    assert {path.name for path in (first.folder / "tables").iterdir()} == {
        f"{table}.{suffix}" for table in tables for suffix in ("md", "tex", "csv")
    }
    assert MODEL in (first.folder / "tables" / "fusion.md").read_text()
    assert {path.name for path in (first.folder / "plots").iterdir()} == {
        f"{figure}.{suffix}" for figure in ("curves", "cost") for suffix in ("png", "svg")
    }
    assert f"figures are in {first.folder / 'plots'}" in first.output
    assert [path.name for path in (first.folder / "checkpoints").iterdir()] == [record.checkpoint]
    (samples,) = (first.folder / "samples").iterdir()
    assert {sample.weights_sha256 for sample in read(samples, SampleRecord)} == {record.weights_sha256}
    assert (record.plugins, record.question) == ([], find_study("standard").question)


def test_benchmark_json_holds_the_record_and_one_round_per_epoch(first: Ended) -> None:
    (record,) = first.records
    (entry,) = first.benchmarks
    assert entry["extra_info"] == facts(record)
    assert entry["stats"]["rounds"] == len(record.epoch_seconds) == record.protocol["epochs"] == 2
    # The timer of pytest-benchmark includes our own.
    assert all(
        own <= outer <= own + 0.1 for own, outer in zip(record.epoch_seconds, entry["stats"]["data"], strict=True)
    )


def test_a_second_run_is_compared_in_times_and_in_results(first: Ended, history: Path, tmp_path: Path) -> None:
    second = bench(tmp_path / "second", history, *SMOKE, "-k", ONE_CELL, "--benchmark-compare")
    assert second.code == 0, second.output
    assert f"test_training[{MODEL}] (NOW)" in second.output
    assert f"test_training[{MODEL}] (0001" in second.output
    assert "Compared with the earlier run" in second.output
    # Equal bits: loss, accuracy, parameters and memory have no change.
    same = re.findall(r"(test loss|test accuracy|parameters|peak memory).* = .* same\b", second.output)
    assert len(same) == 4
    (a,), (b,) = first.benchmarks, second.benchmarks
    assert a["extra_info"]["weights_sha256"] == b["extra_info"]["weights_sha256"]


def test_without_an_earlier_run_nothing_is_compared_and_nothing_fails(tmp_path: Path) -> None:
    rules = ("--fail-on", "test_accuracy:-0.01,valid_accuracy:-0.01,epoch_time:+15%")
    ended = bench(tmp_path / "run", tmp_path / "history", *SMOKE, "-k", ONE_CELL, "--benchmark-compare", *rules)
    assert ended.code == 0, ended.output
    assert "no earlier run of this kind to compare with" in ended.output
    assert "--fail-on: no earlier run completed any of these cells, so nothing was judged" in ended.output
    assert "Compared with the earlier run" not in ended.output


def history_of(first: Ended, folder: Path, machine: dict[str, Any], facts: dict[str, Any]) -> Path:
    """A history of one run, the first with these changes."""
    saved = json.loads((first.folder / "benchmark.json").read_text())
    saved["machine_info"] |= machine
    saved["benchmarks"][0]["extra_info"] |= facts
    folder.mkdir()
    (folder / "0001_earlier.json").write_text(json.dumps(saved))
    return folder


def test_another_machine_is_printed_in_capitals_and_times_are_not_judged(first: Ended, tmp_path: Path) -> None:
    history = history_of(first, tmp_path / "history", {"device_name": "another processor"}, {})
    whole = (history / "0001_earlier.json").read_bytes()
    for name, content in {"0002_cut.json": whole[:-100], "0003_foreign.json": b'{"benchmarks": [{}]}'}.items():
        (history / name).write_bytes(content)
    rules = ("--fail-on", "epoch_time:+0%,peak_memory:+0,valid_accuracy:-0")
    ended = bench(tmp_path / "run", history, *SMOKE, "-k", ONE_CELL, "--benchmark-compare", *rules)
    assert ended.code == 0, ended.output
    for name in ("0002_cut", "0003_foreign"):
        passed_over = (
            rf"^--benchmark-compare: passed over .*{name}\.json, which is not a stored run \(.*\); remove it"
        )
        assert re.search(passed_over, ended.output, re.MULTILINE)
    assert "NOT THE SAME MACHINE" in ended.output
    assert re.search(r"^  device_name: another processor -> ", ended.output, re.MULTILINE)
    assert re.search(r"epoch time .* not judged\b", ended.output)
    assert "not judged everywhere: epoch_time:+0%: judged for 0 of the 1 models in both runs" in ended.output


def test_a_run_that_breaks_a_rule_fails_with_the_reason_and_is_not_compared_with_later(
    first: Ended, tmp_path: Path
) -> None:
    history = history_of(first, tmp_path / "history", {}, {"valid_accuracy": 1.5, "weights_sha256": "0" * 64})
    rules = ("--fail-on", "valid_accuracy:-0.01")
    ended = bench(tmp_path / "run", history, *SMOKE, "-k", ONE_CELL, "--benchmark-compare", *rules)
    assert ended.code == 1, ended.output
    assert "1 passed" in ended.output
    assert "FAILED --fail-on: worse than the earlier run" in ended.output
    assert re.search(rf"^  {MODEL} \(seed 51\): valid accuracy 1\.500 -> 0\.", ended.output, re.MULTILINE)
    assert [path.name for path in history.rglob("*.json")] == ["0001_earlier.json"]
    assert (ended.folder / "benchmark.json").exists()


def test_times_that_regressed_by_the_rule_of_pytest_benchmark_fail_and_leave_the_tables(
    first: Ended, tmp_path: Path
) -> None:
    history = history_of(first, tmp_path / "history", {}, {})
    rules = ("--benchmark-compare", "--benchmark-compare-fail", "median:0.0000001")
    saved = json.loads((history / "0001_earlier.json").read_text())
    saved["benchmarks"][0]["stats"]["median"] = 1e-6
    (history / "0001_earlier.json").write_text(json.dumps(saved))
    ended = bench(tmp_path / "run", history, *SMOKE, "-k", ONE_CELL, *rules)
    assert ended.code == 1, ended.output
    assert "Performance has regressed" in ended.output
    assert re.search("^FAILED: the times regressed", ended.output, re.MULTILINE)
    assert "Traceback" not in ended.output
    assert f"1 record is in {ended.folder}" in ended.output
    assert (ended.folder / "tables" / "fusion.md").exists()


def test_without_the_timer_all_epochs_are_trained(history: Path, tmp_path: Path) -> None:
    ended = bench(tmp_path / "run", history, *SMOKE, "-k", ONE_CELL, "--benchmark-disable")
    assert ended.code == 0, ended.output
    (record,) = ended.records
    assert (record.status, len(record.train_losses)) == (COMPLETED, 2)
    assert not (ended.folder / "benchmark.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--dataset", "nowhere"],
            r"'nowhere' is neither a data set nor an existing path; the data sets are: shapes.*",
        ),
        (["--device", "cuda:99"], r"--device cuda:99: .*"),
        (["--seeds", "many"], r"--seeds many: give a count .*"),
        (["--track", "paper"], r"--track paper: give one of none, wandb, tensorboard"),
        (["--results-dir", __file__], r"cannot write results to .*; give another folder with --results-dir"),
        (
            ["--fail-on", "speed:+1%"],
            r"--fail-on 'speed:\+1%': there is no metric speed; give one of test_loss, .*",
        ),
        (["--fail-on", "parameters:+0"], r"--fail-on compares with an earlier run; add --benchmark-compare"),
        (["--benchmark-compare=0099"], r"--benchmark-compare 0099: .* has no such run; .*"),
        (["-n", "2"], r"benchmarks share the machine's cores when run in parallel; leave -n out"),
        (["--study", "nothing"], r"--study nothing: give one of all, claims, standard, .*"),
        (["--set", "epochs"], r"--set epochs: give a field of the protocol and its value, such as epochs=3"),
        (["--set", "epoch=3"], r"--set epoch=3: not a field of the protocol; the fields are: pairs, .*"),
        (["--set", "normalized=rgb,lidr"], r"--set normalized=rgb,lidr: the data have no modality 'lidr'; .*"),
        (["--plugin", "gone.py"], r"--plugin gone\.py: this file does not exist; give the path of a Python file"),
        (["--plugin=gone.py"], r"--plugin gone\.py: this file does not exist; give the path of a Python file"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_options_that_cannot_be_used_end_in_one_sentence(
    arguments: list[str], message: str, history: Path, tmp_path: Path
) -> None:
    ended = bench(tmp_path / "run", history, "--profile", "smoke", "-k", ONE_CELL, *arguments)
    assert ended.code == 4
    assert len(re.findall(rf"^ERROR: {message}$", ended.output, re.MULTILINE)) == 1
    assert "Traceback" not in ended.output
    assert not (tmp_path / "run").exists()


STRIKE = """
import signal
from bench.harness.progress import Progress

epochs = []

def strike(progress, result):
    epochs.append(result)
    if len(epochs) == {epochs}:
        signal.raise_signal(signal.{name})

Progress.epoch = strike
"""
"""A plug-in of pytest that sends its process a signal while the second cell is trained."""


def test_an_interrupted_run_keeps_what_has_ended(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Progress, "epoch", Progress.epoch)  # undone at the end
    # Shells let what they start in the background ignore Ctrl-C, and that is inherited.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    exec(STRIKE.format(name="SIGINT", epochs=3), {})  # noqa: S102 - in the first epoch of the second cell
    try:
        ended = bench(tmp_path / "run", history, *SMOKE, "-k", ONE_CELL, "--seeds", "50")
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.code == 2, ended.output
    (record,) = ended.records
    assert record.status == COMPLETED
    assert f"1 record is in {ended.folder}" in ended.output
    assert "interrupted; 49 of 50 cells are unfinished; the others are kept, and the same command" in ended.output
    assert MODEL in (ended.folder / "tables" / "fusion.md").read_text()
    assert "KeyboardInterrupt" in ended.output


def test_a_run_that_is_terminated_in_its_first_cell_ends_as_by_ctrl_c(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Progress, "epoch", Progress.epoch)  # undone at the end
    exec(STRIKE.format(name="SIGTERM", epochs=1), {})  # noqa: S102
    ended = bench(tmp_path / "run", history, *SMOKE, "-k", ONE_CELL)
    assert ended.code == 2, ended.output
    assert f"interrupted before any cell was finished; {ended.folder} has no records" in ended.output
    assert "SIGTERM" in ended.output
    assert "Traceback" not in ended.output
    assert ended.records == []


TIMED = re.compile("second|efficiency|achieved_flops")
"""Columns and metrics that no two runs share."""

TWO_CELLS = "test_training and compact-intermediate-add"


def without_times(folder: Path) -> dict[str, str]:
    """The tables of a run as text, without what no two runs share."""
    frames = {path.name: pd.read_csv(path) for path in (folder / "tables").glob("*.csv")}
    for name, frame in frames.items():
        kept = frame.loc[:, [not TIMED.search(str(column)) for column in frame]]
        if "metric" in kept:
            kept = kept[~kept.metric.str.contains(TIMED)]
        frames[name] = kept
    return {name: frame.to_csv() for name, frame in frames.items()}


@pytest.mark.slow
def test_a_killed_run_that_is_resumed_has_the_same_tables(history: Path, tmp_path: Path) -> None:
    whole = bench(tmp_path / "whole", tmp_path / "history", *SMOKE, "-k", TWO_CELLS)
    killed = tmp_path / "killed"
    (tmp_path / "strike.py").write_text(STRIKE.format(name="SIGKILL", epochs=3))
    done = subprocess.run(
        [*command(killed, history, *SMOKE, "-k", TWO_CELLS), "-p", "strike"],
        cwd=ROOT,
        env={**environment(), "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    finished = read(killed / "records.jsonl", RunRecord)
    assert (len(finished), len(whole.records)) == (1, 2)
    assert not (killed / "tables").exists()

    resumed = bench(killed, history, *SMOKE, "-k", TWO_CELLS, "--resume")
    assert resumed.code == 0, resumed.output
    assert len(re.findall(r"^\[.*from records: loss", resumed.output, re.MULTILINE)) == len(finished)
    records = resumed.records
    assert records[: len(finished)] == finished  # nothing was trained again
    assert without_times(killed) == without_times(whole.folder)
    assert [record.weights_sha256 for record in records] == [record.weights_sha256 for record in whole.records]
    # The file of pytest-benchmark also has the cells that were not run, with the times of their records.
    for entry, kept in zip(resumed.benchmarks, records, strict=True):
        assert entry["extra_info"]["weights_sha256"] == kept.weights_sha256
        assert entry["stats"]["data"] == pytest.approx(kept.epoch_seconds, abs=0.1)


@pytest.mark.usefixtures("registries")
def test_models_that_do_not_fit_the_data_are_skipped_with_the_reason(history: Path, tmp_path: Path) -> None:
    whole = small_dataset()
    info = replace(whole.info, channels={"rgb": 4, "thermal": 4}, classes=("cubes", os.fsdecode(b"M\xfctzen")))
    thermal = replace(whole, info=info, inputs={"rgb": whole.inputs["rgb"], "thermal": whole.inputs["lidar"]})
    register_dataset("no-lidar")(lambda pairs, seed: thermal)  # noqa: ARG005
    words = "(test_training or test_latency) and wide and maxpool and (lidar or rgb)"
    ended = bench(tmp_path / "run", history, *SMOKE, "--dataset", "no-lidar", "-k", words)
    assert ended.code == 0, ended.output
    assert "2 passed, 2 skipped" in ended.output
    assert re.search(r"^\[2/2\] wide-lidar-maxpool +skipped: .*lidar", ended.output, re.MULTILINE)
    assert [record.model for record in ended.records] == ["wide-rgb-maxpool"]
    assert len(ended.benchmarks) == 2
    (skipped,) = re.findall(r"^skipped: (.*)", ended.output, re.MULTILINE)
    assert "lidar" in skipped
    assert ended.records[0].class_names == ["cubes", r"M\xfctzen"]  # a name that is not UTF-8


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (
            "(test_training or test_latency) and wide-late-concat",
            "wide-late-concat-maxpool halves images 3 times: height and width must be multiples of 8, not 12x10; ",
        ),
        ("test_latency and wide-rgb", "wide-rgb-maxpool halves images 3 times"),
    ],
    ids=["with trainings", "without"],
)
def test_a_run_is_refused_where_no_model_fits(words: str, reason: str, history: Path, tmp_path: Path) -> None:
    cropped(12, 10)
    ended = bench(tmp_path / "run", history, *SMOKE, "--dataset", "cropped", "-k", words)
    assert ended.code == 4
    assert f"ERROR: no model fits the data, so nothing is measured: {reason}" in ended.output
    assert "Choose other models, or change the data: --image-size " in ended.output
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("registries")
def test_the_reason_of_a_refusal_is_printed_although_another_plugin_raises_at_the_end(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cropped(12, 10)
    (tmp_path / "an_end_that_raises.py").write_text("def pytest_sessionfinish():\n    raise OSError('theirs')\n")
    monkeypatch.syspath_prepend(tmp_path)
    words = ("--dataset", "cropped", "-k", ONE_CELL, "-p", "an_end_that_raises")
    ended = bench(tmp_path / "run", history, *SMOKE, *words)
    assert ended.code == 4
    assert "pytest or one of its plug-ins failed at the end (OSError: theirs)" in ended.output
    assert "ERROR: no model fits the data" in ended.output


@pytest.mark.usefixtures("registries")
def test_the_summary_has_the_reason_of_a_benchmark_that_is_skipped_without_a_model(
    history: Path, tmp_path: Path
) -> None:
    cropped(12, 10)
    ended = bench(tmp_path / "run", history, *SMOKE, "--dataset", "cropped", "-k", "test_engine")
    assert ended.code == 0, ended.output
    assert re.search("^skipped: no model of two modalities fits ", ended.output, re.MULTILINE)


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize("shard", [(), ("--shard", "1/2")], ids=["all", "a shard"])
def test_selected_models_that_do_not_fit_are_skipped_where_others_fit(
    shard: tuple[str, ...], history: Path, tmp_path: Path
) -> None:
    cropped(16, 8)
    words = ("--dataset", "cropped", "-k", "test_training and matmul", *shard)
    ended = bench(tmp_path / "run", history, *SMOKE, *words)
    assert ended.code == 0, ended.output
    reason = "wide-intermediate-matmul-maxpool: Matmul needs square maps (C, N, N), not (128, 2, 1)"
    start = f"no selected model fits the data, so nothing is measured: {reason}"
    assert re.search(f"^{re.escape(start)}", ended.output, re.MULTILINE)


def test_tables_that_cannot_be_written_fail_the_run_after_everything_else_is_saved_and_figures_are_noted(
    history: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "plots").touch()  # files where folders should be
    (run / "tables").touch()
    ended = bench(run, history, *SMOKE, "-k", ONE_CELL, figures=True)
    assert ended.code == 1, ended.output
    assert "1 passed" in ended.output
    for what, command in (("FAILED: the tables", "tables"), ("the figures", "plots")):
        failure = rf"^{what} could not be written \(FileExistsError: .*; try again: python -m bench {command} "
        assert re.search(failure, ended.output, re.MULTILINE)
    assert "Traceback" not in ended.output
    assert len(ended.records) == len(ended.benchmarks) == 1


def test_a_history_that_cannot_be_written_leaves_a_note(tmp_path: Path) -> None:
    (tmp_path / "history").touch()  # a file where the folder should be
    ended = bench(tmp_path / "run", tmp_path / "history", *SMOKE, "-k", ONE_CELL, "--benchmark-compare")
    assert ended.code == 0, ended.output
    note = (
        "this run is not kept for later comparisons, as its history cannot be written to .*; name another folder"
    )
    said, summary = (found.start() for found in re.finditer(note, ended.output))
    assert said < ended.output.index("[1/1]") < summary  # before the training, and at the end
    assert "Traceback" not in ended.output


def test_settings_show_in_ids_and_records_and_the_command_runs_the_cell_again(
    history: Path, tmp_path: Path
) -> None:
    settings = ("--set", "epochs=1", "--set", "batch_size=32", "--seeds", "7,")
    ended = bench(tmp_path / "run", history, *SMOKE, "-k", ONE_CELL, *settings)
    assert ended.code == 0, ended.output
    assert re.search(rf"^\[1/1\] epochs=1:{MODEL}-seed7 +loss", ended.output, re.MULTILINE)
    (record,) = ended.records
    assert (record.variant, record.protocol["epochs"], record.protocol["batch_size"]) == ("epochs=1", 1, 32)
    assert f"epochs=1 {MODEL}" in (ended.folder / "tables" / "fusion.md").read_text()

    threads, program, *words = shlex.split(record.command)
    assert (threads, program) == ("OMP_NUM_THREADS=1", "pytest")
    again = nested([*words, "--results-dir", str(tmp_path / "again"), "--benchmark-storage", f"file://{history}"])
    assert again.code == 0, again.output
    (rerun,) = read(tmp_path / "again" / "records.jsonl", RunRecord)
    assert (rerun.weights_sha256, rerun.command) == (record.weights_sha256, record.command)


@pytest.mark.usefixtures("registries")
def test_a_plugin_that_raises_is_loaded_once(tmp_path: Path) -> None:
    """A second try would find the names taken that the first one registered."""
    plugin = tmp_path / "half.py"
    plugin.write_text(
        "from bench import register_metric\n"
        "register_metric('half', higher_is_better=True)(lambda logits, labels: 0.5)\n"
        "undefined\n"
    )
    ended = nested(["bench", "--plugin", str(plugin), "--collect-only", "-q"])
    assert ended.code == 4
    assert re.search(r"^ERROR: .*half\.py, line 3 raises NameError: .*", ended.output, re.MULTILINE)
    assert "already registered" not in ended.output


@pytest.mark.parametrize("words", [["--collect-only", "-q"], ["--help"]], ids=["ids", "help"])
def test_ids_and_help_need_no_torch(words: list[str]) -> None:
    blocked = "import sys; sys.modules.update(torch=None, pandas=None, matplotlib=None); import pytest"
    done = subprocess.run(
        [sys.executable, "-c", f"{blocked}; sys.exit(pytest.main(sys.argv[1:]))", "bench", *WITHOUT, *words],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (f"test_training[{MODEL}]" if "-q" in words else "robustness") in done.stdout


def collected(*arguments: str) -> list[str]:
    ended = nested(["bench", "--collect-only", "-q", *arguments])
    assert ended.code == 0, ended.output
    return [name.partition("::")[2] for name in ended.ids]


def test_a_model_that_does_not_exist_is_answered_with_those_that_do(history: Path, tmp_path: Path) -> None:
    ended = bench(tmp_path / "run", history, *SMOKE, "-k", "wide-intermediate-divide")
    assert ended.code == 5
    assert "-k 'wide-intermediate-divide' matches no id" in ended.output
    assert ", ".join(MODELS) in ended.output


def test_ids_can_be_guessed_and_stride_selects_both_sides_of_every_strategy() -> None:
    ids = collected("-k", "stride")
    assert "test_training[wide-intermediate-concat-strided]" in ids
    assert set(ids) == {f"test_training[{name}]" for name in MODELS}


def test_inference_ends_in_a_table_and_in_benchmark_json(history: Path, tmp_path: Path) -> None:
    words = ("--set", "precision=bf16", "-k", f"(latency or throughput) and {MODEL}")
    ended = bench(tmp_path / "run", history, *SMOKE, *words)
    assert ended.code == 0, ended.output
    assert "precision: bf16" in (tmp_path / "run" / "tables" / "inference.md").read_text()
    assert f"tables are in {tmp_path / 'run'}" in ended.output
    assert {path.name for path in (tmp_path / "run" / "tables").iterdir()} == {
        f"inference.{suffix}" for suffix in ("md", "tex", "csv")
    }
    assert MODEL in (tmp_path / "run" / "tables" / "inference.md").read_text()
    batches = [(entry["extra_info"]["model"], entry["extra_info"]["batch_size"]) for entry in ended.benchmarks]
    assert batches == [(MODEL, 1), (MODEL, 32)]


def test_costs_beside_the_trainings_are_chosen_by_their_words() -> None:
    model = "compact-intermediate-concat-strided"
    assert collected("-k", f"(latency or throughput or scaling) and {model}") == [
        f"test_latency[{model}]",
        f"test_throughput[{model}]",
        *(f"test_scaling[{axis}-{model}]" for axis in AXES),
    ]


def test_a_study_runs_its_own_models_alone() -> None:
    study = find_study("downsampling-deep")
    assert collected("--study", study.name) == [f"test_training[{study.name}:{name}]" for name in study.models]


def test_a_published_study_runs_on_data_of_other_classes(history: Path, tmp_path: Path) -> None:
    arguments = ("--study", "fusion-compact", "-k", "late", "--dataset", "shapes-four")
    ended = bench(tmp_path / "run", history, *SMOKE, *arguments)
    assert ended.code == 0, ended.output
    (record,) = ended.records
    assert record.classes == 4
    (table,) = (ended.folder / "tables").glob("*-published.md")
    assert "sizes cannot be compared" in table.read_text()


def test_probes_follow_the_training_of_the_studies_that_request_them() -> None:
    study = find_study("robustness")
    assert collected("--study", f"{study.name},downsampling-deep") == [
        *(f"test_training[{study.name}:{name}]" for name in study.models),
        *(f"test_training[downsampling-deep:{name}]" for name in find_study("downsampling-deep").models),
        *(f"test_{probe}[{study.name}:{name}]" for probe in sorted(study.probes) for name in study.models),
    ]


def test_a_probe_trains_what_it_needs_and_its_tables_can_be_made_again(history: Path, tmp_path: Path) -> None:
    arguments = ("--study", "robustness", "--seeds", "2", "-k", "test_features and early-concat-strided")
    ended = bench(tmp_path / "run", history, *SMOKE, *arguments)
    assert ended.code == 0, ended.output
    assert [record.seed for record in ended.records] == [51, 52]
    assert re.search(r"^\[2/2\] robustness:wide-early-concat-strided-seed52 +loss", ended.output, re.MULTILINE)
    probes = read(ended.folder / "probes.jsonl", ProbeRecord)
    assert {(probe.seed, probe.other_seed) for probe in probes} == {(51, None), (52, None), (52, 51)}
    table = ended.folder / "tables" / "robustness-features.md"
    first = table.read_text()
    table.unlink()
    assert main(["tables", str(ended.folder)]) == 0
    assert table.read_text() == first

    resumed = bench(ended.folder, history, *SMOKE, *arguments, "--resume")
    assert resumed.code == 0, resumed.output
    taken = re.findall(r"strided(?:-seed52)? +from records: features: \d+ values$", resumed.output, re.MULTILINE)
    assert len(taken) == 2
    assert read(ended.folder / "probes.jsonl", ProbeRecord) == probes  # nothing was measured again
    assert table.read_text() == first
