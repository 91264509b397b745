"""Shows on this machine that a run on a Ray cluster equals a run in one process, also when a node disappears.

python -m tools.ray_check                   needs the extra `ray`; about ten minutes on two cores
python -m tools.ray_check --profile quick   longer cells, so that overhead is a smaller share

Trains the compact models with strided convolutions with four seeds: in one process, then on a cluster of two nodes
with one core each, then on such a cluster from which one node is removed when half of the cells have ended. Exit
status 1 if a record differs in a bit, a cell is lost, a cell started twice although its worker lived, or the
overhead per cell is above its limit.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean, median
from typing import Any

import msgspec

from bench.records import RunRecord, cell_key
from bench.records.keys import machine
from bench.records.reading import load_records

ROOT = Path(__file__).resolve().parent.parent
CELLS = 16
MOST_SECONDS = 1.5
"""Per cell, beside the training."""

VARYING = {
    "started_at",
    "other_load",
    "epoch_seconds",
    "train_seconds",
    "total_seconds",
    "seconds_to_target",
    "ceiling",
}
"""Fields that hold times or the machine's load. Others are compared; of the environment, what decides bits."""


def main() -> int:
    """Run the three, print what they gave, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="smoke", help="smoke, quick or full; default: %(default)s")
    parser.add_argument("--folder", type=Path, help="where the runs are kept; default: a temporary folder")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="ray-check-"))
    words = ["--study", "downsampling-compact", "--seeds", "4", "--profile", options.profile, "--device", "cpu"]
    faults = []

    start = time.time()
    _wait(_start(folder / "one", words), folder / "one")
    one = _records(folder / "one")
    print(f"one process: {len(one)} cells in {time.time() - start:.0f} s", flush=True)

    for name, removes in (("cluster", False), ("removed", True)):
        start = time.time()
        _on_cluster(folder / name, words, removes=removes)
        seconds = time.time() - start
        events = _events(folder / name)
        faults += [f"{name}: {fault}" for fault in _faults(one, _records(folder / name), events)]
        lost = [event for event in events if event["event"] == "gone" and event["cell"]]
        overheads = _overheads(events)
        print(
            f"{name}: {len(_records(folder / name))} cells in {seconds:.0f} s; {len(lost)} lost their worker; "
            f"overhead per cell: median {median(overheads):.2f} s, mean {fmean(overheads):.2f} s, "
            f"most {max(overheads):.2f} s; start of a worker: {fmean(_startups(events)):.1f} s",
            flush=True,
        )
        if removes and not lost:
            faults.append(f"{name}: the removed node trained nothing, so nothing was shown")
        if median(overheads) > MOST_SECONDS:
            faults.append(f"{name}: the median overhead is above {MOST_SECONDS} s per cell")
    print("\n".join(faults) or f"all records are equal bit for bit; runs are in {folder}")
    return 1 if faults else 0


def _start(folder: Path, words: list[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pytest", "bench", "-p", "no:cacheprovider", "--results-dir", str(folder)]
    storage = ["--benchmark-storage", f"file://{folder.parent / 'history'}"]
    folder.mkdir(parents=True)
    with (folder / "output.txt").open("wb") as output:
        return subprocess.Popen(  # noqa: S603
            [*command, *storage, *words],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def _wait(run: subprocess.Popen[bytes], folder: Path) -> None:
    run.wait()
    if not (folder / "records.jsonl").is_file() or run.returncode not in (0, 1):  # 1: below a threshold
        sys.exit(f"the run failed; see {folder / 'output.txt'}")


def _on_cluster(folder: Path, words: list[str], *, removes: bool) -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    memory = {"object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **memory})
    nodes = [cluster.add_node(num_cpus=1, **memory) for _ in range(2)]
    try:
        run = _start(folder, [*words, "--executor", f"ray:{cluster.address}"])
        while removes and run.poll() is None:
            ended = sum(event["event"] == "ended" for event in _events(folder))
            if ended >= CELLS // 2:
                cluster.remove_node(nodes[1], allow_graceful=False)
                break
            time.sleep(0.2)
        _wait(run, folder)
    finally:
        cluster.shutdown()


def _records(folder: Path) -> dict[Any, RunRecord]:
    return {cell_key(record): record for record in load_records(folder)}


def _events(folder: Path) -> list[dict[str, Any]]:
    path = folder / "execution.log"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [json.loads(line) for line in lines]


def _faults(one: dict[Any, RunRecord], other: dict[Any, RunRecord], events: list[dict[str, Any]]) -> list[str]:
    faults = [f"{key.model} seed {key.seed} is missing" for key in one.keys() - other.keys()]
    for key in one.keys() & other.keys():
        a, b = _bits(one[key]), _bits(other[key])
        faults += [f"{key.model} seed {key.seed}: {name} differs" for name in a if a[name] != b[name]]
    if len(one) != CELLS:
        faults.append(f"there are {len(one)} cells instead of {CELLS}")
    for cell in {event["cell"] for event in events if event["event"] == "started"}:
        of_cell = [event["event"] for event in events if event.get("cell") == cell]
        if of_cell.count("started") != 1 + of_cell.count("gone"):
            faults.append(f"{cell} started {of_cell.count('started')} times")
    return faults


def _bits(record: RunRecord) -> dict[str, Any]:
    values = msgspec.to_builtins(record)
    values["environment"] = machine(record.environment)
    for stage in values["pretraining"]:
        del stage["epoch_seconds"]
    return {name: value for name, value in values.items() if name not in VARYING}


def _overheads(events: list[dict[str, Any]]) -> list[float]:
    """Of each cell, the seconds from the call of its worker to its record that it did not train."""
    overheads, started = [], {}
    for event in events:
        if event["event"] == "started":
            started[event["worker"]] = event["time"]
        elif event["event"] == "ended":
            overheads.append(event["time"] - started[event["worker"]] - event["seconds"])
    return overheads


def _startups(events: list[dict[str, Any]]) -> list[float]:
    """The seconds from the request of a worker to the first two that were ready."""
    requested = {event["worker"]: event["time"] for event in events if event["event"] == "requested"}
    ready = [event for event in events if event["event"] == "ready"]
    return [event["time"] - requested[event["worker"]] for event in ready[:2]]


if __name__ == "__main__":
    sys.exit(main())
