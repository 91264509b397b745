import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.tracking import TRACKERS, SilentTracker, WandbTracker
from bench.training import EpochResult
from tests.bench.samples import record

ROOT = Path(__file__).parents[2]

EPOCH = EpochResult(
    epoch=1, epochs=1, train_loss=0.5, valid={"loss": 0.25, "accuracy": 0.75}, learning_rate=0.1, seconds=2.0
)


def test_trackers_are_chosen_by_name(tmp_path: Path) -> None:
    assert isinstance(TRACKERS["none"](tmp_path), SilentTracker)
    assert TRACKERS["wandb"] is WandbTracker


def test_the_silent_tracker_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tracker = TRACKERS["none"](tmp_path)
    tracker.begin("a cell", {"model": "a model"})
    tracker.epoch(EPOCH)
    tracker.end(record())
    tracker.end(None)
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr() == ("", "")


OFFLINE_RUN = """
import importlib, sys
from pathlib import Path
for path in Path({bench!r}).glob("[a-z]*.py"):
    if not path.stem.startswith("test_"):
        importlib.import_module(f"bench.{{path.stem}}")
from bench.tracking import WandbTracker
from tests.bench.samples import record
from tests.bench.test_tracking import EPOCH

print("wandb loaded:", "wandb" in sys.modules)
tracker = WandbTracker(Path("run"))
print("wandb loaded:", "wandb" in sys.modules)
for ended in (record(), None):
    tracker.begin("a cell", {{"model": "a model"}})
    tracker.epoch(EPOCH)
    tracker.end(ended)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a fresh process has imported all of bench and then tracked two cells, one without a record."""
    folder = tmp_path_factory.mktemp("offline")
    (folder / "run").mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    offline = {"WANDB_MODE": "offline", "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    offline |= {f"WANDB_{name}_DIR": str(folder / name) for name in ("CACHE", "CONFIG", "DATA", "ARTIFACT")}
    with (folder / "printed").open("w") as printed:
        subprocess.run(
            [sys.executable, "-c", OFFLINE_RUN.format(bench=str(ROOT / "bench"))],
            cwd=folder,
            env=environment | offline,
            stdout=printed,
            check=True,
            timeout=300,
        )
    return folder


def test_wandb_runs_offline_and_without_a_key(folder: Path) -> None:
    files = list((folder / "run" / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(files) == 2
    assert all(file.stat().st_size > 0 for file in files)


def test_wandb_is_loaded_by_its_tracker_and_by_nothing_else(folder: Path) -> None:
    # The second line shows that the first one could be another.
    assert (folder / "printed").read_text() == "wandb loaded: False\nwandb loaded: True\n"
