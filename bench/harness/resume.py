"""Which cells need not run again: a finished record stands where code, data, protocol and machine are the same."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.config import canonical
from bench.metrics import disturbed
from bench.records import COMPLETED, CellKey, RunRecord, cell_key, cell_of, differences, machine

_DATA = ("data_sha256", "train_sha256", "valid_sha256", "test_sha256")

Described = Mapping[str, Any]
"""The fields of a run's record that are known before training (``bench.training.runs.describe``), and the hashes
of its pairs where those cannot be told from that of the data."""


@dataclass(frozen=True)
class Resumption:
    """What an earlier session left to do.

    Attributes:
        finished: Records that stand for a run, by the cell's name.
        reruns: The names of the cells whose records do not, by the reason.
    """

    finished: dict[str, RunRecord]
    reruns: dict[str, list[str]]

    def describe(self) -> list[str]:
        """What is taken from records and what runs again, one line each."""
        count = len(self.finished)
        taken = f"from records: {count or 'no'} finished cell{'' if count == 1 else 's'}"
        return [taken, *(f"rerun, {reason}: {', '.join(names)}" for reason, names in self.reruns.items())]


def resume(
    records: Sequence[RunRecord],
    wanted: Mapping[str, Described],
    checkpoints: Path,
    *,
    any_device: bool = False,
    undisturbed: Collection[str] = (),
) -> Resumption:
    """Sort the wanted cells by what their records allow; of several records of a cell the last counts.

    Args:
        records: Of earlier sessions.
        wanted: By the cell's name.
        checkpoints: The folder of the records' checkpoints.
        any_device: Whether device models may differ, as those of a cluster's nodes do.
        undisturbed: The names of the cells that run again where other processes disturbed their training.
    """
    last: dict[CellKey, RunRecord] = {cell_key(record): record for record in records}
    finished: dict[str, RunRecord] = {}
    reruns: dict[str, list[str]] = {}
    for name, described in wanted.items():
        record = last.get(cell_of(described))
        if record is None:
            continue
        reason = reason_to_rerun(record, described, checkpoints, any_device=any_device)
        if not reason and name in undisturbed and disturbed(record):
            reason = "other processes disturbed its times"
        if reason:
            reruns.setdefault(reason, []).append(name)
        else:
            finished[name] = record
    return Resumption(finished, reruns)


def reason_to_rerun(
    record: RunRecord, described: Described, checkpoints: Path, *, any_device: bool = False
) -> str:
    """Why a record of a cell cannot stand for a run of it; "" if it can."""
    if record.status != COMPLETED:
        return f"it had {record.status}"
    hashes = {"code_sha256": "code", **dict.fromkeys(_DATA, "data")}
    for name, what in hashes.items():
        known = getattr(record, name)
        if name in described and known != described[name]:
            return f"{what} changed" if known else f"the record does not tell which {what}"
    before, now = machine(record.environment), machine(described["environment"])
    if any_device:
        now |= {name: before[name] for name in ("device_name", "cpu")}
    for what, changes in (
        ("protocol", differences(canonical(record.protocol), canonical(described["protocol"]))),
        ("machine", differences(before, now)),
    ):
        if changes:
            return f"{what} changed ({', '.join(changes)})"
    if record.checkpoint is None or not (checkpoints / record.checkpoint).is_file():
        return "its checkpoint is missing"
    return ""
