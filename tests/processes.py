"""Commands of the project in processes of their own, which start with torch and pandas loaded.

Loading them takes two seconds of every command. The fork server of ``multiprocessing`` does it once; a command
runs in a fork of it, and what it registers, loads and sets ends with it.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["torch", "pandas", "scipy.stats", "matplotlib.pyplot", "bench.training.runs", "tests.processes"]
)


def call(*words: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """``python -m`` with these words, in the project's root, with one thread; errors are among the output."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        process = _CONTEXT.Process(
            target=_run,
            args=(words, {**environment, "OMP_NUM_THREADS": "1"}, f"/proc/{os.getpid()}/fd/{output.fileno()}"),
        )
        process.start()
        process.join(timeout)
        if process.is_alive():
            process.kill()
            process.join()
        output.seek(0)
        printed = output.read()
    assert process.exitcode is not None
    return subprocess.CompletedProcess([sys.executable, "-m", *words], process.exitcode, printed)


def _run(words: tuple[str, ...], environment: dict[str, str], output: str) -> None:
    descriptor = os.open(output, os.O_WRONLY | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    torch.set_num_threads(1)
    module, *arguments = words
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
