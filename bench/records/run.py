"""Records: all that is known of one run, one line of strict JSON each. results/README.md lists the fields.

A record is raw: no rounding, seconds and bytes, lists of all epochs. Whatever is shown anywhere is computed from
records (tables.py).
"""

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from bench.records import files as jsonlines
from bench.records.files import RecordError as RecordError  # part of what this module offers
from bench.training.target import TARGET_ACCURACY, seconds_to_target

SCHEMA_VERSION = 3
READABLE_VERSIONS = (1, 2, SCHEMA_VERSION)
"""Versions 1 and 2 lack the shape of the inputs, version 1 also what is now known of costs, data and code; those
fields of their records are None. The time to the target accuracy follows from the epochs they have. Each of their
seeds was trained alone."""

COMPLETED, DIVERGED, FAILED = "completed", "diverged", "failed"


@dataclass(frozen=True, kw_only=True)
class Pretraining:
    """How the expert of one modality was trained before the fusion of experts."""

    modality: str
    train_losses: list[float]
    valid_losses: list[float]
    best_epoch: int
    valid_accuracy: float
    epoch_seconds: list[float]


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One cell's run. None stands for what an unfinished run did not come to.

    Attributes:
        schema_version: of this list of fields.
        started_at: ISO 8601, UTC.
        model: the row's name; ``family``, ``stage``, ``operator``, ``embedder``, ``modalities`` are its parts.
        study: the study it was run for; ``variant``: which of the study's protocols, "" for its only one.
        dataset: its short name.
        dataset_notes: what its reader left out or noticed.
        classes: how many; ``class_names`` in the order of labels.
        channels: of each modality of the data; ``image_size``: rows and columns of all of them.
        train_pairs: used for training; ``valid_pairs`` for validation.
        seed: of all random streams.
        profile: its name; ``protocol``: what it came to, as run.
        device: "cpu" or "cuda"; ``environment`` says which.
        status: "completed", "diverged" (a loss was not finite) or "failed" (``error`` says how).
        parameters: weights and biases; ``trainable_parameters``: those the last stage of training changes.
        train_losses: a value an epoch, mean over the training pairs, in nats.
        valid_losses: a value an epoch, over all validation pairs after it; ``valid_accuracies`` likewise.
        learning_rates: of each epoch's first step.
        best_epoch: with the lowest validation loss, counted from 1.
        best_valid_loss: of that epoch; ``valid_accuracy`` and ``valid_metrics`` (every metric) too.
        train_accuracy: over all training pairs, with that epoch's weights.
        epoch_seconds: training alone, a value an epoch.
        seeds_together: how many seeds of the row were trained side by side, this one included; where they are
            several, ``epoch_seconds`` are equal shares of the time of them all.
        pretraining: the experts trained before, for late fusion of experts; their epochs are not among the
            lists above.
        train_seconds: sum of all epochs, experts included.
        target_accuracy: the validation accuracy that ``seconds_to_target`` is about.
        seconds_to_target: training time, experts included, until an epoch first ended with it; None if none did.
        flops_per_step: floating-point operations of one step of the last stage of training, a multiply-add
            counted as two; of a whole batch, and of convolutions and matrix products alone.
        ceiling: the device's own limits measured in the same session, ``flops_per_second`` and
            ``bytes_per_second``.
        peak_memory_bytes: of one training step; ``peak_memory_method`` says what was counted.
        peak_reserved_bytes: what CUDA's caching allocator held for it; None on a CPU.
        weights_sha256: of the best epoch's weights.
        checkpoint: file name in the run's folder of checkpoints; None if none was written.
        data_sha256: of the data set's content, as it was handed to the run.
        code_sha256: of the source files that decide what a run comes to.
        environment: versions, machine, device, threads, commit.
    """

    schema_version: int = SCHEMA_VERSION
    started_at: str
    model: str
    family: str
    stage: str
    operator: str
    embedder: str
    modalities: list[str]
    study: str
    variant: str
    dataset: str
    dataset_notes: list[str]
    classes: int
    class_names: list[str]
    channels: dict[str, int] | None = None
    image_size: list[int] | None = None
    train_pairs: int | None = None
    valid_pairs: int | None = None
    seed: int
    profile: str
    protocol: dict[str, Any]
    device: str
    status: str
    error: str | None = None
    parameters: int | None = None
    trainable_parameters: int | None = None
    train_losses: list[float | None]
    valid_losses: list[float | None]
    valid_accuracies: list[float]
    learning_rates: list[float]
    best_epoch: int | None = None
    best_valid_loss: float | None = None
    valid_accuracy: float | None = None
    valid_metrics: dict[str, float] | None = None
    train_accuracy: float | None = None
    epoch_seconds: list[float]
    seeds_together: int = 1
    pretraining: list[Pretraining]
    train_seconds: float | None = None
    target_accuracy: float | None = None
    seconds_to_target: float | None = None
    flops_per_step: int | None = None
    ceiling: dict[str, float] | None = None
    peak_memory_bytes: int | None = None
    peak_memory_method: str | None = None
    peak_reserved_bytes: int | None = None
    weights_sha256: str | None = None
    checkpoint: str | None = None
    data_sha256: str | None = None
    code_sha256: str | None = None
    environment: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The record as plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "RunRecord":
        """The inverse of ``to_dict``; a record of an older readable version becomes one of this version.

        Raises:
            RecordError: another schema, or fields that are missing or unknown.
        """
        schema = values.get("schema_version")
        if schema not in READABLE_VERSIONS:
            raise RecordError(
                f"has schema version {schema}, this FusionGauge reads versions up to {SCHEMA_VERSION}; "
                "rerun the benchmark, or read it with the version that wrote it"
            )
        unknown = values.keys() - {field.name for field in fields(cls)}
        if unknown:
            raise RecordError(f"has unknown fields: {', '.join(sorted(unknown))}")
        try:
            pretraining = [Pretraining(**stage) for stage in values["pretraining"]]
            if schema == 1:
                values = values | _time_to_target(values, pretraining)
            return cls(**{**values, "schema_version": SCHEMA_VERSION, "pretraining": pretraining})
        except (KeyError, TypeError) as error:
            raise RecordError(f"lacks fields or is malformed: {error}") from error


def _time_to_target(values: dict[str, Any], pretraining: list[Pretraining]) -> dict[str, float | None]:
    before = sum(sum(stage.epoch_seconds) for stage in pretraining)
    seconds = seconds_to_target(values["valid_accuracies"], values["epoch_seconds"], before=before)
    return {"target_accuracy": TARGET_ACCURACY, "seconds_to_target": seconds}


def append(path: Path, record: RunRecord) -> None:
    """Add one line to a records file and have it on the disk before returning."""
    jsonlines.append(path, record.to_dict())


def read(path: Path) -> list[RunRecord]:
    """All records of a file, in the order they were written.

    A last line that was cut off (a power failure, a full disk) is left out.

    Raises:
        RecordError: the file is missing, or a line cannot be read.
    """
    return jsonlines.read(path, RunRecord.from_dict)


def parse(content: bytes, source: str) -> list[RunRecord]:
    """All records of a file's content, as ``read``; ``source`` is what messages call it."""
    return jsonlines.parse_lines(content, source, RunRecord.from_dict)


def latest(found: Iterable[RunRecord]) -> list[RunRecord]:
    """The last record of each cell, in the order in which they were first run: a rerun takes the old place."""
    cells = {
        (each.study, each.variant, each.model, each.dataset, each.profile, each.device, each.seed): each
        for each in found
    }
    return list(cells.values())


def environment(device: torch.device) -> dict[str, Any]:
    """What a result may depend on beside code and data: versions, machine, device, threads, commit."""
    found = {**_software_and_machine(), "threads": torch.get_num_threads(), "device_name": device_name(device)}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found["device_memory_bytes"] = properties.total_memory
        found["device_capability"] = f"{properties.major}.{properties.minor}"
    return found


def machine(environment: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a record's environment that decides its bits, its times and its memory."""
    found = {name: environment.get(name) for name in ("device_name", "cpu", "threads", "cuda", "cudnn")}
    return {**found, "torch": environment.get("packages", {}).get("torch")}


def timed_by(record: RunRecord) -> dict[str, Any]:
    """What the record's times depend on: its machine, and how many seeds were trained side by side."""
    return {**machine(record.environment), "seeds_together": record.seeds_together}


def device_name(device: torch.device) -> str:
    """The model of the device, as its maker calls it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _cpu_name()


@cache
def _software_and_machine() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {
            name: _package_version(name)
            for name in ("torch", "torchvision", "numpy", "pandas", "pytest", "pytest-benchmark")
        },
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "cpu": _cpu_name(),
        "cpu_count": os.cpu_count(),
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
    }


def _package_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git(*arguments: str) -> str | None:
    """What git says of the checkout this code runs from; None outside of one."""
    command = ["git", "-C", str(Path(__file__).resolve().parent), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None
