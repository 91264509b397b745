"""What changed between two runs: records of the same cells side by side, and a verdict where one can be given.

A row is a model in a study's variant, on one data set, in one profile, over the seeds that both runs completed.
Verdicts are changes.py's. Pure: nothing is read, measured or printed here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import pandas as pd

from bench.analysis.changes import METRICS, TIME_TOLERANCE, Change, Metric, quartiles
from bench.analysis.statistics import CONFIDENCE, FEWEST_SEEDS
from bench.records.run import COMPLETED, RunRecord, machine, timed_by
from bench.tables import Column, TextTable

Facts = Mapping[str, Any]
"""A record without its environment, as pytest-benchmark's JSON carries it in ``extra_info``."""


def facts(record: RunRecord) -> dict[str, Any]:
    """The record as JSON types, without the environment (the machine info of pytest-benchmark holds it)."""
    return {key: value for key, value in record.to_dict().items() if key != "environment"}


def from_facts(entry: Facts, environment: Mapping[str, Any]) -> RunRecord:
    """The inverse of ``facts``.

    Raises:
        RecordError: facts of another schema.
    """
    return RunRecord.from_dict({**entry, "environment": dict(environment)})


def from_benchmarks(saved: Mapping[str, Any]) -> list[RunRecord]:
    """The records in a file of pytest-benchmark; benchmarks of other things than cells have none.

    Raises:
        RecordError: facts of another schema.
    """
    entries = [benchmark["extra_info"] for benchmark in saved["benchmarks"]]
    return [from_facts(entry, saved["machine_info"]) for entry in entries if "schema_version" in entry]


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        changes: a metric of a row each, rows in the order of the later run.
        cells: how many both runs completed.
        only_before: rows with seeds that the earlier run alone has.
        only_now: rows with seeds that the later run alone has.
        unfinished: cells that were completed before and are not now, and how they ended.
        warnings: how machine, protocol, data and code of the two runs differ.
    """

    changes: tuple[Change, ...]
    cells: int
    only_before: tuple[str, ...]
    only_now: tuple[str, ...]
    unfinished: tuple[str, ...]
    warnings: tuple[str, ...]


Row = tuple[str, str, str, str, str]
"""Study, variant, data set, profile, model."""

Cells = dict[tuple[Row, int], RunRecord]
"""By row and seed."""

Pair = tuple[RunRecord, RunRecord]
"""The earlier and the later record of one cell."""


def compare(before: Iterable[RunRecord], now: Iterable[RunRecord]) -> Comparison:
    """Put two runs side by side; of several records of one cell the last counts."""
    earlier, later = _cells(before), _cells(now)
    names = _names(row for row, _ in (*earlier, *later))
    pairs: dict[Row, list[Pair]] = {}
    unfinished = []
    for (row, seed), record in later.items():
        old = earlier.get((row, seed))
        if old is None or old.status != COMPLETED:
            continue
        if record.status == COMPLETED:
            pairs.setdefault(row, []).append((old, record))
        else:
            unfinished.append(f"{names[row]} (seed {seed}): {record.status}, {record.error}")
    return Comparison(
        changes=tuple(change for row, of_row in pairs.items() for change in _changes(names[row], of_row)),
        cells=sum(map(len, pairs.values())),
        only_before=_alone(names, earlier, later),
        only_now=_alone(names, later, earlier),
        unfinished=tuple(unfinished),
        warnings=_warnings([pair for of_row in pairs.values() for pair in of_row]),
    )


def comparison_table(comparison: Comparison) -> TextTable | None:
    """Before, now, change and verdict of every metric of every row; None if the runs have no cell in common."""
    if not comparison.changes:
        return None
    notes = [
        f"cells in both runs: {comparison.cells}; values: means over seeds, behind changes their {CONFIDENCE:.0%} "
        "interval, paired by seed; times: median of epochs (quartiles)",
        f"judged: loss and accuracy by that interval, from {FEWEST_SEEDS} seeds on; times beyond "
        f"{TIME_TOLERANCE:.0%} with quartiles apart; parameters and memory as they are",
    ]
    if comparison.only_before:
        notes.append(f"only before: {', '.join(comparison.only_before)}")
    if comparison.only_now:
        notes.append(f"only now: {', '.join(comparison.only_now)}")
    notes += [f"completed before, not now: {cell}" for cell in comparison.unfinished]
    return TextTable(
        name="comparison",
        title="Compared with the earlier run",
        header=["model", "metric", "before", "now", "change", "verdict"],
        labels=2,
        rows=[_cells_of(change) for change in comparison.changes],
        notes=notes,
        conditions=[],
        data=pd.DataFrame([_raw(change) for change in comparison.changes]),
    )


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The entries that two mappings do not share, a line each: ``name: before -> now``."""
    names = sorted({*before, *now})
    return [
        f"{name}: {before.get(name)} -> {now.get(name)}" for name in names if before.get(name) != now.get(name)
    ]


def _cells(records: Iterable[RunRecord]) -> Cells:
    found: Cells = {}
    for record in records:
        row = (record.study, record.variant, record.dataset, record.profile, record.model)
        found[row, record.seed] = record
    return found


def _names(rows: Iterable[Row]) -> dict[Row, str]:
    """What to call each row: its model, and before it whatever not all rows share."""
    known = list(dict.fromkeys(rows))
    *conditions, _ = zip(*known, strict=True) if known else [()]
    telling = [i for i, values in enumerate(conditions) if len(set(values)) > 1]
    return {row: " ".join(filter(None, (*(row[i] for i in telling), row[-1]))) for row in known}


def _changes(name: str, pairs: Sequence[Pair]) -> Iterator[Change]:
    """The metrics that all records of a row have, counted in the same way."""
    pairs = sorted(pairs, key=lambda pair: pair[0].seed)
    old, new = zip(*pairs, strict=True)
    seeds = tuple(record.seed for record in old)
    label = f"{name} ({len(seeds)} seeds)" if len(seeds) > 1 else f"{name} (seed {seeds[0]})"
    timed_alike = all(timed_by(a) == timed_by(b) for a, b in pairs)
    same_method = all(a.peak_memory_method == b.peak_memory_method for a, b in pairs)
    for metric in METRICS.values():
        before, now = _values(metric, old), _values(metric, new)
        if before is None or now is None or (metric.name == "peak_memory_bytes" and not same_method):
            continue
        yield Change(
            row=label,
            metric=metric,
            seeds=seeds,
            before=before,
            now=now,
            samples_before=tuple(sample for record in old for sample in metric.samples(record)),
            samples_now=tuple(sample for record in new for sample in metric.samples(record)),
            comparable=timed_alike or not metric.of_machine,
        )


def _values(metric: Metric, records: Iterable[RunRecord]) -> tuple[float, ...] | None:
    values = [metric.value(record) for record in records]
    known = tuple(value for value in values if value is not None)
    return known if len(known) == len(values) else None


def _alone(names: Mapping[Row, str], here: Cells, there: Cells) -> tuple[str, ...]:
    seeds: dict[Row, list[int]] = {}
    for row, seed in here:
        if (row, seed) not in there:
            seeds.setdefault(row, []).append(seed)
    return tuple(
        f"{names[row]} (seed{'s' if len(of_row) > 1 else ''} {', '.join(map(str, of_row))})"
        for row, of_row in seeds.items()
    )


def _warnings(pairs: Sequence[Pair]) -> tuple[str, ...]:
    def differing(part: Callable[[RunRecord], Mapping[str, Any]]) -> list[str]:
        return list(dict.fromkeys(line for old, new in pairs for line in differences(part(old), part(new))))

    same_machine = not differing(lambda record: machine(record.environment))
    environment = (
        "not quite the same environment as the earlier run"
        if same_machine
        else "NOT THE SAME MACHINE as the earlier run: times and memory are shown, not judged"
    )
    found = {
        environment: differing(lambda record: _flat(record.environment)),
        "NOT AS MANY SEEDS SIDE BY SIDE as in the earlier run: times are shown, not judged": differing(
            lambda record: {"seeds_together": record.seeds_together}
        ),
        "NOT THE SAME PROTOCOL as the earlier run": differing(lambda record: record.protocol),
        "NOT THE SAME DATA as the earlier run": _hashes(
            (old.dataset, old.data_sha256, new.data_sha256) for old, new in pairs
        ),
        "not the code of the earlier run": _hashes(
            ("code", old.code_sha256, new.code_sha256) for old, new in pairs
        ),
    }
    return tuple("\n  ".join((title, *lines)) for title, lines in found.items() if lines)


def _flat(environment: Mapping[str, Any]) -> dict[str, Any]:
    """An environment with its packages among the other entries, without what says which code was run."""
    packages = environment.get("packages", {})
    rest = {key: value for key, value in environment.items() if key not in ("packages", "commit", "dirty")}
    return {**rest, **packages}


def _hashes(known: Iterable[tuple[str, str | None, str | None]]) -> list[str]:
    """Those that differ, shortened; a record of version 1 has none and says nothing."""
    return list(dict.fromkeys(f"{what}: {a[:12]} -> {b[:12]}" for what, a, b in known if a and b and a != b))


def _cells_of(change: Change) -> list[str]:
    column, difference = change.metric.column, change.difference
    by = "=" if change.before == change.now else column.signed(difference.mean)
    if change.before != change.now and not isnan(difference.low):
        by += f" ({column.signed(difference.low)} to {column.signed(difference.high)})"
    return [
        change.row,
        column.title,
        _with_quartiles(column, change.center_before, change.samples_before),
        _with_quartiles(column, change.center_now, change.samples_now),
        by,
        change.verdict,
    ]


def _with_quartiles(column: Column, center: float, samples: Sequence[float]) -> str:
    if len(samples) < 2:
        return column.text(center)
    low, high = quartiles(samples)
    return f"{column.text(center)} ({column.text(low)} to {column.text(high)})"


def _raw(change: Change) -> dict[str, Any]:
    difference = change.difference
    return {
        "model": change.row,
        "metric": change.metric.name,
        "seeds": len(change.seeds),
        "before": change.center_before,
        "now": change.center_now,
        "change": difference.mean,
        "change_low": difference.low,
        "change_high": difference.high,
        "verdict": change.verdict,
    }
