"""What numbers were obtained under, and what is missing from them, in the sentences below tables and figures."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.analysis.formats import counted, enumerated, span
from bench.records import COMPLETED, CostRecord, InferenceRecord, RunRecord, latest, machine
from bench.records.keys import device_model
from bench.records.load import disturbed, most_load_words


def main_device(records: Iterable[RunRecord]) -> tuple[object, ...] | None:
    """The device model (and number of threads) of the most records, the first of equals; None without records."""
    counts = Counter(map(device_model, records))
    return max(counts, key=lambda device: counts[device], default=None)


def describe(records: Sequence[RunRecord], *, times: bool = True) -> list[str]:
    """What the numbers of a table were obtained under, one line each; differing conditions are all named.

    Args:
        records: What the numbers come from.
        times: Whether any of them are times.
    """
    done = [record for record in records if record.status == COMPLETED]
    if not done:
        return ["no run was completed"]
    of_models = Counter(label for label, _ in {(record.label, record.seed) for record in done})
    epochs = _distinct(r.protocol.get("epochs", "unknown") for r in done)
    lines = [
        f"data: {_distinct(r.dataset for r in done)}, {_distinct(r.classes for r in done)} classes, "
        f"{span(r.train_pairs for r in done)} training pairs, "
        f"{span(r.valid_pairs for r in done)} validation pairs{_test_pairs(done)}",
        f"profile: {_distinct(r.profile for r in done)}, "
        f"{epochs} {'epoch' if epochs == '1' else 'epochs'}, "
        f"seeds: {enumerated(record.seed for record in done)} (n = {span(of_models.values())})",
        _device(record.environment for record in done),
    ]
    lines += _rates(done) + _versions(done)
    here = main_device(done) or ("", "")
    elsewhere = sum(device_model(record) != here for record in done)
    if elsewhere:
        lines.append(
            f"times and memory: of {here[1]} alone; {elsewhere} of {len(done)} runs had "
            "another device model or number of threads"
        )
    rough = [record for record in done if times and disturbed(record)]
    if rough:
        most = most_load_words(record.device for record in rough)
        load = max(record.other_load or 0.0 for record in rough)
        lines.append(
            f"times: rough in {len(rough)} of {len(done)} runs, as other processes kept more than {most} busy "
            f"meanwhile (up to {load:.1f}); neither claims nor figures use them"
        )
    unfinished = [
        f"{record.label} (seed {record.seed}, {record.status})" for record in records if record.status != COMPLETED
    ]
    if unfinished:
        lines.append(f"left out, not completed: {', '.join(unfinished)}")
    return lines


def _rates(records: Sequence[RunRecord]) -> list[str]:
    """The learning rates of records that have several under one name of a protocol."""
    rates = {(record.variant, record.protocol.get("learning_rate")) for record in records}
    if len(rates) == len({variant for variant, _ in rates}):
        return []
    counts = Counter(record.protocol.get("learning_rate") or 0.0 for record in records)
    chosen = [f"{rate:g} in {counted(counts[rate], 'run')}" for rate in sorted(counts)]
    return [f"chosen learning rates: {', '.join(chosen)}"]


def _versions(records: Sequence[RunRecord]) -> list[str]:
    """Whether the code that decided the results changed between the runs."""
    # Of a model that is a function, the hash covers the function's file too.
    hashes = {(r.model if r.family == "custom" else "", r.code_sha256) for r in records if r.code_sha256}
    return ["code: NOT ALL FROM ONE VERSION"] if len(hashes) > len({name for name, _ in hashes}) else []


def _test_pairs(records: Sequence[RunRecord]) -> str:
    """The number of test pairs, and whether the pairs of all seeds come from one source."""
    known = any(record.test_pairs is not None for record in records)
    text = f", {span(record.test_pairs for record in records)} test pairs" if known else ""
    sources = {(record.dataset, record.data_sha256) for record in records if record.train_sha256}
    versions = len(sources) - len({name for name, _ in sources})
    return f"{text}; NOT ALL FROM ONE VERSION of the data" if versions > 0 else text


def reasons(records: Iterable[RunRecord]) -> list[str]:
    """Why cells were not completed, one line each."""
    return [
        f"{record.status}: {record.label} (seed {record.seed}): {record.error or 'the record has no reason'}"
        for record in latest(records)
        if record.status != COMPLETED
    ]


def describe_cost(record: CostRecord) -> list[str]:
    """What a cost was measured under, one line each."""
    inputs = [f"inputs: {record.inputs}"] if isinstance(record, InferenceRecord) else []
    lines = [*inputs, *record.conditions, f"profile: {record.profile}", _device([record.environment])]
    return list(dict.fromkeys(lines))


def _device(environments: Iterable[Mapping[str, Any]]) -> str:
    machines = list(map(machine, environments))
    name, threads, torch = (
        _distinct(part.get(field) or "unknown" for part in machines)
        for field in ("device_name", "threads", "torch")
    )
    return f"device: {name}, threads: {threads}, torch {torch}"


def _distinct(values: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys("unknown" if value is None else str(value) for value in values))
