"""``python -m tools.faults``: injects the faults that are named, or all."""

import argparse
import gc
import importlib
import os
import re
import signal
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import tools.faults
from tools.faults.disks import disks, places
from tools.faults.fault import FIRST
from tools.faults.hooks import hooks
from tools.faults.injecting import can_mount, inject
from tools.faults.names import names
from tools.faults.options import options
from tools.faults.pairs import earlier, pairs, train_first
from tools.faults.signals import signals
from tools.faults.stored import histories, records
from tools.faults.surroundings import environments, terminals

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
    parser = argparse.ArgumentParser(
        prog="python -m tools.faults", description=(tools.faults.__doc__ or "").partition("\n")[0]
    )
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
        if any(fault.prepare is earlier for fault in runnable):
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
