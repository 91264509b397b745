"""The memory of a whole run as the operating system measures it: libraries, data and all.

``peak_memory_bytes`` of a record is what a model's training step needs; this is what a machine needs.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.config import FIRST_SEED, RunConfig
from bench.costs import measured_on
from bench.records import ResidentRecord
from bench.training.allocator import keep_freed_memory
from bench.training.preparation import prepare, world_of
from bench.training.processes import fresh_process
from bench.training.runs import run_cell
from data_utils import open_source
from fusion_models import find_model

MODEL = "compact-late-concat-strided"
"""The model that is trained: the one with the least memory of its own, so that the data dominate."""

DATASET = "shapes"

STATUS = Path("/proc/self/status")
"""Where Linux reports the peak size of a process."""


def resident_memory(config: RunConfig) -> ResidentRecord:
    """Simulate the pairs of a protocol and train MODEL on them for an epoch, in a fresh process.

    The peak size of a process never falls, so no other run may have been in it.
    """
    config = replace(config, protocol=replace(config.protocol, epochs=1), results_dir=None)
    with fresh_process() as fresh:
        measured = fresh.submit(_measured, config).result()
    measured |= measured_on(config.profile, config.device, precision=config.protocol.precision)
    return ResidentRecord(model=MODEL, dataset=DATASET, **measured)


def _measured(config: RunConfig) -> dict[str, Any]:
    keep_freed_memory()
    measured = {"started_bytes": _peak_bytes()}
    source = open_source(DATASET)
    world = world_of(source, config.protocol, FIRST_SEED)
    measured |= {"pairs": len(world.train) + len(world.valid), "loaded_bytes": _peak_bytes()}
    prepare(source, config.protocol, FIRST_SEED, config.device)
    measured["prepared_bytes"] = _peak_bytes()
    run_cell(find_model(MODEL), source, FIRST_SEED, config)
    return {**measured, "trained_bytes": _peak_bytes()}


def _peak_bytes() -> int:
    # Not the value of getrusage: a process inherits that from the one that started it.
    peak = re.search(r"^VmHWM:\s*(\d+) kB", STATUS.read_text(), re.MULTILINE)
    if peak is None:
        raise RuntimeError(f"{STATUS} does not report the peak size of the process")
    return int(peak[1]) * 1024
