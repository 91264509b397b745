"""Published numbers beside measured ones.

Seconds and bytes of another machine mean nothing here, so time and memory are compared as ratios to the table's
first row. Losses and accuracies of one published run of one seed are compared by their position: relative to the
range of our seeds, and by the row's rank among the rows of its study.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import isnan
from statistics import fmean
from typing import Any

import pandas as pd

from bench.analysis.conditions import describe, main_device
from bench.analysis.formats import number, significant
from bench.analysis.frames import completed, grouped
from bench.analysis.published import (
    deviations,
    has_published_inputs,
    measured_accuracy,
    parameters_agree,
    published_studies,
    read_published,
)
from bench.records import RunRecord
from bench.records.keys import device_model
from bench.records.load import disturbed
from bench.tables.seeds import ROUGH, rough_means
from bench.tables.text import TextTable

_HEADER = ["model", "parameters", "count as published", "loss", "range of seeds", "place", "accuracy"]
_HEADER += ["time ratio", "memory ratio"]


def published_table(records: Sequence[RunRecord]) -> TextTable | None:
    """Published beside measured for the records of one study; None if nothing is published for it."""
    done = completed(records)
    if not done or done[0].study not in published_studies():
        return None
    content = read_published(done[0].study)
    cells = grouped(done, lambda record: (record.variant, record.model))
    data = pd.DataFrame(
        [
            _row(row, cells[variant, row["model"]], main_device(done))
            for variant in dict.fromkeys(variant for variant, _ in cells)
            for row in content["rows"]
            if (variant, row["model"]) in cells
        ]
    )
    if data.empty:
        return None
    for quantity in ("seconds", "memory"):
        for source in ("published", "measured"):
            column = data.pop(f"{quantity}_{source}")
            data[f"{quantity}_ratio_{source}"] = column / column.iloc[0]
    data["seconds_disturbed"] |= data["seconds_disturbed"].iloc[0]  # a ratio to the first row
    for source in ("published", "measured"):
        data[f"loss_place_{source}"] = data[f"loss_{source}"].rank(method="min")
    data["same_place"] = data["loss_place_published"] == data["loss_place_measured"]
    return TextTable(
        name="published",
        title=f"{done[0].study}: published beside measured",
        header=_HEADER,
        labels=1,
        rows=[_text(row, rows=len(data)) for row in data.to_dict("records")],
        notes=[*_notes(content, done), *([rough_means(done)] if data["seconds_disturbed"].any() else [])],
        conditions=describe(records),
        data=data,
    )


def _row(published: Mapping[str, Any], records: list[RunRecord], device: object) -> dict[str, Any]:
    """A published row and the runs of its model; times and memory are those on one device model."""
    losses = [record.best_valid_loss for record in records if record.best_valid_loss is not None]
    here = [record for record in records if device_model(record) == device]
    seconds = _mean(record.train_seconds for record in here)
    if "seconds_per_epoch" in published:
        stages = [records[0].epoch_seconds, *(stage.epoch_seconds for stage in records[0].pretraining)]
        seconds /= sum(map(len, stages))
    low, high = min(losses, default=float("nan")), max(losses, default=float("nan"))
    return {
        "model": records[0].label,
        "seeds": len(records),
        "parameters": records[0].parameters,
        "parameters_agree": all(parameters_agree(published, record.parameters or 0) for record in records)
        if all(map(has_published_inputs, records))
        else None,
        "loss_published": published["best_valid_loss"],
        "loss_measured": _mean(losses),
        "loss_lowest": low,
        "loss_highest": high,
        "inside_range": low <= published["best_valid_loss"] <= high,
        "accuracy_published": _first(published, "valid_accuracy", "train_and_valid_accuracy"),
        "accuracy_measured": _mean(measured_accuracy(published, record) for record in records),
        "seconds_published": _first(published, "train_seconds", "seconds_per_epoch"),
        "seconds_measured": seconds,
        "memory_published": _first(published, "gpu_memory_mb"),
        "seconds_disturbed": any(map(disturbed, here)),
        "memory_measured": _mean(record.peak_memory_bytes for record in here),
    }


def _first(published: Mapping[str, Any], *names: str) -> float:
    return next((float(published[name]) for name in names if published.get(name) is not None), float("nan"))


def _mean(values: Iterable[float | None]) -> float:
    """The mean of the values that records have; nan if none has one."""
    measured = [value for value in values if value is not None]
    return fmean(measured) if measured else float("nan")


def _text(row: Mapping[Any, Any], rows: int) -> list[str]:
    def pair(quantity: str, pattern: str, mark: str = "") -> str:
        published, measured = (
            number(row[f"{quantity}_{source}"], pattern) for source in ("published", "measured")
        )
        return f"{published} / {mark}{measured}"

    several = row["seeds"] > 1
    ends = (significant(row[f"loss_{end}"], 3) for end in ("lowest", "highest"))
    spread = "-".join(ends) if several else "one seed"
    inside = (" (inside)" if row["inside_range"] else " (outside)") if several else ""
    return [
        row["model"],
        number(row["parameters"], ",.0f"),
        {None: "-", True: "yes", False: "NO"}[row["parameters_agree"]],
        f"{row['loss_published']:.4g} / {_measured_loss(row['loss_measured'])}",  # published ones as printed
        spread + inside,
        f"{pair('loss_place', '.0f')} of {rows}",
        pair("accuracy", ".3f"),
        pair("seconds_ratio", ".2f", ROUGH if row["seconds_disturbed"] else ""),
        pair("memory_ratio", ".2f"),
    ]


def _measured_loss(loss: float) -> str:
    return "-" if isnan(loss) else significant(loss, 4)


def _notes(published: Mapping[str, Any], records: list[RunRecord]) -> list[str]:
    notes = [
        f"published: {published['source']}",
        "cells are published / measured; loss: best validation loss; place: rank by loss; "
        "ratios: to the first row of the same source",
    ]
    notes += deviations(records)
    if any(record.as_published for record in records):
        notes.append("run as published, mistakes included")
    where = ", ".join(dict.fromkeys(record.dataset for record in records))
    declared = (f"Run on {where}; the original's data cannot be shipped.", *published.get("deviations", ()))
    return [*notes, *(f"deviation: {deviation}" for deviation in declared)]
