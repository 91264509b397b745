"""Runs with ``--executor ray`` as a user starts them; skipped where Ray is not installed.

Ray takes about ten seconds to start, so one run shows many things. Runs on clusters are in ``tools/ray_check.py``.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.config import OptionError
from bench.harness.executors import ray_engine
from bench.harness.executors.ray_engine import require_ray
from bench.harness.values import parse_executor
from bench.records import COMPLETED, FAILED, RunRecord, read

ROOT = Path(__file__).parents[4]

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra ray")

PLUGIN = """
import os, signal, time
from dataclasses import replace
from pathlib import Path
import torch
from torch import nn
import beside
from bench import STANDARD, Study, register_study
from fusion_models import register_model

TRIED = Path({folder!r})

class Small(nn.Module):
    def __init__(self, channels, image_size, classes):
        super().__init__()
        self.last = nn.Linear(channels["rgb"] * 16, classes)
    def forward(self, inputs):
        return self.last(nn.functional.adaptive_avg_pool2d(inputs["rgb"], 4).flatten(1))

@register_model("steady")
def steady(channels, image_size, classes):
    return Small(channels, image_size, classes)

@register_model("dies-once")
def dies_once(channels, image_size, classes):
    if not (TRIED / "died").exists():
        (TRIED / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return Small(channels, image_size, classes)

@register_model("raises")
def raises(channels, image_size, classes):
    raise RuntimeError(beside.TEXT)

@register_model("slow")
def slow(channels, image_size, classes):
    (TRIED / f"slow-{{os.getpid()}}").touch()
    time.sleep(600)

PROTOCOL = replace(STANDARD, pairs=80, epochs=2)

@register_study("faults")
def faults():
    return Study("Is nothing lost?", ("raises", "dies-once", "steady"), {{"": PROTOCOL}})

@register_study("endless")
def endless():
    return Study("Does it end?", ("slow", "steady"), {{"": PROTOCOL}})
"""


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    (tmp_path / "mine.py").write_text(PLUGIN.format(folder=str(tmp_path)))
    (tmp_path / "beside.py").write_text("TEXT = 'a message of another module'\n")
    storage = f"file://{tmp_path / 'history'}"
    options = ("--executor", "ray", "--device", "cpu", "--results-dir", str(tmp_path / "run"))
    started = [sys.executable, "-m", "pytest", "bench", "-p", "no:cacheprovider", "--benchmark-storage", storage]
    return [*started, *options, "--plugin", str(tmp_path / "mine.py")]


def environment() -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return {**ours, "OMP_NUM_THREADS": "1"}


def alive(pid: str) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.is_file() and "\tZ" not in status.read_text()


def wait_until(condition: object, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.1)


@needs_ray
def test_nothing_is_lost_when_a_worker_dies_or_raises(words: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = subprocess.run(
        [*words, "--study", "faults"], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    records = {record.model: record for record in read(run / "records.jsonl", RunRecord)}
    assert {name: record.status for name, record in records.items()} == {
        "raises": FAILED,
        "dies-once": COMPLETED,
        "steady": COMPLETED,
    }
    reason = records["raises"].error or ""
    assert re.fullmatch(
        r"PluginError: .*mine\.py.*a message of another module.* \(attempt 3; tried on \S+\)", reason
    )
    assert "a message of another module" in done.stdout  # with the worker's traceback
    assert "Traceback" in done.stdout
    assert {record.plugins[0] for record in records.values()} == {"mine.py"}
    assert len({record.code_sha256 for record in records.values()}) >= 1
    events = [json.loads(line) for line in (run / "execution.log").read_text().splitlines()]
    started = [event["cell"] for event in events if event["event"] == "started"]
    assert {name: started.count(f"faults:{name}") for name in records} == {
        "raises": 3,
        "dies-once": 2,
        "steady": 1,
    }
    assert (run / "checkpoints" / str(records["steady"].checkpoint)).is_file()
    benchmarks = json.loads((run / "benchmark.json").read_text())["benchmarks"]
    assert {b["extra_info"]["model"]: b["stats"]["rounds"] for b in benchmarks}["steady"] == 2
    assert "raylet" not in done.stdout.partition("FAILURES")[0]

    again = subprocess.run(
        [*words, "--study", "faults", "--resume"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "from records: 2 finished cells" in again.stdout
    assert "rerun, it had failed: 1 cell: faults:raises" in again.stdout


@needs_ray
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "killed"])
def test_no_process_stays_behind(how: signal.Signals, words: list[str], tmp_path: Path) -> None:
    printed = tmp_path / "printed.txt"
    with printed.open("w") as file:  # not a pipe: agents of Ray would hold it open after the session has ended
        run = subprocess.Popen(
            [*words, "--study", "endless"],
            cwd=ROOT,
            env=environment(),
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until(lambda: list(tmp_path.glob("slow-*")) or run.poll() is not None)
        before = children(run.pid)
        assert any("raylet" in command for command in before.values())
        if how is signal.SIGINT:
            os.killpg(run.pid, how)  # as a terminal does: to all processes in the foreground
        else:
            run.send_signal(how)
        run.wait(timeout=60)
        # Agents of Ray look once a minute whether it is still there.
        wait_until(lambda: not [pid for pid in before if alive(pid)], 150)
    finally:
        run.kill()
    output = printed.read_text()
    if how is signal.SIGINT:
        assert run.returncode == 2, output
        assert "Traceback" not in output
    finished = [record.model for record in read(tmp_path / "run" / "records.jsonl", RunRecord)]
    assert finished in ([], ["steady"])


def children(pid: int) -> dict[str, str]:
    """The processes below a process, with their commands."""
    found: dict[str, str] = {}
    waiting = [str(pid)]
    while waiting:
        parent = waiting.pop()
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            for child in task.read_text().split():
                found[child] = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")
                waiting.append(child)
    return found


def test_without_ray_the_option_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(OptionError, match=r"^--executor ray: the package ray is not installed; .*\[ray\]"):
        parse_executor("ray")


def test_an_older_ray_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    monkeypatch.setattr(ray_engine, "version", lambda _: "2.9.3")
    with pytest.raises(OptionError, match=r"^ray: ray 2\.9\.3 is older than 2\.60; install it with"):
        require_ray("ray")


@pytest.mark.parametrize("text", ["dask", "Ray", ":6379", "rays:auto"])
def test_other_executors_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match=f"^--executor {text}: give ray or ray:ADDRESS, or leave"):
        parse_executor(text)
