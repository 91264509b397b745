"""Against the real wandb package: offline, and with a server that is not there; what it wrote is read back."""

import json
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import wandb
from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined] # made when it is imported

from bench.tables.models import fusion_table
from bench.tracking.weights_and_biases import WeightsAndBiases
from tests.bench.samples import MODEL, TWIN
from tests.bench.tracking.session import CONFIG, RECORD, tell


@contextmanager
def wandb_in(folder: Path, **variables: str) -> Iterator[Path]:
    """A folder for a run; wandb starts afresh, writes below ``folder`` alone, and has only the given key."""
    results = folder / "run"
    results.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("WANDB_")]:
            patch.delenv(name)
        for name in ("CACHE", "CONFIG", "DATA", "ARTIFACT"):
            patch.setenv(f"WANDB_{name}_DIR", str(folder / name))
        for name, value in {"HOME": str(folder), **variables}.items():
            patch.setenv(name, value)
        wandb.teardown()
        yield results
        wandb.teardown()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a session was tracked without a key, by a job that resumes a run of wandb's."""
    folder = tmp_path_factory.mktemp("offline")
    with wandb_in(folder, WANDB_RUN_ID="one", WANDB_RESUME="must", WANDB_RUN_GROUP="jobs") as results:
        notes = tell(WeightsAndBiases(results))
    (folder / "notes").write_text("\n".join(notes))
    return folder


@pytest.fixture(scope="module")
def runs(folder: Path) -> dict[str, list[Record]]:
    """All that was written of every run, by its name."""
    written = [list(stored(path)) for path in (folder / "run" / "wandb").glob("offline-run-*/run-*.wandb")]
    return {one(run, "run").display_name: run for run in written}


def stored(path: Path) -> Iterator[Record]:
    """The records in a file of wandb's: LevelDB's log format (blocks of 32 KiB) after a header of 7 bytes."""
    content, at, joined = path.read_bytes(), 7, b""
    assert content.startswith(b":W&B")
    while at < len(content):
        left_of_block = 32_768 - at % 32_768
        if left_of_block < 7:
            at += left_of_block
            continue
        _, size, part = struct.unpack_from("<IHB", content, at)
        joined += content[at + 7 : at + 7 + size]
        at += 7 + size
        if part in (1, 4):  # whole, or the last of several
            yield Record.FromString(joined)
            joined = b""


def all_of(run: list[Record], kind: str) -> list[Any]:
    return [getattr(record, kind) for record in run if record.WhichOneof("record_type") == kind]


def one(run: list[Record], kind: str) -> Any:
    (content,) = all_of(run, kind)
    return content


def values(items: Any) -> dict[str, Any]:
    return {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}


def summary(run: list[Record]) -> dict[str, Any]:
    return {key: value for update in all_of(run, "summary") for key, value in values(update.update).items()}


def table(folder: Path, run: list[Record], name: str) -> dict[str, Any]:
    run_id = one(run, "run").run_id
    (path,) = (folder / "run" / "wandb").glob(f"*-{run_id}/files/media/table/{name}_*.table.json")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def test_a_note_at_the_end_tells_how_to_upload(folder: Path) -> None:
    pattern = folder / "run" / "wandb" / "offline-run-*"
    assert (folder / "notes").read_text().splitlines()[-1] == (
        f"Weights & Biases: not all runs are uploaded; upload them with: wandb sync {pattern}"
    )


def test_every_cell_is_a_run_with_its_config(runs: dict[str, list[Record]]) -> None:
    assert set(runs) == {MODEL, f"fusion-compact:raw:{TWIN}-seed7", "analysis"}
    opened = one(runs[MODEL], "run")
    assert (opened.project, opened.run_group, opened.job_type) == ("fusiongauge", "jobs", "training")
    assert CONFIG.items() <= values(opened.config.update).items()


def test_variables_of_a_single_run_are_not_followed(folder: Path, runs: dict[str, list[Record]]) -> None:
    ids = {one(run, "run").run_id for run in runs.values()}
    assert len(ids) == len(runs)
    assert "one" not in ids
    assert (folder / "notes").read_text().splitlines()[0] == (
        "Weights & Biases: WANDB_RUN_ID, WANDB_RESUME not followed, as every cell is its own run; "
        "the runs are in the group jobs"
    )


def test_every_epoch_is_logged(runs: dict[str, list[Record]]) -> None:
    first, second, *_ = (values(step.item) for step in all_of(runs[MODEL], "history"))
    ours = ["epoch", "train_loss", "valid_loss", "valid_accuracy", "learning_rate", "epoch_seconds"]
    assert [first[name] for name in [*ours, "peak_memory_bytes"]] == [1, 0.75, 0.25, 0.875, 0.125, 2.0, 1_000]
    assert [second[name] for name in ours] == [2, 0.5, 0.375, 0.75, 0.125, 4.0]


def test_summaries_are_the_lowest_loss_and_the_highest_accuracy(runs: dict[str, list[Record]]) -> None:
    declared = {metric.name: metric for metric in all_of(runs[MODEL], "metric")}
    assert declared["valid_loss"].summary.min
    assert declared["valid_accuracy"].summary.max
    shown = summary(runs[MODEL])
    # The first epoch was the better one, so neither is what was logged last.
    assert (shown["valid_loss"], shown["valid_accuracy"]) == ({"min": 0.25}, {"max": 0.875})
    assert (shown["best_valid_loss"], shown["parameters"]) == (RECORD.best_valid_loss, RECORD.parameters)


def test_sample_predictions_are_a_table_with_pictures(folder: Path, runs: dict[str, list[Record]]) -> None:
    predictions = table(folder, runs[MODEL], "predictions")
    assert predictions["columns"] == ["rgb", "lidar", "label", "prediction", "probability"]
    assert predictions["data"] == [
        ["Image", "Image", "cubes", "spheres", 0.75],
        ["Image", "Image", "spheres", "spheres", 0.5],
    ]
    staged = [path.read_bytes() for path in (folder / "DATA" / "artifacts" / "staging").iterdir()]
    assert sum(content.startswith(b"\x89PNG") for content in staged) == 4


def test_an_interrupted_cell_is_a_run_that_failed(runs: dict[str, list[Record]]) -> None:
    assert [one(run, "exit").exit_code for name, run in sorted(runs.items())] == [0, 0, 1]


def test_the_analysis_holds_tables_and_loss_curves(folder: Path, runs: dict[str, list[Record]]) -> None:
    run = runs["analysis"]
    assert one(run, "run").job_type == "analysis"
    fusion = table(folder, run, "standard/fusion")
    assert dict(zip(fusion["columns"], fusion["data"][0], strict=True)) == pytest.approx(
        fusion_table([RECORD]).data.iloc[0].to_dict(), nan_ok=True
    )
    curves = table(folder, run, "standard/loss_curves_table")
    assert [row[:1] + row[2:] for row in curves["data"]] == [[1, 0.25], [2, 0.375]]


def test_a_server_out_of_reach_is_waited_for_once(tmp_path: Path) -> None:
    with wandb_in(tmp_path, WANDB_API_KEY="a" * 40, WANDB_BASE_URL="http://127.0.0.1:9") as results:
        (note,) = tell(WeightsAndBiases(results, patience_seconds=0.5))
    assert note.startswith("Weights & Biases: not all runs are uploaded; upload them with: wandb sync ")
    folders = [path.name for path in (results / "wandb").glob("*run-*")]
    assert sum(name.startswith("offline-run-") for name in folders) == 3
    assert sum(name.startswith("run-") for name in folders) <= 1


def test_an_upload_that_does_not_end_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With stand-ins for runs: they open online, and closing them there takes too long."""
    modes: list[str] = []

    def init(settings: wandb.Settings, **_: Any) -> MagicMock:
        modes.append(str(settings.mode))
        run = MagicMock()
        run.settings.sync_dir = str(tmp_path / ("run-1" if settings.mode == "online" else "offline-run-2"))
        run.finish.side_effect = TimeoutError if settings.mode == "online" else None
        return run

    with wandb_in(tmp_path, WANDB_API_KEY="a" * 40, WANDB_BASE_URL="http://127.0.0.1:9") as results:
        monkeypatch.setattr(wandb, "init", init)
        (note,) = tell(WeightsAndBiases(results))
    assert modes == ["online", "offline", "offline"]
    assert note == (
        "Weights & Biases: not all runs are uploaded; upload them with: "
        f"wandb sync {tmp_path / 'run-1'} {tmp_path / 'offline-run-*'}"
    )
