"""A process that trains cells, one after the other, each as in a run in one process."""

from __future__ import annotations

import hashlib
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from filelock import FileLock

from bench.harness.executors.tasks import DataNeeded, Raised, Ready, Refused, Task, Trained, Versions
from bench.records.run import CHECKPOINTS
from bench.records.sample import samples_path
from bench.training import runs
from bench.training.allocator import keep_freed_memory
from bench.training.fingerprint import code_sha256
from bench.training.preparation import world_of
from bench.training.trainer import EpochResult
from data_utils import DataError, Source, open_source
from data_utils.cache import Cache
from fusion_models import find_model
from fusiongauge import PluginError, load_installed_plugins, load_plugin

Report = Callable[[str, str], None]
"""Called with a cell's name and how far it is, in words."""


def versions() -> Versions:
    """Those of this process, with the plug-ins that it has loaded."""
    return Versions(code_sha256(), torch.__version__)


class Worker:
    """Trains cells.

    Args:
        node: The name of its machine.
        report: Told about every epoch.
        cache: The folder of simulated data; where this machine does not have it, one of its own is used.
    """

    def __init__(self, node: str, report: Report, cache: Path) -> None:
        self._node, self._report = node, report
        self._cache = cache if cache.is_dir() else Path(tempfile.gettempdir()) / "fusiongauge-simulated"
        self._data: tuple[str, Source] | None = None  # the latest, by its hash

    def prepare(
        self, wanted: Versions, threads: int, plugins: Sequence[str], *, installed: bool
    ) -> Ready | Refused:
        """Set the process up as the session is, and compare versions.

        Args:
            wanted: Those of the session.
            threads: Of torch.
            plugins: Files to load.
            installed: Whether to load the plug-ins of installed packages.
        """
        torch.set_num_threads(threads)
        keep_freed_memory()
        try:
            if installed:
                load_installed_plugins()
            for file in plugins:
                load_plugin(file)
        except PluginError as error:
            return Refused(self._node, str(error))
        if different := wanted.differences(versions()):
            return Refused(self._node, f"it has {different}; install the same versions there")
        return Ready(self._node)

    def train(self, task: Task, data: Source | None = None) -> Trained | Raised | DataNeeded:
        """Train one cell.

        Args:
            task: The cell.
            data: Its data, where the worker has asked for them.
        """
        epochs: list[EpochResult] = []
        notes: list[str] = []

        def observe(result: EpochResult) -> None:
            epochs.append(result)
            stage = f"{result.stage}, " if result.stage else ""
            self._report(task.name, f"{stage}epoch {result.epoch}/{result.epochs}")

        try:
            dataset = data or self._own_data(task)
            if dataset is None:
                return DataNeeded()
            self._data = (task.data_sha256, dataset)
            start = time.perf_counter()
            with self._alone(task.world):  # one process of the machine simulates, the others read
                world_of(dataset, task.config.protocol, task.seed)
            with tempfile.TemporaryDirectory(prefix="fusiongauge-") as folder:
                config = replace(task.config, results_dir=Path(folder))
                spec = find_model(task.model) if isinstance(task.model, str) else task.model
                record = runs.run_cell(spec, dataset, task.seed, config, observe=observe, note=notes.append)
                seconds = time.perf_counter() - start
                weights, samples = None, None
                if record.checkpoint is not None:
                    weights = _content(Path(folder) / CHECKPOINTS / record.checkpoint)
                    samples = _content(samples_path(Path(folder), record.checkpoint))
        except Exception as error:
            return Raised(f"{type(error).__name__}: {error}", traceback.format_exc())
        return Trained(record, tuple(epochs), weights, samples, tuple(notes), seconds)

    def _own_data(self, task: Task) -> Source | None:
        """The task's data as this machine has them; None if it lacks them, or has others of that name."""
        if self._data is not None and self._data[0] == task.data_sha256:
            return self._data[1]
        self._data = None  # two would be too much
        try:
            dataset = self._load(task)
        except DataError:
            return None
        return dataset if dataset.sha256 == task.data_sha256 else None

    def _load(self, task: Task) -> Source:
        return open_source(task.config.dataset, **task.loading, cache=Cache(self._cache, task.cache_bytes))

    def _alone(self, what: object) -> FileLock:
        """Held by one process of this machine at a time."""
        self._cache.mkdir(parents=True, exist_ok=True)
        return FileLock(self._cache / f"{hashlib.sha256(repr(what).encode()).hexdigest()[:16]}.lock")


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
