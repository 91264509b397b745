"""The published numbers, and whether measured ones agree with them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.config import FULL
from bench.records import RecordError, RunRecord

CLASSES, CHANNELS, IMAGE_SIZE = 2, {"rgb": 4, "lidar": 4}, [64, 64]
"""The inputs that the published models were built for."""


def published_folder() -> Path:
    """The folder of the published numbers: ``results/published`` in a checkout, inside ``bench`` in a wheel."""
    bench = Path(__file__).resolve().parent.parent
    installed = bench / "published"
    return installed if installed.is_dir() else bench.parent / "results" / "published"


def published_studies() -> list[str]:
    """The names of the studies that something is published for."""
    return sorted(path.stem for path in published_folder().glob("*.json"))


def read_published(study: str) -> dict[str, Any]:
    """A published study: source, question, protocol, rows, claims and how our runs deviate from it.

    Raises:
        RecordError: Nothing is published for the study.
    """
    if study not in published_studies():
        raise RecordError(f"nothing is published for the study {study!r}; see {published_folder()}")
    path = published_folder() / f"{study}.json"
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def has_published_inputs(record: RunRecord) -> bool:
    """Whether the model was built for the inputs of the published ones, so that their sizes compare.

    Records that do not tell the shape of their inputs are judged by the number of classes.
    """
    shape = (record.channels, record.image_size)
    return record.classes == CLASSES and shape in ((CHANNELS, IMAGE_SIZE), (None, None))


def deviations(records: Sequence[RunRecord]) -> list[str]:
    """How runs of a published study differ from its protocol, in sentences."""
    notes = []
    if not all(map(has_published_inputs, records)):
        notes.append(
            "classes, channels or image sizes differ from the published ones, so sizes cannot be compared"
        )
    if any(record.profile != FULL.name for record in records):
        notes.append("NOT the published protocol: the profile cut pairs or epochs, so losses cannot be compared")
    if any(record.changed for record in records):
        notes.append("NOT the published protocol where settings were changed, so losses cannot be compared")
    return notes


def parameters_agree(row: Mapping[str, Any], parameters: int) -> bool:
    """Whether a published row's count is this one: exactly, or to all digits printed where it is in millions."""
    if row.get("parameters") is not None:
        return parameters == int(row["parameters"])
    printed = str(row["parameters_millions"])
    decimals = len(printed.partition(".")[2])
    return f"{parameters / 1e6:.{decimals}f}" == printed


def has_wrong_size(record: RunRecord) -> bool:
    """Whether a model of a published study has other parameters than published, on inputs as published."""
    if record.study not in published_studies() or not has_published_inputs(record):
        return False
    rows = read_published(record.study)["rows"]
    return any(row["model"] == record.model and not parameters_agree(row, record.parameters or 0) for row in rows)


def measured_accuracy(row: Mapping[str, Any], record: RunRecord) -> float | None:
    """The record's accuracy over the pairs that a published row's accuracy is over."""
    return overall_accuracy(record) if "train_and_valid_accuracy" in row else record.valid_accuracy


def overall_accuracy(record: RunRecord) -> float | None:
    """The accuracy over training and validation pairs together; None where the record lacks a part of it."""
    train, valid = record.train_pairs or 0, record.valid_pairs or 0
    if record.train_accuracy is None or record.valid_accuracy is None or not train + valid:
        return None
    return (record.train_accuracy * train + record.valid_accuracy * valid) / (train + valid)


_FIELDS = {
    "loss": ("best_valid_loss",),
    "loss ratio": ("best_valid_loss",),
    "mean loss ratio": ("mean_valid_loss",),
    "accuracy": ("valid_accuracy",),
    "final accuracy": ("valid_accuracy",),
    "accuracy over all pairs": ("train_and_valid_accuracy",),
    "epoch_seconds": ("train_seconds", "seconds_per_epoch"),
    "peak_memory_bytes": ("gpu_memory_mb",),
    "parameters": ("parameters", "parameters_millions"),
}
"""By the name of a metric, the fields of a published row that hold it."""


def published_values(study: str, metric: str, models: Sequence[str]) -> list[float] | None:
    """What was published for some models of a study in a metric, one each; None where one of them is missing."""
    if study not in published_studies():
        return None
    rows = {row["model"]: row for row in read_published(study)["rows"]}
    for name in _FIELDS.get(metric, ()):
        values = [rows.get(model, {}).get(name) for model in models]
        if None not in values:
            return [float(value) for value in values]
    return None
