"""Runs a command with its fault in a process of its own, and tells which promises were broken."""

import ctypes
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from tools.faults.fault import LOADING, PLUGIN, ROOT, STAGES, Fault, Place
from tools.faults.outputs import STARTS


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


def can_mount() -> bool:
    """Whether this process can mount file systems in a namespace of its own."""
    if shutil.which("unshare") is None:
        return False
    words = ["unshare", "-m", "bash", "-c", "mount -t tmpfs -o size=1m none /mnt"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0  # noqa: S603
