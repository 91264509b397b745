"""Several runs become one: the shards of a selection, or any runs of the same code, data and protocols."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import msgspec

from bench.analysis.claim_files import with_published
from bench.config import canonical
from bench.harness.cell import listed, name_of
from bench.harness.kept import declared, keep, kept
from bench.harness.shards import Group, ShardPlan, group_of, read_plans
from bench.records import (
    FAILED,
    CostRecord,
    ProbeRecord,
    RecordError,
    RunRecord,
    cell_key,
    conditions_of,
    differences,
    probe_key,
    read,
    write_records,
)
from bench.records.cost import FILE_NAME as COSTS
from bench.records.keys import device_model, unlike_results
from bench.records.probe import FILE_NAME as PROBE_FILE
from bench.records.reading import Run, read_runs
from bench.records.run import CHECKPOINTS
from bench.records.run import FILE_NAME as RECORDS
from bench.records.sample import samples_path


@dataclass(frozen=True)
class Merged:
    """What several runs have together.

    Attributes:
        records: One per cell, with the run that it is from.
        probes: One per value; ``costs``: every measurement once.
        claims: The files of claims that the runs keep, by path the content of each.
        notes: What was found twice, and where devices differ; a sentence each.
        missing: Shards that are not there, and cells without a record; a sentence each.
    """

    records: list[tuple[RunRecord, Run]]
    probes: list[ProbeRecord]
    costs: list[CostRecord]
    claims: dict[Path, str]
    notes: list[str]
    missing: list[str]


def merge(paths: Iterable[Path], claims: Iterable[Path] = ()) -> Merged:
    """Put the runs at some paths together.

    A cell that failed in one run and ended in another counts as ended.

    Args:
        paths: Of the runs.
        claims: Files of claims beside those that the runs keep.

    Raises:
        ClaimError: A file of claims cannot be used.
        RecordError: Two runs differ in code, data or protocol, hold different results of one cell, or are shards
            of different selections; the message names both.
    """
    paths = list(dict.fromkeys(paths))
    plans = [(path, plan) for path in paths for plan in read_plans(path)]
    runs = [run for path in paths for run in _runs(path)]
    _require_alike(runs)
    records, twice = _records(runs)
    order = {name: place for place, name in enumerate(name for _, plan in plans for name in plan.cells)}
    records.sort(key=lambda of_run: order.get(name_of(of_run[0]), len(order)))
    probes = _unique((probe, run) for run in runs for probe in run.probes)
    costs = list({msgspec.json.encode(cost): cost for run in runs for cost in run.costs}.values())
    notes = (
        [f"{twice} cell{' was' if twice == 1 else 's were'} found more than once, with the same result"]
        if twice
        else []
    )
    devices = dict.fromkeys(str(device_model(record)[1]) for record, _ in records)
    if len(devices) > 1:
        notes.append(f"{len(devices)} device models, whose times are not compared: {', '.join(devices)}")
    files = [*(path for run in runs for path in kept(run.folder)), *claims]
    texts = declared(files)
    with_published(texts)  # what cannot be used is refused before anything is written
    notes += _replaced(files, texts)
    return Merged(records, probes, costs, texts, notes, list(_missing(plans, [record for record, _ in records])))


def write(merged: Merged, folder: Path) -> None:
    """Write records, probes, costs, claims, checkpoints and sample predictions to a folder.

    The records come last and in one step, so that what was interrupted does not look like a run. A folder that has
    them already is written again, as the tables may be missing.

    Raises:
        RecordError: The folder has other records, or is one of the runs.
    """
    if any(run.folder is not None and run.folder.resolve() == folder.resolve() for _, run in merged.records):
        raise RecordError(f"{folder} is one of the runs to merge; give a new folder with --out")
    names = _names_of_checkpoints(merged.records)
    records = [
        msgspec.structs.replace(record, checkpoint=name)
        for (record, _), name in zip(merged.records, names, strict=True)
    ]
    if (folder / RECORDS).exists() and read(folder / RECORDS, RunRecord) != records:
        raise RecordError(f"{folder}: there are other records in this folder already; give a new one with --out")
    folder.mkdir(parents=True, exist_ok=True)
    for (record, run), name in zip(merged.records, names, strict=True):
        if record.checkpoint is not None and name is not None and run.folder is not None:
            _copy(run.folder / CHECKPOINTS / record.checkpoint, folder / CHECKPOINTS / name)
            _copy(samples_path(run.folder, record.checkpoint), samples_path(folder, name))
    keep(folder, merged.claims)
    write_records(folder / PROBE_FILE, merged.probes)
    write_records(folder / COSTS, merged.costs)
    write_records(folder / RECORDS, records)


def _names_of_checkpoints(records: Iterable[tuple[RunRecord, Run]]) -> list[str | None]:
    """What the checkpoint of each record is called in one folder; None for a record without one.

    The names tell neither the data nor the profile, so of two files with one name the later gets a number.
    """
    names: list[str | None] = []
    taken: dict[str, Path] = {}
    for record, run in records:
        name = record.checkpoint
        if name is not None:
            file, numbers = (run.folder or Path()) / name, count(2)
            while taken.setdefault(name, file) != file:
                name = f"{file.stem}-{next(numbers)}{file.suffix}"
        names.append(name)
    return names


def _copy(source: Path, target: Path) -> None:
    if source.is_file():
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(source, target)


def _runs(path: Path) -> list[Run]:
    """The runs at a path; a shard in which nothing ended has none."""
    if read_plans(path) and not any(path.glob("*.jsonl")):
        return []
    try:
        return read_runs([path])
    except RecordError:
        if not read_plans(path):
            raise
        return []


def _require_alike(runs: Sequence[Run]) -> None:
    """Every pair of records that stands together in a table has the same code, data and protocol."""
    for what, key, value in (
        ("code", lambda r: r.model if r.family == "custom" else "", lambda r: r.code_sha256),
        ("data", lambda r: (r.study, r.variant, conditions_of(r)), lambda r: r.data_sha256),
        ("pairs of one seed", lambda r: (r.study, r.variant, conditions_of(r), r.seed), _pairs),
        ("protocol", lambda r: (r.study, r.variant, conditions_of(r)), lambda r: canonical(r.protocol)),
    ):
        _require_same(runs, what, key, value)


def _pairs(record: RunRecord) -> dict[str, str | None] | None:
    """Hashes of the parts; None of a record that failed before it had them, or is of an older version."""
    parts = {part: getattr(record, f"{part}_sha256") for part in ("train", "valid", "test")}
    return parts if parts["train"] else None


def _require_same(
    runs: Sequence[Run], what: str, key: Callable[[RunRecord], Hashable], value: Callable[[RunRecord], object]
) -> None:
    first: dict[Hashable, tuple[RunRecord, Run]] = {}
    for run in runs:
        for record in run.records:
            now = value(record)
            if now is None:
                continue
            earlier, where = first.setdefault(key(record), (record, run))
            if (before := value(earlier)) != now:
                how = (
                    differences(before, now)
                    if isinstance(before, dict) and isinstance(now, dict)
                    else [f"{str(before)[:12]} and {str(now)[:12]}"]
                )
                raise RecordError(
                    f"{where.name} ({name_of(earlier)}) and {run.name} ({name_of(record)}) have different {what}: "
                    f"{', '.join(how)}; merge runs of one {what} only, or compare them: "
                    f"{shlex.join(['python', '-m', 'bench', 'compare', where.name, run.name])}"
                )


def _records(runs: Sequence[Run]) -> tuple[list[tuple[RunRecord, Run]], int]:
    """One record per cell with its run, and how many cells had more than one."""
    chosen: dict[Hashable, tuple[RunRecord, Run]] = {}
    twice: set[Hashable] = set()
    for run in runs:
        for record in run.records:
            key = cell_key(record)
            earlier, where = chosen.get(key, (None, run))
            if earlier is None or earlier.status == FAILED:
                chosen[key] = (record, run)
            elif record.status != FAILED:
                if unlike := unlike_results(earlier, record):
                    raise RecordError(
                        f"{where.name} and {run.name} contradict each other on {name_of(record)}: validation loss "
                        f"{earlier.best_valid_loss} on {_device(earlier)}, {record.best_valid_loss} on "
                        f"{_device(record)} (fields that differ: {', '.join(unlike)}); leave one of the two out"
                    )
                twice.add(key)
    return list(chosen.values()), len(twice)


def _unique(probes: Iterable[tuple[ProbeRecord, Run]]) -> list[ProbeRecord]:
    first: dict[Hashable, tuple[ProbeRecord, Run]] = {}
    for probe, run in probes:
        earlier, where = first.setdefault((*probe_key(probe), probe.weights_sha256), (probe, run))
        if earlier.value != probe.value:
            raise RecordError(
                f"{where.name} and {run.name} contradict each other on {probe.probe} of {name_of(probe)}: "
                f"{earlier.value} and {probe.value}; leave one of the two out"
            )
    return [probe for probe, _ in first.values()]


def _replaced(files: Iterable[Path], claims: Mapping[Path, str]) -> list[str]:
    """Which files of claims are not taken, as a later one of the same name differs."""
    taken = {path.stem: path for path in claims}
    return [
        f"{path} and {taken[path.stem]} declare different claims under one name; the claims of the "
        "latter are judged"
        for path, text in ((path, declared([path])[path]) for path in dict.fromkeys(files))
        if text != claims[taken[path.stem]]
    ]


def _missing(plans: Sequence[tuple[Path, ShardPlan]], records: Sequence[RunRecord]) -> Iterator[str]:
    selections: dict[tuple[int, tuple[Group, ...]], list[tuple[Path, ShardPlan]]] = {}
    for path, plan in plans:
        selections.setdefault((plan.look, tuple(plan.groups)), []).append((path, plan))
    several = len({groups for _, groups in selections}) > 1
    for (look, groups), shards in sorted(selections.items()):
        (first, plan), *others = shards
        for path, other in others:
            if (other.of, other.cells) != (plan.of, plan.cells):
                raise RecordError(
                    f"{first} and {path} are shards of different selections; give the same options to every "
                    "shard, and leave out those of a division that was given up"
                )
        ended = {name_of(record) for record in records if not groups or group_of(record) in groups}
        there = {shard.number for _, shard in shards}
        done = ended | {name for _, shard in shards for name in shard.skipped}
        conditions = dict.fromkeys(", ".join(group[1:]) for group in groups)
        which = f" of look {look}" if look else ""
        which += f" of {'; '.join(conditions)}" if several and groups else ""
        for number in range(1, plan.of + 1):
            names = [name for name, shard in plan.cells.items() if shard == number]
            lacking = [name for name in names if name not in done]
            if number not in there and lacking:
                yield f"shard {number}/{plan.of}{which} is missing, with {listed(lacking)}"
            elif lacking:
                names_text = f"{listed(lacking)}; continue it with --resume"
                yield f"shard {number}/{plan.of}{which} has no record of {names_text}"


def _device(record: RunRecord) -> str:
    return str(record.environment.get("device_name", "an unknown device"))
