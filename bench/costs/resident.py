"""The memory of a whole run as the operating system sees it: libraries, data and all.

Beside ``peak_memory_bytes``, which is what a model's training step needs, this is what a machine must have.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from bench.config import FIRST_SEED, RunConfig
from bench.tables import TextTable
from bench.training.allocator import keep_freed_memory
from bench.training.preparation import prepare
from bench.training.processes import fresh_process
from bench.training.runs import run
from data_utils import load

MODEL = "compact-late-concat-strided"
"""The row that is trained: the one with the least memory of its own, so that the data stand out."""

DATASET = "shapes"

STATUS = Path("/proc/self/status")
"""Where Linux says how large a process was at most."""


@dataclass(frozen=True)
class ResidentMemory:
    """The most bytes that a process had in memory up to several points of a run.

    Attributes:
        pairs: simulated, for training and validation together.
        started_bytes: libraries imported.
        loaded_bytes: data simulated.
        prepared_bytes: data scaled and on the device.
        trained_bytes: the run is over.
    """

    pairs: int
    started_bytes: int
    loaded_bytes: int
    prepared_bytes: int
    trained_bytes: int


def resident_memory(config: RunConfig) -> ResidentMemory:
    """Simulate the pairs of a protocol and train MODEL on them for an epoch, in a fresh process.

    A process never gets smaller in this figure, so another run must not have been in it.
    """
    config = replace(config, protocol=replace(config.protocol, epochs=1))
    with fresh_process() as fresh:
        return fresh.submit(_measured, config).result()


def _measured(config: RunConfig) -> ResidentMemory:
    keep_freed_memory()
    started = _peak_bytes()
    dataset = load(DATASET, pairs=config.protocol.pairs)
    loaded = _peak_bytes()
    prepare(dataset, config.protocol, FIRST_SEED, config.device)
    prepared = _peak_bytes()
    run(MODEL, dataset, FIRST_SEED, config)
    return ResidentMemory(len(dataset), started, loaded, prepared, _peak_bytes())


def _peak_bytes() -> int:
    # Not getrusage's figure: a process inherits that from the one that started it.
    for line in STATUS.read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"{STATUS} does not say how large the process was")


def resident_table(measured: ResidentMemory, conditions: list[str]) -> TextTable:
    """One line: how the process grew."""
    points = [measured.started_bytes, measured.loaded_bytes, measured.prepared_bytes, measured.trained_bytes]
    return TextTable(
        name="resident-memory",
        title="Memory of a run",
        header=["pairs", "started (MB)", "data loaded (MB)", "data prepared (MB)", "trained (MB)"],
        labels=0,
        rows=[[f"{measured.pairs:,}", *(f"{point / 1e6:,.0f}" for point in points)]],
        notes=[
            f"most memory of a fresh process up to each point; simulates {DATASET}, trains {MODEL} for an epoch"
        ],
        conditions=conditions,
        data=pd.DataFrame([measured]),
    )
