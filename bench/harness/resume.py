"""Which cells need not run again: a finished record stands where code, data, protocol and machine are the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.analysis.comparison import differences
from bench.records.run import COMPLETED, RunRecord, machine

Asked = Mapping[str, Any]
"""What the record of a run says before anything was trained (``bench.training.runs.describe``)."""

CELL = ("study", "variant", "model", "dataset", "seed")
"""The fields that tell cells apart."""


@dataclass(frozen=True)
class Resumption:
    """What an earlier session left to do.

    Attributes:
        finished: records that stand for a run, by the cell's name.
        reruns: the names of the cells whose records do not, by the reason.
    """

    finished: dict[str, RunRecord] = field(default_factory=dict)
    reruns: dict[str, list[str]] = field(default_factory=dict)

    def describe(self) -> list[str]:
        """What is taken from records and what runs again, a line each."""
        count = len(self.finished)
        taken = f"from records: {count or 'no'} finished cell{'' if count == 1 else 's'}"
        return [taken, *(f"rerun, {reason}: {', '.join(names)}" for reason, names in self.reruns.items())]


def resume(found: Sequence[RunRecord], asked: Mapping[str, Asked], checkpoints: Path) -> Resumption:
    """Sort the cells that are asked for by what the records say of them; of a cell's records the last counts.

    Args:
        found: records of earlier sessions.
        asked: by the cell's name.
        checkpoints: the folder of the records' checkpoints.
    """
    last = {tuple(getattr(record, name) for name in CELL): record for record in found}
    finished: dict[str, RunRecord] = {}
    reruns: dict[str, list[str]] = {}
    for name, wanted in asked.items():
        record = last.get(tuple(wanted[each] for each in CELL))
        if record is None:
            continue
        if reason := reason_to_rerun(record, wanted, checkpoints):
            reruns.setdefault(reason, []).append(name)
        else:
            finished[name] = record
    return Resumption(finished, reruns)


def reason_to_rerun(record: RunRecord, asked: Asked, checkpoints: Path) -> str:
    """Why a record of a cell cannot stand for a run of it; "" where it can."""
    if record.status != COMPLETED:
        return f"it had {record.status}"
    for what, before, now in (
        ("code", record.code_sha256, asked["code_sha256"]),
        ("data", record.data_sha256, asked["data_sha256"]),
    ):
        if before != now:
            return f"{what} changed" if before else f"the record does not say which {what}"
    for what, differing in (
        ("profile", differences({"profile": record.profile}, {"profile": asked["profile"]})),
        ("protocol", differences(record.protocol, asked["protocol"])),
        ("machine", differences(machine(record.environment), machine(asked["environment"]))),
    ):
        if differing:
            return f"{what} changed ({', '.join(differing)})"
    if record.checkpoint is None or not (checkpoints / record.checkpoint).is_file():
        return "its checkpoint is missing"
    return ""
