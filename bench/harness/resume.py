"""Which cells need not run again: a finished record stands where code, data, protocol and machine are the same."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.analysis.formats import counted
from bench.config import canonical
from bench.harness.cell import listed
from bench.records import (
    COMPLETED,
    FAILED,
    CellKey,
    ProbeRecord,
    RecordError,
    RunRecord,
    cell_key,
    cell_of,
    differences,
    machine,
    probe_key,
)
from bench.records.load import disturbed

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
        taken = f"from records: {counted(count, 'finished cell') if count else 'no finished cells'}"
        return [taken, *(f"rerun, {reason}: {listed(names)}" for reason, names in self.reruns.items())]


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
    """Why a record of a cell cannot stand for a run of it; "" if it can.

    One that diverged can: the same code would diverge again.
    """
    if not record.ended:
        return f"it had {record.status}"
    reason = _question_changed(record, described) or _machine_changed(record, described, any_device=any_device)
    return reason or (_fault_of_checkpoint(record, checkpoints) if record.status == COMPLETED else "")


def probed_before(
    probes: Iterable[ProbeRecord], finished: Mapping[str, RunRecord], code_sha256: str
) -> dict[tuple[str, str], list[ProbeRecord]]:
    """What need not be measured again on trained models, by the name of the cell and the benchmark.

    Args:
        probes: Of earlier sessions.
        finished: The records of these cells stand for runs.
        code_sha256: Of the code that probes now.
    """
    weights = {cell_key(record): (name, record.weights_sha256) for name, record in finished.items()}
    found: dict[tuple[str, str], list[ProbeRecord]] = {}
    for probe in {probe_key(probe): probe for probe in probes}.values():
        name, of_record = weights.get(cell_key(probe), ("", None))
        if (probe.weights_sha256, probe.code_sha256) == (of_record, code_sha256):
            found.setdefault((name, probe.benchmark), []).append(probe)
    return {key: together for key, together in found.items() if _is_whole(together)}


def _is_whole(together: Sequence[ProbeRecord]) -> bool:
    """Whether these are all values of one measurement: the session may have ended while they were written."""
    return {(probe.started_at, probe.values) for probe in together} == {(together[0].started_at, len(together))}


def unlike(records: Iterable[RunRecord], rows: Mapping[CellKey, Described]) -> tuple[str, list[str]]:
    """How records differ from what is going to be run of the same models.

    Args:
        records: Of any seeds.
        rows: What is going to be run, by the cell without its seed (``row_of``).

    Returns:
        Why they cannot stand in one run, with the first record that cannot, "" if all can; and how their machines
        differ.
    """
    machines: dict[str, None] = {}
    for record in records:
        described = rows.get(row_of(cell_key(record)))
        if described is None or record.status == FAILED:
            continue
        if reason := _question_changed(record, described):
            return f"{record.label} (seed {record.seed}): {reason}", []
        machines[_machine_changed(record, described)] = None
    return "", list(filter(None, machines))


def row_of(cell: CellKey) -> CellKey:
    """What the cells of all seeds of a model share."""
    return cell._replace(seed=0)


def _question_changed(record: RunRecord, described: Described) -> str:
    """Which of code, data and protocol, which decide a result together with the machine, is another one."""
    hashes = {"code_sha256": "code", **dict.fromkeys(_DATA, "data")}
    for name, what in hashes.items():
        known = getattr(record, name)
        if name in described and known != described[name]:
            return f"{what} changed" if known else f"the record does not tell which {what}"
    changes = differences(canonical(record.protocol), canonical(described["protocol"]))
    return f"protocol changed ({', '.join(changes)})" if changes else ""


def _machine_changed(record: RunRecord, described: Described, *, any_device: bool = False) -> str:
    before, now = machine(record.environment), machine(described["environment"])
    if any_device:
        now |= {name: before[name] for name in ("device_name", "cpu")}
    changes = differences(before, now)
    return f"machine changed ({', '.join(changes)})" if changes else ""


def _fault_of_checkpoint(record: RunRecord, checkpoints: Path) -> str:
    """What is wrong with the checkpoint of a record, as far as the beginning and the size of the file tell."""
    from bench.training.checkpoints import read_description

    if record.checkpoint is None or not (checkpoints / record.checkpoint).is_file():
        return "its checkpoint is missing"
    try:
        description = read_description(checkpoints / record.checkpoint)
    except RecordError:
        return "its checkpoint is damaged"
    # Those of earlier versions do not tell. Cells of other data or another profile have files of the same names.
    if description.get("weights_sha256", record.weights_sha256) != record.weights_sha256:
        return "another run has replaced its checkpoint"
    return ""
