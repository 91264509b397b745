"""The benchmarks as a user starts them: ``pytest bench`` with small profiles.

Those that end in a crash have a process of their own. The others share this one, as loading torch takes longer
than what they train.
"""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.__main__ import main
from bench.costs.scaling import AXES
from bench.harness.options import resolve
from bench.harness.session import Session
from bench.records import probe as probe_records
from bench.records.run import COMPLETED, read
from bench.studies import STUDIES
from bench.training.runs import drive, silent
from fusion_models import MODELS
from tests.bench.nested import nested
from tests.bench.samples import MODEL

ROOT = Path(__file__).parents[2]

ONE_CELL = f"test_training and {MODEL}"
SMOKE = ("--profile", "smoke", "--device", "cpu")


@dataclass(frozen=True)
class Ended:
    """A run of pytest that has ended."""

    code: int
    output: str
    folder: Path

    @property
    def benchmarks(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads((self.folder / "benchmark.json").read_text())["benchmarks"]
        return found


def command(results: Path, history: Path, *arguments: str) -> list[str]:
    storage = ("--benchmark-storage", f"file://{history}")
    where = ("--results-dir", str(results), *storage)
    without = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")  # the latter takes a second to load
    return [sys.executable, "-m", "pytest", "bench", *without, *where, *arguments]


def environment() -> dict[str, str]:
    """Ours without what would make another pytest behave like the one that runs this; one thread is enough."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return {**ours, "OMP_NUM_THREADS": "1"}


def bench(results: Path, history: Path, *arguments: str) -> Ended:
    """``pytest bench`` in this process."""
    _, _, _, *words = command(results, history, *arguments)
    ended = nested(words)
    return Ended(ended.code, ended.output, results)


def bench_apart(results: Path, history: Path, *arguments: str) -> Ended:
    """``pytest bench`` in a process of its own."""
    done = subprocess.run(
        command(results, history, *arguments),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    return Ended(done.returncode, done.stdout, results)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("history")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, history: Path) -> Ended:
    return bench(tmp_path_factory.mktemp("first"), history, *SMOKE, "-k", ONE_CELL)


def test_a_run_passes_and_says_where_its_results_are(first: Ended) -> None:
    assert first.code == 0, first.output
    assert re.search(rf"^\[1/1\] {MODEL} +loss \S+ +accuracy [01]\.\d+", first.output, re.MULTILINE)
    assert f"1 finished cell is in {first.folder}" in first.output
    assert "1 passed" in first.output


def test_a_run_writes_records_tables_and_checkpoint(first: Ended) -> None:
    (record,) = read(first.folder / "records.jsonl")
    assert (record.model, record.status, record.profile, record.seed) == (MODEL, COMPLETED, "smoke", 51)
    assert {path.name for path in (first.folder / "tables").iterdir()} == {
        f"{table}.{suffix}" for table in ("fusion", "cost", "thresholds") for suffix in ("md", "tex", "csv")
    }
    assert MODEL in (first.folder / "tables" / "fusion.md").read_text()
    assert {path.name for path in (first.folder / "plots").iterdir()} == {
        f"{figure}.{suffix}" for figure in ("curves", "cost") for suffix in ("png", "svg")
    }
    assert f"figures are in {first.folder / 'plots'}" in first.output
    assert [path.name for path in (first.folder / "checkpoints").iterdir()] == [record.checkpoint]


def test_benchmarks_json_carries_the_record_and_a_round_an_epoch(first: Ended) -> None:
    (record,) = read(first.folder / "records.jsonl")
    (entry,) = first.benchmarks
    assert entry["extra_info"] == {k: v for k, v in record.to_dict().items() if k != "environment"}
    assert entry["stats"]["rounds"] == len(record.epoch_seconds) == record.protocol["epochs"] == 2
    # The clock of pytest-benchmark holds our own, which is inside it.
    assert all(
        own <= clock <= own + 0.1 for own, clock in zip(record.epoch_seconds, entry["stats"]["data"], strict=True)
    )


def test_a_second_run_is_compared_in_times_and_in_results(first: Ended, history: Path, tmp_path: Path) -> None:
    second = bench(tmp_path / "second", history, *SMOKE, "-k", ONE_CELL, "--benchmark-compare")
    assert second.code == 0, second.output
    assert f"test_training[{MODEL}] (NOW)" in second.output
    assert f"test_training[{MODEL}] (0001" in second.output
    assert "Compared with the earlier run" in second.output
    # Equal bits: loss, accuracy, parameters and memory have no change.
    same = re.findall(r"(best valid loss|valid accuracy|parameters|peak memory).* = .* same\b", second.output)
    assert len(same) == 4
    (a,), (b,) = first.benchmarks, second.benchmarks
    assert a["extra_info"]["weights_sha256"] == b["extra_info"]["weights_sha256"]


def test_a_comparison_without_an_earlier_run_is_said_and_is_no_failure(tmp_path: Path) -> None:
    rules = ("--fail-on", "valid_accuracy:-0.01,epoch_time:+15%")
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


def test_another_machine_is_said_loudly_and_times_are_not_judged(first: Ended, tmp_path: Path) -> None:
    history = history_of(first, tmp_path / "history", {"device_name": "another processor"}, {})
    rules = ("--fail-on", "epoch_time:+0%,peak_memory:+0,valid_accuracy:-0")
    ended = bench(tmp_path / "run", history, *SMOKE, "-k", ONE_CELL, "--benchmark-compare", *rules)
    assert ended.code == 0, ended.output
    assert "NOT THE SAME MACHINE" in ended.output
    assert re.search(r"^  device_name: another processor -> ", ended.output, re.MULTILINE)
    assert re.search(r"epoch time .* not judged\b", ended.output)
    assert "not judged everywhere: epoch_time:+0%: judged for 0 of the 1 models in both runs" in ended.output


def test_a_run_that_breaks_a_rule_fails_says_why_and_is_no_standard_for_later_runs(
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


def test_times_that_regressed_by_the_clocks_own_rule_fail_and_leave_the_tables(
    first: Ended, tmp_path: Path
) -> None:
    history = history_of(first, tmp_path / "history", {}, {})
    rules = ("--benchmark-compare", "--benchmark-compare-fail", "median:0.0000001")
    saved = json.loads((history / "0001_earlier.json").read_text())
    saved["benchmarks"][0]["stats"]["median"] = 1e-6
    (history / "0001_earlier.json").write_text(json.dumps(saved))
    ended = bench_apart(tmp_path / "run", history, *SMOKE, "-k", ONE_CELL, *rules)
    assert ended.code != 0, ended.output
    assert "Performance has regressed" in ended.output
    assert f"1 finished cell is in {ended.folder}" in ended.output
    assert (ended.folder / "tables" / "fusion.md").exists()


def test_without_the_clock_all_epochs_are_trained(history: Path, tmp_path: Path) -> None:
    ended = bench(tmp_path / "run", history, *SMOKE, "-k", ONE_CELL, "--benchmark-disable")
    assert ended.code == 0, ended.output
    (record,) = read(ended.folder / "records.jsonl")
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
            r"--fail-on 'speed:\+1%': speed is no metric; give one of best_valid_loss, .*",
        ),
        (["--fail-on", "parameters:+0"], r"--fail-on compares with an earlier run; add --benchmark-compare"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_cannot_be_followed_ends_in_one_sentence(
    arguments: list[str], message: str, history: Path, tmp_path: Path
) -> None:
    ended = bench(tmp_path / "run", history, "--profile", "smoke", "-k", ONE_CELL, *arguments)
    assert ended.code == 4
    assert len(re.findall(rf"^ERROR: {message}$", ended.output, re.MULTILINE)) == 1
    assert "Traceback" not in ended.output
    assert not (tmp_path / "run").exists()


def test_an_interrupted_run_keeps_what_has_ended(history: Path, tmp_path: Path) -> None:
    results = tmp_path / "run"
    arguments = command(results, history, *SMOKE, "-k", ONE_CELL, "--seeds", "50")
    # Shells have what they start in the background ignore Ctrl-C, and that is inherited.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        arguments, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        signal.signal(signal.SIGINT, before)
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            if line.startswith("[ 1/50]"):
                process.send_signal(signal.SIGINT)
                break
        seen += process.stdout
    output = "".join(seen)
    assert process.returncode == 2, output
    records = read(results / "records.jsonl")
    assert 1 <= len(records) < 50
    assert all(record.status == COMPLETED for record in records)
    assert re.search(rf"{len(records)} finished cells? (is|are) in {results}", output)
    assert MODEL in (results / "tables" / "fusion.md").read_text()
    assert "KeyboardInterrupt" in output


TIMED = re.compile("second|efficiency|achieved_flops")
"""Columns and metrics that no two runs share."""

FEW_CELLS = "test_training and compact and strided"


def without_times(folder: Path) -> dict[str, str]:
    """The tables of a run as text, less what no two runs share."""
    frames = {path.name: pd.read_csv(path) for path in (folder / "tables").glob("*.csv")}
    for name, frame in frames.items():
        kept = frame.loc[:, [not TIMED.search(str(column)) for column in frame]]
        if "metric" in kept:
            kept = kept[~kept.metric.str.contains(TIMED)]
        frames[name] = kept
    return {name: frame.to_csv() for name, frame in frames.items()}


def test_a_killed_run_that_is_resumed_comes_to_the_same_tables(history: Path, tmp_path: Path) -> None:
    whole = Session(resolve(root=ROOT, profile="smoke", device="cpu", results_dir=str(tmp_path / "whole")))
    cells = [cell for cell in whole.cells if re.match("compact.*strided", cell.name)]
    whole.open(cells)
    for cell in cells:
        whole.run_cell(cell, drive, silent)
    whole.close()
    killed = tmp_path / "killed"
    with subprocess.Popen(
        command(killed, history, *SMOKE, "-k", FEW_CELLS),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("[1/"):
                process.kill()
                break
    finished = read(killed / "records.jsonl")
    assert 1 <= len(finished) < len(whole.records)
    assert not (killed / "tables").exists()

    resumed = bench(killed, history, *SMOKE, "-k", FEW_CELLS, "--resume")
    assert resumed.code == 0, resumed.output
    assert len(re.findall(r"^\[.*from records: loss", resumed.output, re.MULTILINE)) == len(finished)
    records = read(killed / "records.jsonl")
    assert records[: len(finished)] == finished  # nothing was trained again
    assert without_times(killed) == without_times(whole.folder)
    weights = [
        [each.weights_sha256 for each in read(folder / "records.jsonl")] for folder in (killed, whole.folder)
    ]
    assert weights[0] == weights[1]
    # pytest-benchmark's file has the cells that were not run as well, with the times of their records.
    for entry, kept in zip(resumed.benchmarks, records, strict=True):
        assert entry["extra_info"]["weights_sha256"] == kept.weights_sha256
        assert entry["stats"]["data"] == pytest.approx(kept.epoch_seconds, abs=0.1)


def collected(*arguments: str) -> list[str]:
    ended = nested(["bench", "--collect-only", "-q", *arguments])
    assert ended.code == 0, ended.output
    return [name.partition("::")[2] for name in ended.ids]


def test_a_model_that_does_not_exist_is_said_with_those_that_do(history: Path, tmp_path: Path) -> None:
    ended = bench(tmp_path / "run", history, *SMOKE, "-k", "wide-intermediate-divide")
    assert ended.code == 5
    assert "-k 'wide-intermediate-divide' matches no id" in ended.output
    assert ", ".join(MODELS) in ended.output


def test_ids_can_be_guessed_and_stride_selects_both_sides_of_every_strategy() -> None:
    ids = collected("-k", "stride")
    assert "test_training[wide-intermediate-concat-strided]" in ids
    assert set(ids) == {f"test_training[{name}]" for name in MODELS}


def test_inference_ends_in_a_table_and_in_benchmarks_json(history: Path, tmp_path: Path) -> None:
    ended = bench(tmp_path / "run", history, *SMOKE, "-k", f"(latency or throughput) and {MODEL}")
    assert ended.code == 0, ended.output
    assert f"tables are in {tmp_path / 'run'}" in ended.output
    assert {path.name for path in (tmp_path / "run" / "tables").iterdir()} == {
        f"inference.{suffix}" for suffix in ("md", "tex", "csv")
    }
    assert MODEL in (tmp_path / "run" / "tables" / "inference.md").read_text()
    batches = [(entry["extra_info"]["model"], entry["extra_info"]["batch_size"]) for entry in ended.benchmarks]
    assert batches == [(MODEL, 1), (MODEL, 32)]
    for entry in ended.benchmarks:
        facts = entry["extra_info"]
        assert facts["pairs_per_second"] == facts["batch_size"] / entry["stats"]["median"]


def test_costs_beside_the_trainings_are_chosen_by_their_words() -> None:
    model = "compact-intermediate-concat-strided"
    assert collected("-k", f"(latency or throughput or scaling) and {model}") == [
        f"test_latency[{model}]",
        f"test_throughput[{model}]",
        *(f"test_scaling[{axis}-{model}]" for axis in AXES),
    ]


def test_a_study_runs_its_own_rows_alone() -> None:
    study = STUDIES["downsampling-deep"]
    assert collected("--study", study.name) == [f"test_training[{study.name}:{name}]" for name in study.models]


def test_seeds_side_by_side_are_cells_of_their_own_in_all_that_is_written(history: Path, tmp_path: Path) -> None:
    ended = bench(tmp_path / "run", history, *SMOKE, "-k", ONE_CELL, "--seeds", "2", "--seeds-together")
    assert ended.code == 0, ended.output
    assert "2 passed" in ended.output
    assert re.search(rf"^\[2/2\] {MODEL}-seed52 +beside seed 51: loss", ended.output, re.MULTILINE)
    first, second = read(ended.folder / "records.jsonl")
    assert [entry["stats"]["data"] for entry in ended.benchmarks] == [first.epoch_seconds, second.epoch_seconds]
    assert first.epoch_seconds == second.epoch_seconds
    assert "times are equal shares of theirs" in (ended.folder / "tables" / "cost.md").read_text()


def test_a_published_study_runs_on_data_of_other_classes(history: Path, tmp_path: Path) -> None:
    arguments = ("--study", "fusion-compact", "-k", "late", "--dataset", "shapes-four")
    ended = bench(tmp_path / "run", history, *SMOKE, *arguments)
    assert ended.code == 0, ended.output
    (record,) = read(ended.folder / "records.jsonl")
    assert record.classes == 4
    (table,) = (ended.folder / "tables").glob("*-published.md")
    assert "sizes do not compare" in table.read_text()


def test_probes_follow_the_training_of_the_studies_that_ask_for_them() -> None:
    study = STUDIES["robustness"]
    assert collected("--study", f"{study.name},downsampling-deep") == [
        *(f"test_training[{study.name}:{name}]" for name in study.models),
        *(f"test_training[downsampling-deep:{name}]" for name in STUDIES["downsampling-deep"].models),
        *(f"test_{probe}[{study.name}:{name}]" for probe in sorted(study.probes) for name in study.models),
    ]


def test_a_probe_trains_what_it_needs_and_what_it_found_can_be_read_again(history: Path, tmp_path: Path) -> None:
    arguments = ("--study", "robustness", "--seeds", "2", "-k", "test_features and early-concat-strided")
    ended = bench(tmp_path / "run", history, *SMOKE, *arguments)
    assert ended.code == 0, ended.output
    assert [record.seed for record in read(ended.folder / "records.jsonl")] == [51, 52]
    assert re.search(r"^\[2/2\] robustness:wide-early-concat-strided-seed52 +loss", ended.output, re.MULTILINE)
    found = probe_records.read(ended.folder / "probes.jsonl")
    assert {(each.seed, each.other_seed) for each in found} == {(51, None), (52, None), (52, 51)}
    table = ended.folder / "tables" / "robustness-features.md"
    first = table.read_text()
    table.unlink()
    assert main(["tables", str(ended.folder)]) == 0
    assert table.read_text() == first
