"""What a fault is: a run of two cells, something that happens at one of its stages, and what has to come of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

FIRST, SECOND = "compact-late-concat-maxpool", "compact-late-concat-strided"
"""The cells of a run, in their order."""

RUN = ["-m", "pytest", "bench/test_training.py", "-k", "compact-late-concat", "-p", "no:cacheprovider"]
TINY = ["--profile", "smoke", "--device", "cpu", "--set", "epochs=2", "--image-size", "16"]

STAGES = {
    "at the start": "bench.training.runs:run_cell",
    "in the first epoch": "bench.harness.progress:Progress.epoch",
    "after the first cell": "bench.harness.progress:Progress.end",
    "at the tables": "bench.tables.tabulation:write_tables",
    "at the figures": "bench.plots:write_figures",
    "at the times": "pytest_benchmark.session:BenchmarkSession.finish",
    "at the summary": "bench.harness.ending:Ending.lines",
}
"""Where in a run something can happen: before a function is called, by the function's module and name."""

LOADING = {"while the data are loaded": "bench.harness.session:Session.load"}
"""Before these, when nothing is written yet."""

PLUGIN = """
import importlib, os, pathlib, shutil, signal, subprocess, sys, time

def act():
    exec(os.environ["FAULT"], globals())

def pytest_collection_modifyitems(session):
    module, name = os.environ["STAGE"].split(":")
    owner = importlib.import_module(module)
    *outer, name = name.split(".")
    for part in outer:
        owner = getattr(owner, part)
    function, struck = getattr(owner, name), []
    def strike(*arguments, **words):
        before = name != "end"
        if before and not struck:
            struck.append(1)
            act()
        value = function(*arguments, **words)
        if not before and not struck:
            struck.append(1)
            act()
        return value
    setattr(owner, name, strike)
"""
"""A plug-in of pytest that does something at a stage."""


@dataclass(frozen=True)
class Place:
    """Where a fault is injected: a folder of its own.

    Attributes:
        folder: Everything is in it.
        run: The folder of the run.
    """

    folder: Path
    run: Path


@dataclass(frozen=True)
class Fault:
    """A fault, and what has to come of it.

    Attributes:
        name: Kind and stage.
        words: After ``python``; ``{run}`` and ``{folder}`` are replaced.
        codes: The exit statuses that are right; negative ones are signals.
        says: A regular expression that the output has to match.
        kept: The number of records that have to be readable.
        env: Set for the run; None removes a variable.
        stage: Of STAGES, with ``act``.
        act: Python that is executed at the stage.
        prepare: Called before.
        start: Runs the command; how its output is connected.
        room: The size of a file system for the folder, such as "6m"; "" for none.
    """

    name: str
    words: Sequence[str] = ()
    codes: Sequence[int] = (0,)
    says: str = ""
    kept: int = 2
    env: Mapping[str, str | None] = field(default_factory=dict)
    stage: str = ""
    act: str = ""
    prepare: Callable[[Place], None] | None = None
    start: str = "pipe"
    room: str = ""


def bench(*words: str) -> list[str]:
    """A run of two cells that train almost nothing."""
    storage = ["--benchmark-storage", "file://{folder}/history"]
    return [*RUN, *TINY, "--results-dir", "{run}", *storage, *words]


def at(stage: str, act: str, **words: object) -> Fault:
    """A fault of a run at a stage."""
    name = str(words.pop("name"))
    return Fault(f"{name} {stage}", bench("-p", "fault_plugin"), stage=stage, act=act, **words)  # type: ignore[arg-type]


KEPT = dict(zip(STAGES, (0, 0, 1, 2, 2, 2, 2), strict=True))
"""How many cells have ended at each stage."""
