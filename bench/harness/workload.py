"""How long cells are expected to take, so that shards are equal and the costliest cell starts first.

The expectation is in seconds of one device. It comes from earlier records of the same model; for a model without
any, from its floating-point operations, at the speed of those that have records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench.config import Protocol
from bench.records import COMPLETED, RecordError, RunRecord
from bench.records.keys import device_model
from bench.records.reading import read_run

if TYPE_CHECKING:
    from bench.harness.cell import Cell
    from fusion_models import ModelSpec

COMMITTED = Path(__file__).resolve().parents[2] / "results" / "baseline"
"""The committed records: the same for everyone who has this version. An installed package has none."""

_OPERATIONS_PER_SECOND = 1e10
"""Where no record tells; only the ratios between cells matter then."""

# Operations are counted for such inputs. Other sizes change all models by about the same factor.
_CHANNELS = {"rgb": 3, "lidar": 4}
_IMAGE_SIZE = (64, 64)
_CLASSES = 2


def committed_records() -> list[RunRecord]:
    """The committed records; none where there are none, or none that can be read."""
    try:
        return read_run(COMMITTED).records
    except RecordError:
        return []


def expected_seconds(
    cells: Sequence[Cell],
    records: Iterable[RunRecord],
    operations: Callable[[ModelSpec], float | None] | None = None,
) -> dict[str, float]:
    """The expected time of each cell, by its name; depends on the arguments alone.

    Args:
        cells: Of any studies.
        records: Earlier ones, of any study and data. Those of the device model (and number of threads) with the
            most records count, as times of different ones cannot be compared.
        operations: Counts a model's operations per pair; ``operations_per_pair``, which loads torch, by default.
    """
    per_pair = _seconds_per_pair(of_one_device(records))
    specs = {cell.spec.name: cell.spec for cell in cells}
    if specs.keys() - per_pair.keys():
        per_pair |= _from_operations(specs, per_pair, operations or operations_per_pair)
    return {cell.name: per_pair[cell.spec.name] * pairs_trained(cell.config.protocol) for cell in cells}


def pairs_trained(protocol: Protocol) -> float:
    """How many pairs all epochs of a training see, if the data have as many as the protocol uses."""
    return protocol.epochs * protocol.pairs * (1 - protocol.valid_fraction)


def operations_per_pair(spec: ModelSpec) -> float | None:
    """Floating-point operations of training one pair of 64x64 pixels; None where they cannot be counted.

    The functions of plug-ins are not called: that is for the process that trains their models.
    """
    if spec.build is not None:
        return None
    import torch

    from bench.training.measurement import training_flops
    from data_utils import Batch
    from fusion_models import build_model

    try:
        with torch.device("meta"):  # shapes without weights
            model = build_model(spec, channels=_CHANNELS, image_size=_IMAGE_SIZE, classes=_CLASSES)
            inputs = {m: torch.empty(2, count, *_IMAGE_SIZE) for m, count in _CHANNELS.items()}
            return training_flops(model, Batch(inputs, torch.zeros(2, dtype=torch.int64))) / 2
    except Exception:  # a model of other modalities, or with a plug-in's part that cannot be run on shapes alone
        return None


def of_one_device(records: Iterable[RunRecord]) -> list[RunRecord]:
    """The records that expectations are from: completed, and of the device model with the most of them."""
    by_device: dict[object, list[RunRecord]] = {}
    for record in records:
        if record.status == COMPLETED and record.train_seconds and record.train_pairs:
            by_device.setdefault(device_model(record), []).append(record)
    return max(by_device.values(), key=len, default=[])  # the first of equals


def _seconds_per_pair(records: Iterable[RunRecord]) -> dict[str, float]:
    """The median over records of each model."""
    rates: dict[str, list[float]] = {}
    for record in records:
        pairs = (record.train_pairs or 0) * len(record.epoch_seconds)
        if pairs:  # records of older versions do not tell the time of the whole run
            seconds = record.total_seconds or record.train_seconds or 0.0
            rates.setdefault(record.model, []).append(seconds / pairs)
    return {model: median(values) for model, values in rates.items()}


def _from_operations(
    specs: Mapping[str, ModelSpec], known: Mapping[str, float], operations: Callable[[ModelSpec], float | None]
) -> dict[str, float]:
    """Seconds per pair of the models that have no record."""
    counts = {name: count for name, spec in specs.items() if (count := operations(spec))}
    speeds = [counts[name] / known[name] for name in counts if known.get(name)]
    speed = median(speeds) if speeds else _OPERATIONS_PER_SECOND
    counted = {name: count / speed for name, count in counts.items()}
    # A model that cannot be counted is taken for an average one.
    average = median([*(known.get(name, seconds) for name, seconds in counted.items()), *known.values()] or [1.0])
    return {name: counted.get(name, average) for name in specs if name not in known}
