"""Published numbers beside measured ones. Pure but for reading ``results/published``.

Seconds and bytes of another machine mean nothing here, so time and memory are compared as ratios to the study's
first row. Losses and accuracies of one published run of one seed are compared by where they lie: against the
range of our seeds, and by the row's place among the rows of its study.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd

from bench.records.run import COMPLETED, RunRecord
from bench.studies import STUDIES, Study
from bench.tables import TextTable, conditions

FOLDER = Path(__file__).resolve().parent.parent.parent / "results" / "published"

CLASSES, CHANNELS, IMAGE_SIZE = 2, {"rgb": 4, "lidar": 4}, [64, 64]
"""What the published models were built for."""


def read_published(study: str) -> dict[str, Any]:
    """A published study: source, question, protocol, rows and claims.

    Raises:
        ValueError: no such study was published.
    """
    path = FOLDER / f"{study}.json"
    if not path.is_file():
        raise ValueError(f"nothing is published for the study {study!r}; see {FOLDER}")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def has_published_inputs(record: RunRecord) -> bool:
    """Whether the record's model was built for what the published ones were, so that their sizes compare.

    Records from before version 3 do not tell the shape of their inputs; the number of classes decides for them.
    """
    shape = (record.channels, record.image_size)
    return record.classes == CLASSES and shape in ((CHANNELS, IMAGE_SIZE), (None, None))


def parameters_agree(published: dict[str, Any], parameters: int) -> bool:
    """Whether a row's count is the published one: exactly, or to all digits printed where it is in millions."""
    if published.get("parameters") is not None:
        return parameters == int(published["parameters"])
    printed = str(published["parameters_millions"])
    decimals = len(printed.partition(".")[2])
    return f"{parameters / 1e6:.{decimals}f}" == printed


def measured_accuracy(published: dict[str, Any], record: RunRecord) -> float | None:
    """The record's accuracy over the pairs that the published accuracy is over."""
    if "train_and_valid_accuracy" not in published:
        return record.valid_accuracy
    if record.train_accuracy is None or record.valid_accuracy is None:
        return None
    train, valid = record.train_pairs or 0, record.valid_pairs or 0
    return (record.train_accuracy * train + record.valid_accuracy * valid) / (train + valid)


def published_table(records: Sequence[RunRecord]) -> TextTable | None:
    """Published beside measured for the records of one study; None if nothing is published for it."""
    done = [record for record in records if record.status == COMPLETED]
    if not done or not STUDIES[done[0].study].published:
        return None
    study = STUDIES[done[0].study]
    content = read_published(study.name)
    cells: dict[str, list[RunRecord]] = {}
    for record in done:
        cells.setdefault(record.model, []).append(record)
    data = pd.DataFrame([_row(row, cells[row["model"]]) for row in content["rows"] if row["model"] in cells])
    if data.empty:
        return None
    for quantity in ("seconds", "memory"):
        for source in ("published", "measured"):
            column = data.pop(f"{quantity}_{source}")
            data[f"{quantity}_ratio_{source}"] = column / column.iloc[0]
    for source in ("published", "measured"):
        data[f"loss_place_{source}"] = data[f"loss_{source}"].rank(method="min")
    data["same_place"] = data["loss_place_published"] == data["loss_place_measured"]
    title = f"{study.name}: published beside measured"
    return TextTable(
        name="published",
        title=title,
        header=[
            "model",
            "parameters",
            "count as published",
            "loss",
            "range of seeds",
            "place",
            "accuracy",
            "time ratio",
            "memory ratio",
        ],
        labels=1,
        rows=[_text(row, rows=len(data)) for row in data.to_dict("records")],
        notes=_notes(study, str(content["source"]), done),
        conditions=conditions(records),
        data=data,
    )


def _row(published: dict[str, Any], records: list[RunRecord]) -> dict[str, Any]:
    losses = [record.best_valid_loss for record in records if record.best_valid_loss is not None]
    accuracies = [measured_accuracy(published, record) for record in records]
    known = [accuracy for accuracy in accuracies if accuracy is not None]
    return {
        "model": published["model"],
        "seeds": len(records),
        "parameters": records[0].parameters,
        "parameters_agree": _sizes_agree(published, records),
        "loss_published": published["best_valid_loss"],
        "loss_measured": fmean(losses),
        "loss_lowest": min(losses),
        "loss_highest": max(losses),
        "inside_range": min(losses) <= published["best_valid_loss"] <= max(losses),
        "accuracy_published": _first(published, "valid_accuracy", "train_and_valid_accuracy"),
        "accuracy_measured": fmean(known) if known else float("nan"),
        "seconds_published": _first(published, "train_seconds", "seconds_per_epoch"),
        "seconds_measured": fmean(record.train_seconds or 0.0 for record in records)
        / _epochs_divisor(published, records),
        "memory_published": _first(published, "gpu_memory_mb"),
        "memory_measured": fmean(record.peak_memory_bytes or 0 for record in records),
    }


def _sizes_agree(published: dict[str, Any], records: list[RunRecord]) -> bool | None:
    if not all(map(has_published_inputs, records)):
        return None
    return all(parameters_agree(published, record.parameters or 0) for record in records)


def _epochs_divisor(published: dict[str, Any], records: list[RunRecord]) -> int:
    """Epochs of all stages, where the published time is per epoch; 1 where it is the whole training."""
    if "seconds_per_epoch" not in published:
        return 1
    record = records[0]
    return len(record.epoch_seconds) + sum(len(stage.epoch_seconds) for stage in record.pretraining)


def _first(published: dict[str, Any], *names: str) -> float:
    for name in names:
        if published.get(name) is not None:
            return float(published[name])
    return float("nan")


def _text(row: Mapping[Any, Any], rows: int) -> list[str]:
    def number(value: float, pattern: str) -> str:
        return "-" if pd.isna(value) else pattern.format(value)

    def pair(quantity: str, pattern: str) -> str:
        return " / ".join(number(row[f"{quantity}_{source}"], pattern) for source in ("published", "measured"))

    several = row["seeds"] > 1
    spread = f"{row['loss_lowest']:.3g}-{row['loss_highest']:.3g}" if several else "one seed"
    inside = (" (inside)" if row["inside_range"] else " (outside)") if several else ""
    return [
        row["model"],
        f"{row['parameters']:,}",
        {None: "-", True: "yes", False: "NO"}[row["parameters_agree"]],
        pair("loss", "{:.4g}"),
        spread + inside,
        f"{pair('loss_place', '{:.0f}')} of {rows}",
        pair("accuracy", "{:.3f}"),
        pair("seconds_ratio", "{:.2f}"),
        pair("memory_ratio", "{:.2f}"),
    ]


def _notes(study: Study, source: str, done: list[RunRecord]) -> list[str]:
    notes = [
        f"published: {source}",
        "cells are published / measured; loss: best validation loss; place: of the row, by loss; "
        "ratios: to the first row of the same source",
    ]
    if not all(map(has_published_inputs, done)):
        notes.append("other classes, channels or image sizes than the published ones, so sizes do not compare")
    if any(record.profile != "full" for record in done):
        notes.append("NOT the published protocol: the profile cut pairs or epochs, so losses do not compare")
    if any(record.protocol.get(name) == value for record in done for name, value in study.mistakes.items()):
        notes.append("run as published, mistakes included")
    where = ", ".join(dict.fromkeys(record.dataset for record in done))
    deviations = (f"Run on {where}; the original's data cannot be shipped.", *study.deviations)
    return [*notes, *(f"deviation: {deviation}" for deviation in deviations)]
