"""Which records are the same cell, which can be compared, and which saw the same data or machine."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from bench.records.probe import ProbeRecord
from bench.records.run import RunRecord


class Conditions(NamedTuple):
    """What records must share to stand in one table, figure or comparison of models."""

    dataset: str
    profile: str
    device: str


class CellKey(NamedTuple):
    """What makes two records the same cell: a later record of the same cell replaces an earlier one."""

    study: str
    variant: str
    conditions: Conditions
    model: str
    seed: int


def conditions_of(record: RunRecord | ProbeRecord) -> Conditions:
    """The conditions that a record was made under."""
    return Conditions(record.dataset, record.profile, record.device)


def cell_key(record: RunRecord | ProbeRecord) -> CellKey:
    """The cell that a record is of."""
    return CellKey(record.study, record.variant, conditions_of(record), record.model, record.seed)


def cell_of(fields: Mapping[str, Any]) -> CellKey:
    """The cell that the fields of a record are of, as they are known before training."""
    conditions = Conditions(fields["dataset"], fields["profile"], fields["device"])
    return CellKey(fields["study"], fields["variant"], conditions, fields["model"], fields["seed"])


def probe_key(record: ProbeRecord) -> tuple[object, ...]:
    """The value that a probe record is of: a later record of the same value replaces an earlier one."""
    value = (record.probe, record.level, record.metric, record.layer, record.other_seed)
    return (cell_key(record), *value)


def latest(records: Iterable[RunRecord]) -> list[RunRecord]:
    """The last record of each cell, in the order in which the cells were first run."""
    return list({cell_key(record): record for record in records}.values())


def machine(environment: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a record's environment that decides its bits, its times and its memory."""
    parts = {name: environment.get(name) for name in ("device_name", "cpu", "threads", "cuda", "cudnn")}
    return {**parts, "torch": environment.get("packages", {}).get("torch")}


def device_model(record: RunRecord) -> tuple[object, ...]:
    """What two records must share for their times, memory or bits to be compared: device and number of threads."""
    environment = record.environment
    return (record.device, environment.get("device_name"), environment.get("threads"))


def same_device(one: RunRecord, other: RunRecord) -> bool:
    """Whether times, memory and bits of two records can be compared."""
    return device_model(one) == device_model(other)


RESULT = ("status", "weights_sha256", "train_losses", "valid_losses", "test_loss")
"""The fields that are equal in two records of a cell with the same result, whatever it took."""


def unlike_results(one: RunRecord, other: RunRecord) -> list[str]:
    """The fields of RESULT in which two records of a cell differ; none if they hold the same bits."""
    return [name for name in RESULT if getattr(one, name) != getattr(other, name)]


def same_data(one: RunRecord, other: RunRecord) -> bool:
    """Whether two records of a seed are of the same pairs, not only of data of one name.

    Known by the hashes of the parts where both have them, otherwise by that of the data; a record that does not
    tell agrees with any.
    """
    named = ("train_sha256", "valid_sha256", "test_sha256")
    parts = [{getattr(one, part), getattr(other, part)} for part in named]
    if None in parts[0]:
        parts = [{one.data_sha256, other.data_sha256}]
    return all(len(hashes - {None}) < 2 for hashes in parts)


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The entries in which two mappings differ, one line each: ``name: before -> now``."""
    names = sorted({*before, *now})
    return [
        f"{name}: {before.get(name)} -> {now.get(name)}" for name in names if before.get(name) != now.get(name)
    ]
