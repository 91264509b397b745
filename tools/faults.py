"""Injects faults into real runs, at every stage of them, and checks what is promised in docs/reliability.md.

    python tools/faults.py            # all faults; takes long
    python tools/faults.py disk -v    # those with "disk" in their name, with their output

For every fault: no traceback, an exit status that is documented, a sentence that names the cause, and every cell
that had ended on the disk, readable. Faults of the disk mount a small file system in a namespace of their own, for
which they need Linux and root; elsewhere they are skipped and counted. Exit status: 1 if a promise was broken.
"""

import argparse
import ctypes
import gc
import importlib
import io
import json
import os
import pty
import re
import runpy
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools import option_pairs  # noqa: E402 - found whatever the working directory is

FIRST, SECOND = "compact-late-concat-maxpool", "compact-late-concat-strided"
"""The cells of a run, in their order."""

RUN = ["-m", "pytest", "bench/test_training.py", "-k", "compact-late-concat", "-p", "no:cacheprovider"]
TINY = ["--profile", "smoke", "--device", "cpu", "--set", "epochs=2", "--image-size", "16"]
TIMEOUT_SECONDS = 300

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


def signals() -> Iterator[Fault]:
    """Ctrl-C once and twice, termination, a lost connection, and a kill, at every stage."""
    for stage, kept in KEPT.items():
        for name, code in (("SIGINT", 2), ("SIGTERM", 2), ("SIGHUP", 2), ("SIGKILL", -9)):
            act = f"os.kill(os.getpid(), signal.{name}); time.sleep(0.01)"
            said = stage != "at the summary" and name != "SIGKILL"
            says = "interrupted|KeyboardInterrupt|Terminated" if said else ""
            yield at(stage, act, name=name, codes=(code,), kept=kept, says=says)
    for name in ("SIGUSR1", "SIGUSR2", "SIGXCPU"):
        act = f"os.kill(os.getpid(), signal.{name}); time.sleep(0.01)"
        yield at("after the first cell", act, name=name, codes=(2,), kept=1, says=f"interrupted|{name}")
    act = "os.kill(os.getpid(), signal.SIGINT); time.sleep(0.01)"
    yield at("while the data are loaded", act, name="SIGINT", codes=(2,), kept=0, says="KeyboardInterrupt")
    # one second of processor time from now on, then a signal in every further one
    limit = (
        "import resource; used = resource.getrusage(resource.RUSAGE_SELF); "
        "used = int(used.ru_utime + used.ru_stime) + 1; "
        "resource.setrlimit(resource.RLIMIT_CPU, (used, used + 600))\n"
        "while True:\n    pass"
    )
    yield at("after the first cell", limit, name="ulimit -t", codes=(2,), kept=1, says="SIGXCPU")
    twice = "os.kill(os.getpid(), signal.SIGINT)"
    again = f"import bench.tables.tabulation as t; t.write_tables = lambda *_, **__: {twice}; {twice}"
    yield at("after the first cell", again, name="Ctrl-C twice", codes=(2,), kept=1, says="interrupted once more")


FILL = (
    "size = 1 << 20\n"
    "with open(os.environ['ROOM'] + '/filler', 'wb', 0) as file:\n"
    "    while size:\n"
    "        try:\n            file.write(bytes(size))\n"
    "        except OSError:\n            size //= 2\n"
)


def disks() -> Iterator[Fault]:
    """A disk that is full, read-only or gone from some stage on; files that may not grow."""
    stages = [stage for stage in STAGES if stage != "at the summary"]
    full = dict(zip(STAGES, (0, 0, 1, 2, 2, 2, 2), strict=True))
    for stage in stages:
        late = stage in ("at the figures", "at the times")
        codes, says = ((0,) if late else (1,)), "" if stage == "at the times" else "No space left on device"
        yield at(stage, FILL, name="a full disk", room="24m", codes=codes, kept=full[stage], says=says)
    for stage in stages:
        act = "".join(
            f"subprocess.run(['mount', {words}os.environ['ROOM']], check=True);"
            for words in ("'--bind', os.environ['ROOM'], ", "'-o', 'remount,ro,bind', ")
        )
        codes = (0,) if stage in ("at the figures", "at the times") else (1,)
        says = "" if stage == "at the times" else "Read-only file system"
        yield at(stage, act, name="a read-only disk", room="24m", codes=codes, kept=full[stage], says=says)
    for stage in stages:
        limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))"
        codes = (0,) if stage in ("at the figures", "at the times") else (1,)
        yield at(stage, limit, name="ulimit -f", codes=codes, kept=full[stage], says="File too large|2 records")
    for stage in ("in the first epoch", "after the first cell", "at the tables"):
        act = "shutil.rmtree(os.environ['RUN'])"
        yield at(stage, act, name="the folder deleted", codes=(0, 1), kept=0, says="FusionGauge")
    yield Fault(
        "a disk that is full before", bench(), codes=(4,), kept=0, room="24m", says="No space left", prepare=fill
    )
    yield Fault(
        "a results folder that is a file", bench(), codes=(4,), kept=0, says="File exists|Not a dir", prepare=_file
    )


def fill(place: Place) -> None:
    """Leave no room in the folder of the run."""
    exec(FILL.replace("os.environ['ROOM']", repr(str(place.run.parent))), {})  # noqa: S102


def _file(place: Place) -> None:
    place.run.write_text("a file")


def places() -> Iterator[Fault]:
    """Files where folders belong, and folders where files belong."""
    for name, codes, says in (
        ("checkpoints", (0,), "the checkpoint .* could not be saved"),
        ("samples", (0,), "sample predictions could not be saved"),
        ("tables", (1,), "FAILED: the tables could not be written"),
        ("plots", (0,), "the figures could not be written"),
    ):
        prepare = partial(_in_the_way, name=name, folder=False)
        yield Fault(f"a file in place of {name}", bench(), codes=codes, says=says, prepare=prepare)
    for name, codes, says in (
        ("records.jsonl", (4,), "cannot write results to"),
        ("run.lock", (4,), "cannot write results to"),
        ("benchmark.json", (0,), "the times could not be written"),
    ):
        prepare, kept = partial(_in_the_way, name=name, folder=True), 2 * (0 in codes)
        yield Fault(f"a folder in place of {name}", bench(), codes=codes, says=says, kept=kept, prepare=prepare)


def _in_the_way(place: Place, name: str, *, folder: bool) -> None:
    place.run.mkdir()
    target = place.run / name
    if folder:
        target.mkdir()
    else:
        target.touch()


def hooks() -> Iterator[Fault]:
    """Other plug-ins of pytest that raise at the end."""
    for hook in (
        "pytest_sessionfinish",
        "pytest_terminal_summary",
        "pytest_unconfigure",
        "pytest_benchmark_generate_commit_info",
        "pytest_benchmark_generate_json",
        "pytest_benchmark_group_stats",
        "pytest_benchmark_scale_unit",
        "pytest_benchmark_update_json",
    ):
        prepare = partial(_hooked, hook=hook)
        yield Fault(f"{hook} raises", bench("-p", "hooked"), says=r"\(OSError: theirs\)", prepare=prepare)
    prepare = partial(_hooked, hook="pytest_sessionfinish")
    for words, codes, says in (
        ("--junitxml {folder}/x.xml", (1,), "FAILED: pytest or one of its plug-ins failed at the end"),
        ("--device gpu", (4,), "cpu, cuda or cuda:N"),
        ("--dataset {folder}", (4,), "in no known layout|holds no"),
        ("--co", (0,), "test_training"),
    ):
        kept = 2 * (codes == (1,))
        name = f"pytest_sessionfinish raises with {words}"
        yield Fault(
            name, bench("-p", "hooked", *words.split(" ")), codes=codes, kept=kept, says=says, prepare=prepare
        )


def _hooked(place: Place, hook: str) -> None:
    text = f"import pytest\n@pytest.hookimpl(tryfirst=True)\ndef {hook}():\n    raise OSError('theirs')\n"
    (place.folder / "hooked.py").write_text(text, encoding="utf-8")


ODD = os.fsdecode(b"M\xfctze")
"""A file name whose bytes are not UTF-8."""


def names() -> Iterator[Fault]:
    """File names that are not UTF-8, in everything that takes a path; commands that show them."""
    for words in (
        "--results-dir {folder}/ODD",
        "--dataset {folder}/ODD",
        "--plugin {folder}/ODD.py",
        "--claims {folder}/ODD.toml",
        "--benchmark-json {folder}/ODD/ODD.json",
        "--benchmark-storage file://{folder}/ODD",
        "--junitxml {folder}/ODD/ODD.xml",
        "--dataset {folder}/ODD --track tensorboard --results-dir {folder}/ODD/run",
    ):
        kept = 0 if "--results-dir" in words else 1
        given = bench("-k", FIRST, *words.replace("ODD", ODD).split(" "))
        yield Fault(f"not UTF-8: {words}", given, kept=kept, says="1 record is in", prepare=_odd_names)
    for words, codes in (
        ("data_utils check {folder}/ODD", (0, 1)),
        ("data_utils check {folder}/ODD --json", (0, 1)),
        ("data_utils show {folder}/ODD --out {folder}/ODD.png", (0,)),
        ("bench audit --dataset {folder}/ODD", (0, 1)),
        ("bench tables {folder}/ODD.nowhere", (2,)),
        ("bench compare {folder}/ODD.nowhere {folder}/ODD.nowhere", (2,)),
    ):
        given = ["-m", *words.replace("ODD", ODD).split(" ")]
        for env in ({}, {"PYTHONIOENCODING": "ascii"}):
            name = " ".join([f"not UTF-8: {words}", *env.values()])
            says = "" if "json" in words else r"M\\xfctze"
            yield Fault(name, given, codes=codes, kept=0, says=says, env=env, prepare=_odd_names)


def _odd_names(place: Place) -> None:
    for suffix in (".py", ".toml"):
        (place.folder / f"{ODD}{suffix}").touch()
    from data_utils.__main__ import main as data_utils

    words = ["make", str(place.folder / ODD), "--pairs", "80", "--image-size", "16"]
    with redirect_stdout(io.StringIO()):
        if data_utils(words):
            raise RuntimeError(" ".join(words))


def terminals() -> Iterator[Fault]:
    """Terminals that are closed, narrow, dumb, or cannot encode; output that nobody reads."""
    for start in ("hangup", "head", "devfull"):
        yield Fault(
            f"output: {start}", bench(), codes=(0, 1, 2, 120, 141), kept=0 if start == "hangup" else 2, start=start
        )
    for encoding in ("ascii", "latin-1", "cp1252", "utf-16"):
        yield Fault(
            f"PYTHONIOENCODING={encoding}",
            bench(),
            env={"PYTHONIOENCODING": encoding},
            says=r"\W*".join("2records"),  # UTF-16 has zeros between them
        )
    for variables in (
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"TERM": "dumb"},
        {"NO_COLOR": "1"},
        {"FORCE_COLOR": "1", "TERM": "dumb"},
        {"PY_COLORS": "1"},
        {"COLUMNS": "40"},
        {"COLUMNS": "1"},
        {"COLUMNS": "nonsense", "LINES": "0"},
    ):
        name = " ".join(f"{key}={value}" for key, value in variables.items())
        yield Fault(name, bench(), env=variables, says="2 records are in")


def environments() -> Iterator[Fault]:
    """Variables that Python, pytest, matplotlib, git and wandb read."""
    unusable: list[Mapping[str, str | None]] = [
        {"HOME": None},
        {"HOME": "/nonexistent"},
        {"TMPDIR": "/nonexistent"},
        {"TMPDIR": "/proc"},
        {"MPLCONFIGDIR": "/proc/nothing"},
        {"MPLBACKEND": "nonsense"},
        {"MPLBACKEND": "TkAgg"},
        {"SOURCE_DATE_EPOCH": "nonsense"},
        {"GIT_DIR": "/nonexistent"},
        {"PATH": ""},
        {"PYTHONWARNINGS": "default"},
        {"PYTHONOPTIMIZE": "1"},
        {"PYTHONDONTWRITEBYTECODE": "1"},
        {"CUDA_VISIBLE_DEVICES": "nonsense"},
        {"PYTEST_XDIST_AUTO_NUM_WORKERS": "2"},
        {"PYTEST_ADDOPTS": "-W error"},
        {"PYTEST_ADDOPTS": "-v --durations 3"},
        {"WANDB_RUN_ID": "one", "WANDB_RESUME": "must", "PYTEST_ADDOPTS": "--track wandb"},
        {"WANDB_MODE": "nonsense", "PYTEST_ADDOPTS": "--track wandb"},
        {"WANDB_MODE": "disabled", "PYTEST_ADDOPTS": "--track wandb"},
    ]
    for variables in unusable:
        name = " ".join(f"{key}={value}" for key, value in variables.items())
        yield Fault(name, bench(), env=variables, says="2 records are in")
    refused = {
        "PYTEST_ADDOPTS=-n 2": "leave -n out",
        "PYTEST_ADDOPTS=-n auto": "leave -n out",
        "PYTEST_ADDOPTS=--nonsense": "unrecognized arguments",
    }
    for variable, says in refused.items():
        name, _, value = variable.partition("=")
        yield Fault(variable, bench(), codes=(4,), kept=0, env={name: value}, says=says)


def options() -> Iterator[Fault]:
    """Options that cannot be used, or not together; all of it is known before anything is trained."""
    for words, says in (
        ("-n 2", "leave -n out"),
        ("-n auto", "leave -n out"),
        ("--dist load", "leave -n out"),
        ("--tx 2*popen --dist each", "leave -n out"),
        ("--dataset nowhere", "neither a data set nor an existing path"),
        ("--dataset nowhere --collect-only", "neither a data set nor an existing path"),
        ("--dataset {folder}", "in no known layout|holds no"),
        ("--device gpu --collect-only", "give cpu, cuda or cuda:N"),
        ("--seeds 100000000", "at most 1000"),
        ("--set epochs=0", "epochs"),
        ("--benchmark-histogram", "pip install pygal"),
        ("--benchmark-compare-fail mean:1%", "add --benchmark-compare"),
        ("--benchmark-group-by nonsense", "--benchmark-group-by"),
        ("--benchmark-group-by param:nonsense", "no selected benchmark has this parameter"),
        ("--benchmark-json {folder}", "it is a folder"),
        ("--benchmark-json /proc/nothing/x.json", "cannot be written"),
        ("--benchmark-save x --benchmark-storage file:///proc/nothing", "cannot be written"),
        ("--junitxml /proc/nothing/x.xml", "cannot be written"),
        ("--log-file /proc/nothing/x.log", "cannot be written"),
        ("--benchmark-compare --benchmark-compare-fail mean:1% --no-summary", "judged when the times are shown"),
        (f"--compare-models {FIRST} {FIRST}", "give two different models"),
        (f"--compare-models {FIRST}", "expected 2 arguments"),
        ("--dataset shapes --image-size 12", "no model fits the data"),
        ("--benchmark-storage elasticsearch+http://nowhere/x", "elasticsearch"),
        ("--benchmark-only --benchmark-disable", "Can't have both"),
        ("--fail-on valid_accuracy:-0.01", "add --benchmark-compare"),
        ("--benchmark-compare --fail-on valid_accuracy:+0.01", "higher is better"),
        ("--track paper", "give one of"),
        ("--plugin nothing.py", "does not exist"),
    ):
        # no tests are run with --benchmark-only, but pytest refuses the option itself
        yield Fault(f"refused: {words}", bench(*words.split(" ")), codes=(4,), kept=0, says=says)
    for words in (
        "-n 0",
        "--benchmark-disable",
        "--benchmark-json {folder}/new/x.json",
        "--benchmark-save x --benchmark-save-data",
        "--benchmark-group-by param:cell",
        "--benchmark-columns mean,ops",
        "--benchmark-quiet",
        "--benchmark-verbose",
        "--benchmark-cprofile tottime",
        "--benchmark-cprofile cumtime --benchmark-cprofile-dump {folder}/new/prof",
        "--benchmark-warmup on",
        "--benchmark-disable-gc",
        "--benchmark-compare",
        "--benchmark-compare 0007",
        "--benchmark-compare --benchmark-compare-fail mean:1%",
        "--no-summary",
        "--no-header -qq",
        "-p no:terminal",
        "-s",
        "--capture sys",
        "-p no:capture",
        "-vv --color yes",
        "--import-mode importlib",
        "--junitxml {folder}/new/x.xml",
        "--noconftest",
        "-x --durations 2",
        "-p xdist",
        "--set epochs=1 --seeds 1",
    ):
        yield Fault(f"allowed: {words}", bench(*words.split(" ")))
    alone = [*RUN, *TINY, "--results-dir", "{run}"]
    says = "need the plug-in pytest-benchmark"
    yield Fault("refused: -p no:benchmark", [*alone, "-p", "no:benchmark"], codes=(4,), kept=0, says=says)
    no_plugins = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    yield Fault("refused: PYTEST_DISABLE_PLUGIN_AUTOLOAD", alone, codes=(4,), kept=0, env=no_plugins, says=says)
    yield Fault("--benchmark-skip", bench("--benchmark-skip"), kept=0)
    yield Fault(
        "--benchmark-json /dev/full",
        bench("--benchmark-json", "/dev/full"),
        codes=(1,),
        says="could not be written",
    )
    yield Fault(
        "--benchmark-compare-fail",
        bench("--benchmark-compare", "--benchmark-compare-fail", "mean:1%"),
        codes=(1,),
        says="the times regressed",
        prepare=_faster,
    )


def _store(place: Place, name: str, content: bytes) -> None:
    from pytest_benchmark.utils import get_machine_id

    folder = place.folder / "history" / get_machine_id()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def _faster(place: Place) -> None:
    """An earlier run whose times no machine reaches."""
    stats = {
        "min": 1e-9,
        "max": 1e-9,
        "mean": 1e-9,
        "stddev": 0,
        "rounds": 1,
        "median": 1e-9,
        "iqr": 0,
        "q1": 0,
        "q3": 0,
        "iqr_outliers": 0,
        "stddev_outliers": 0,
        "outliers": "0;0",
        "ld15iqr": 0,
        "hd15iqr": 0,
        "ops": 1e9,
        "total": 1e-9,
        "iterations": 1,
        "data": [1e-9],
    }
    entries = [
        {
            "fullname": f"bench/test_training.py::test_training[{cell}]",
            "name": cell,
            "group": None,
            "params": None,
            "param": None,
            "extra_info": {},
            "options": {},
            "stats": stats,
        }
        for cell in (FIRST, SECOND)
    ]
    saved = {"benchmarks": entries, "machine_info": {}, "commit_info": {}, "version": "5", "datetime": ""}
    _store(place, "0001_fast.json", json.dumps(saved).encode())


def histories() -> Iterator[Fault]:
    """Files among the stored runs that are not stored runs."""
    contents = {
        "cut off": b'{"machine_info": {"node": "x"}, "benchmarks": [{"na',
        "empty": b"",
        "not JSON": b"\x89PNG\r\n\x1a\n\x00\x00",
        "a list": b"[]",
        "without benchmarks": b"{}",
        "without machine": b'{"benchmarks": [{"fullname": "", "stats": {}, "extra_info": {"schema_version": 1}}]}',
        "foreign": b'{"machine_info": {}, "benchmarks": [{"fullname": "x", "stats": {"min": "a"}}]}',
        "of another record": b'{"machine_info": {}, "benchmarks": [{"fullname": "x", "stats": {"min": 1}, '
        b'"extra_info": {"schema_version": 99, "model": 1}}]}',
        "UTF-16": '{"benchmarks": []}'.encode("utf-16"),
        "deep": b"[" * 100_000,
    }
    for name, content in contents.items():
        for words in ([], ["0001"]):
            yield Fault(
                f"history: {name} {' '.join(words)}".strip(),
                bench("--benchmark-compare", *words, "-k", FIRST),
                kept=1,
                says="passed over .*0001_x.json|Failed to load .*0001_x.json|a stored run was passed over",
                prepare=partial(_store, name="0001_x.json", content=content),
            )


RECORDS: Mapping[str, bytes] = {
    "empty": b"",
    "garbage": b"garbage\n",
    "binary": bytes(range(256)) + b"\n",
    "a list": b"[]\n",
    "null": b"null\n",
    "an empty object": b"{}\n",
    "numbers too large": b'{"seed": 1e999}\n',
    "NaN": b'{"seed": NaN}\n',
    "deep": b"[" * 100_000 + b"\n",
    "UTF-16": '{"seed": 1}\n'.encode("utf-16"),
}


def records() -> Iterator[Fault]:
    """Commands that read records which are none."""
    for name, content in RECORDS.items():
        for command in ("tables", "plots", "report", "nightly"):
            words = ["-m", "bench", command, "{run}"] + (
                ["--last-good", "{folder}/good"] if command == "nightly" else []
            )
            yield Fault(
                f"{command} of records: {name}",
                words,
                codes=(2,),
                kept=0,
                says="^error: ",
                prepare=partial(_records, content=content),
            )


def _records(place: Place, content: bytes) -> None:
    place.run.mkdir()
    (place.run / "records.jsonl").write_bytes(content)


FILES = {
    "claims.toml": "",
    "nothing_to_add.py": "",
    "a_cell_that_raises.py": (
        "import bench.training.runs as runs\n"
        "run_cell = runs.run_cell\n"
        "def raises(spec, *arguments, **words):\n"
        f"    if spec.name == {SECOND!r}:\n"
        "        raise ZeroDivisionError('this cell raises')\n"
        "    return run_cell(spec, *arguments, **words)\n"
        "runs.run_cell = raises\n"
    ),
    "an_end_that_raises.py": (
        "def pytest_sessionfinish(session):\n    raise RuntimeError('this plug-in raises')\n"
    ),
}
"""Files that options name."""


def pairs() -> Iterator[Fault]:
    """Every pair of options, in a folder with the record of an earlier run."""
    storage = ["--benchmark-storage", "file://{folder}/history"]
    for command in option_pairs.commands():
        cache = [] if "no:cacheprovider" in command.words else ["-o", "cache_dir={folder}/cache"]
        words = ["-m", "pytest", "bench/test_training.py", "-k", "compact-late-concat", *TINY, *cache]
        words += ["--results-dir", "{run}", *storage, *command.words]
        name = "pairs: " + " ".join(option.text for option in command.options)
        yield Fault(name, words, codes=(command.code,), says=command.says, kept=1, prepare=_earlier)


def _earlier(place: Place) -> None:
    """Copy the folder in which an earlier run trained the first cell."""
    shutil.copytree(EARLIER[0], place.folder, dirs_exist_ok=True)


EARLIER: list[Path] = []
"""That folder, once there is one."""


def train_first(folder: Path) -> None:
    """Train the first cell in a folder, for the commands that meet its results.

    Raises:
        RuntimeError: It was not trained.
    """
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    problems, output = inject_in(folder, Fault("", bench("-k", FIRST), kept=1))
    if problems:
        raise RuntimeError("\n".join([*problems, output]))
    EARLIER.append(folder)


GROUPS = {
    "signals": signals,
    "disks": disks,
    "places": places,
    "hooks": hooks,
    "names": names,
    "terminals": terminals,
    "environments": environments,
    "options": options,
    "histories": histories,
    "records": records,
    "pairs": pairs,
}


def inject(fault: Fault) -> tuple[list[str], str]:
    """Run a command with its fault, in a process that is forked for it.

    Returns:
        The promises that were broken, a sentence each, and the output.
    """
    with tempfile.TemporaryDirectory(prefix="fault-") as folder:
        return inject_in(Path(folder), fault)


def inject_in(folder: Path, fault: Fault) -> tuple[list[str], str]:
    """The same as ``inject`` in a folder that is kept."""
    place = Place(folder, folder / "disk" / "run" if fault.room else folder / "run")
    if fault.room:
        mounted(place, fault.room)
        place.run.mkdir()
    if fault.prepare:
        fault.prepare(place)
    (folder / "fault_plugin.py").write_text(PLUGIN, encoding="utf-8")
    words = [word.format(run=place.run, folder=place.folder) for word in fault.words]
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "WANDB_"))}
    env |= {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]),
        "FAULT": fault.act,
        "STAGE": (STAGES | LOADING).get(fault.stage, ""),
        "ROOM": str(place.run.parent),
        "RUN": str(place.run),
        "TMPDIR": str(folder),
    }
    for variable, value in fault.env.items():
        env = {**env, variable: value} if value is not None else {k: v for k, v in env.items() if k != variable}
    # what is read while modules are loaded, and how streams end, needs a new interpreter
    fresh = bool(fault.env) or fault.start != "pipe" or "-W" in words
    try:
        code, output = STARTS[fault.start](partial(execute, words, env, fresh=fresh))
        return list(broken(fault, code, output, place.run, place)), output
    finally:
        if fault.room:
            unmount = ["umount", "-l", str(place.run.parent)]
            while subprocess.run(unmount, capture_output=True, check=False).returncode == 0:  # noqa: S603
                pass  # a fault may have mounted it once more


def broken(fault: Fault, code: int, output: str, folder: Path, place: Place) -> Iterator[str]:
    """The promises that were broken, a sentence each."""
    if code not in fault.codes:
        yield f"exit status {code}, not {' or '.join(map(str, fault.codes))}"
    # a failed training shows its own traceback in pytest's way, without this line
    for line in ("Traceback (most recent call last)", "INTERNALERROR", "Exception ignored"):
        if line in output:
            yield f"the output has {line!r}"
    if fault.says and not re.search(fault.says, output, re.MULTILINE):
        yield f"the output does not say {fault.says!r}"
    files = [*folder.glob("records.jsonl"), *place.folder.glob("fusiongauge-*/records.jsonl")]
    found = [file for file in files if file.is_file()]
    try:
        lines = [json.loads(line) for file in found for line in file.read_text(encoding="utf-8").split("\n")[:-1]]
    except (ValueError, RecursionError) as error:
        lines = []
        if fault.stage or fault.kept:
            yield f"the records cannot be read: {error}"
    completed = [line for line in lines if isinstance(line, dict) and line.get("status") == "completed"]
    if len(completed) < fault.kept:
        yield f"{len(completed)} records are kept, not {fault.kept}"


Env = Mapping[str, str]


def execute(command: Sequence[str], env: Env, *, fresh: bool) -> None:
    """Become the command; never returns. A process that has its modules loaded need not load them again."""
    os.chdir(ROOT)
    for number in (signal.SIGHUP, signal.SIGTERM):  # nohup ignores the first, and that is inherited
        signal.signal(number, signal.SIG_DFL)
    if fresh:
        os.execvpe(sys.executable, [sys.executable, *command], dict(env))  # noqa: S606
    os.environ.clear()
    os.environ.update(env)
    sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115
    sys.path[:0] = env["PYTHONPATH"].split(os.pathsep)
    sys.argv = list(command[1:])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    tempfile.tempdir = None
    code: object = 1
    try:
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    except SystemExit as error:
        code = error.code
    except BaseException:  # as the interpreter does
        os.write(2, traceback.format_exc().encode())
    finally:
        try:
            sys.stdout.flush()
        except (OSError, ValueError):
            code = 120
        os._exit(code if isinstance(code, int) else int(code is not None))


def mounted(place: Place, room: str) -> None:
    """Mount a small file system in a namespace of this process and its children."""
    if ctypes.CDLL(None, use_errno=True).unshare(0x00020000):  # CLONE_NEWNS
        raise OSError(ctypes.get_errno(), "unshare")
    folder = place.run.parent
    folder.mkdir()
    for words in (["--make-rprivate", "/"], ["-t", "tmpfs", "-o", f"size={room}", "none", str(folder)]):
        subprocess.run(["mount", *words], check=True)  # noqa: S603, S607


def started(run: Callable[[], None], redirect: Callable[[], None]) -> int:
    """The process that runs something, after its output was connected."""
    child = os.fork()
    if child == 0:
        redirect()
        run()
    return child


def ended(child: int) -> int:
    """The exit status of a process, which is killed when it takes too long."""
    until = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < until:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 124


def to_pipe(run: Callable[[], None], *, into: str = "") -> tuple[int, str]:
    """Run something and read its output, through a pipe: a file would be subject to the faults."""
    reading, writing = os.pipe()

    def redirect() -> None:
        os.close(reading)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(into, os.O_WRONLY) if into else writing, 1)
        os.dup2(writing, 2)
        os.close(writing)

    child = started(run, redirect)
    os.close(writing)
    text, until = b"", time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < until:
        if select.select([reading], [], [], 1)[0]:
            if not (part := os.read(reading, 65536)):
                break
            text += part
    os.close(reading)
    return ended(child), text.decode(errors="replace")


def to_head(run: Callable[[], None]) -> tuple[int, str]:
    """Run something whose output is closed after the first line, as by ``| head -1``."""
    reading, writing = os.pipe()

    def redirect() -> None:
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        os.close(writing)
        os.close(reading)

    child = started(run, redirect)
    os.close(writing)
    text = b""
    while b"\n" not in text and (part := os.read(reading, 1)):
        text += part
    os.close(reading)
    return ended(child), text.decode(errors="replace")


def to_terminal(run: Callable[[], None]) -> tuple[int, str]:
    """Run something on a terminal that is closed while the second cell is trained."""
    child, terminal = pty.fork()
    if child == 0:
        run()
    text, until = b"", time.monotonic() + TIMEOUT_SECONDS
    while b"[2/2]" not in text and time.monotonic() < until:
        if select.select([terminal], [], [], 1)[0]:
            try:
                text += os.read(terminal, 4096)
            except OSError:
                break
    os.close(terminal)
    return ended(child), text.decode(errors="replace")


STARTS: Mapping[str, Callable[[Callable[[], None]], tuple[int, str]]] = {
    "pipe": to_pipe,
    "devfull": partial(to_pipe, into="/dev/full"),
    "head": to_head,
    "hangup": to_terminal,
}


def can_mount() -> bool:
    """Whether this process can mount file systems in a namespace of its own."""
    if shutil.which("unshare") is None:
        return False
    words = ["unshare", "-m", "bash", "-c", "mount -t tmpfs -o size=1m none /mnt"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0  # noqa: S603


def preload() -> None:
    """Load what runs load, once."""
    os.environ["OMP_NUM_THREADS"] = "1"
    for module in (
        "pytest_benchmark.plugin",
        "xdist.plugin",
        "bench.training.runs",
        "bench.plots",
        "bench.report.page",
        "bench.tables.tabulation",
        "bench.harness.ending",
        "bench.harness.session",
        "statsmodels.stats.multitest",
    ):
        importlib.import_module(module)
    bench, plots, tabulation = map(importlib.import_module, ("bench", "bench.plots", "bench.tables.tabulation"))
    # what a process loads or measures once, such as its hash of the code
    record = bench.run(FIRST, "shapes", protocol=replace(bench.STANDARD, pairs=80, epochs=1), device="cpu")
    plots.figures([record])
    tabulation.all_tables([record])
    gc.freeze()  # what is loaded is not looked through again in every process


def main() -> int:
    """Inject the faults that were named and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("only", nargs="*", help="parts of names, or groups: " + ", ".join(GROUPS))
    parser.add_argument(
        "-v", action="store_true", dest="verbose", help="show the output where a promise is broken"
    )
    parser.add_argument("-j", type=int, default=2, dest="jobs", help="runs at the same time; default: %(default)s")
    arguments = parser.parse_args()
    faults = [
        fault
        for group, make in GROUPS.items()
        for fault in make()
        if not arguments.only or any(word == group or word in fault.name for word in arguments.only)
    ]
    mounts = can_mount()
    runnable = [fault for fault in faults if mounts or not fault.room]
    failed = 0
    preload()
    with ExitStack() as stack:
        if any(fault.prepare is _earlier for fault in runnable):
            train_first(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fault-"))))
        pool = stack.enter_context(get_context("fork").Pool(arguments.jobs, maxtasksperchild=1))
        for fault, (problems, output) in zip(runnable, pool.imap(inject, runnable), strict=True):
            failed += bool(problems)
            print(f"{'BROKEN' if problems else 'ok    '}  {fault.name}", *problems, sep="\n          ", flush=True)
            if problems and arguments.verbose:
                print(re.sub("(?m)^", "          | ", output[-6000:]), flush=True)
    skipped = len(faults) - len(runnable)
    print(f"{len(runnable)} faults, {failed} broken promises, {skipped} skipped (no right to mount a file system)")
    return 1 if failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
