"""What changed between two runs: the cells of both side by side, and a verdict on each metric of each model.

Cells are paired by ``bench.records.cell_key`` where both runs saw the same data. Equal code, data, protocol and
machine give equal bits, so every difference has a cause; a verdict says whether it is large enough to matter.

- ``same``: equal to the bit.
- ``better``, ``worse``, ``equivalent within d``, ``undecided``: the verdict of ``bench.analysis.verdicts``
  on the later run as A and the earlier one as B, with Holm's adjustment over the whole comparison.
- ``changed``: neither direction is better, or the changes of a metric without chance cancel out.
- ``changed, fewer than 6 seeds``: too few for a verdict.
- ``within noise``: of metrics that vary by themselves (``Metric.comparison`` is "epochs": times). Two sessions of
  one machine differ in speed as a whole, so their seeds are not independent and no test over seeds applies. Times
  are better or worse where the middle halves of all epochs lie apart and the medians differ by more than a tenth.
- ``not judged``: the metric depends on the machine, and the machines differ.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan
from statistics import fmean, median
from typing import Any

import numpy as np

from bench.analysis.formats import enumerated
from bench.analysis.pairing import Pairing
from bench.analysis.resampling import ratio_of, resampling
from bench.analysis.statistics import FEWEST_SEEDS, Interval, paired_difference
from bench.analysis.verdicts import A_BETTER, B_BETTER, Outcome, Verdict, judge
from bench.config import canonical
from bench.metrics import CHOSEN, REPORTED, declarations, value
from bench.records import (
    COMPLETED,
    CellKey,
    Metric,
    RunRecord,
    cell_key,
    latest,
    machine,
    same_data,
)
from bench.records.keys import differences
from bench.records.load import disturbed, most_load_words

SAME, BETTER, WORSE, CHANGED = "same", "better", "worse", "changed"
FEW_SEEDS = f"changed, fewer than {FEWEST_SEEDS} seeds"
WITHIN_NOISE, NOT_JUDGED = "within noise", "not judged"
NO_VALUE = "the later run has no value"

TIME_TOLERANCE = 0.1
"""Share by which times of two sessions of one machine may differ for reasons of the machine's own."""

Pair = tuple[RunRecord, RunRecord]
"""The earlier and the later record of one cell."""


@dataclass(frozen=True)
class Change:
    """One metric of one model in two runs.

    Attributes:
        model: Its name, with whatever distinguishes it from the other models of the comparison.
        metric: What is compared.
        seeds: Those that both runs completed on the same data, ascending.
        before: One value per seed; ``now`` likewise.
        samples_before: Of a metric that varies by itself, all values that show its spread (of all epochs).
            ``samples_now`` likewise.
        ratio: As of a ``Pairing``.
        verdict: One of those that the module describes.
    """

    model: str
    metric: Metric
    seeds: tuple[int, ...]
    before: tuple[float, ...]
    now: tuple[float, ...]
    samples_before: tuple[float, ...]
    samples_now: tuple[float, ...]
    ratio: float
    verdict: str

    @property
    def label(self) -> str:
        """The model with its seeds."""
        return _label(self.model, self.seeds)

    @property
    def center_before(self) -> float:
        """The median of the samples, or the mean over seeds without samples."""
        return median(self.samples_before) if self.samples_before else fmean(self.before)

    @property
    def center_now(self) -> float:
        """Likewise, of the later run."""
        return median(self.samples_now) if self.samples_now else fmean(self.now)

    @property
    def difference(self) -> Interval:
        """Now - before: of means with an interval, paired by seed; of medians without one."""
        if self.samples_now:
            return Interval(self.center_now - self.center_before, nan, nan, len(self.seeds))
        return paired_difference(self.now, self.before, ratio=self.ratio)

    @property
    def judged(self) -> bool:
        """Whether the two runs can be compared in the metric."""
        return self.verdict != NOT_JUDGED


@dataclass(frozen=True)
class Gap:
    """A metric that the earlier run has of a model, and in which some cells that both completed are not compared.

    Attributes:
        model: As of a ``Change``; ``metric`` likewise.
        seeds: Of these cells, ascending.
        reason: Why, to be read after "as".
    """

    model: str
    metric: Metric
    seeds: tuple[int, ...]
    reason: str

    @property
    def label(self) -> str:
        """The model with its seeds."""
        return _label(self.model, self.seeds)

    @property
    def vanished(self) -> bool:
        """Whether the later run has no value, as of a metric that became undefined."""
        return self.reason == NO_VALUE


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side: all that tables, ``--fail-on`` and the summary of a nightly run need.

    Attributes:
        changes: One metric of one model each, models in the order of the later run. Metrics are those on the test
            pairs where both runs have some, otherwise those on the validation pairs.
        further: The changes of the metrics on the other part, as far as both runs have it; without a verdict.
        gaps: What the earlier run has of cells that both completed, and what cannot be compared.
        cells: The number of cells that both runs completed on the same data.
        days: The first and the last day of the earlier run, ISO 8601; empty without an earlier run.
        only_before: Models with seeds that only the earlier run has.
        only_now: Models with seeds that only the later run has.
        unfinished: The cells of the later run that were not completed, with how they ended.
        lost: Those of them that the earlier run completed.
        warnings: How machine, protocol, data and code of the two runs differ.
    """

    changes: tuple[Change, ...]
    further: tuple[Change, ...]
    gaps: tuple[Gap, ...]
    cells: int
    days: tuple[str, ...]
    only_before: tuple[str, ...]
    only_now: tuple[str, ...]
    unfinished: tuple[str, ...]
    lost: tuple[str, ...]
    warnings: tuple[str, ...]


def compare(before: Iterable[RunRecord], now: Iterable[RunRecord]) -> Comparison:
    """Compare the records of an earlier run and a later one; the last of several records of a cell counts."""
    earlier = {cell_key(record): record for record in latest(before)}
    later = {cell_key(record): record for record in latest(now)}
    names = _names((*earlier, *later))
    completed = {key for key, record in earlier.items() if record.status == COMPLETED}
    both = [
        (key, (earlier[key], later[key])) for key in later if key in completed and later[key].status == COMPLETED
    ]
    pairs: dict[str, list[Pair]] = {}
    for key, pair in both:
        pairs.setdefault(names[_model(key)], []).append(pair)
    for of_model in pairs.values():
        of_model.sort(key=lambda pair: pair[0].seed)
    metrics = compared_metrics((*earlier.values(), *later.values()))
    rows = [(model, metric, pairs[model]) for model in pairs for metric in metrics.values()]
    comparable = [change for row in rows if (change := _change(*row)) is not None]
    parts = {change.metric.part for change in comparable}
    other_part = {CHOSEN} if REPORTED in parts else {REPORTED}
    unfinished = {
        key: f"{names[_model(key)]} (seed {key.seed}): {record.status}, {record.error}"
        for key, record in later.items()
        if record.status != COMPLETED
    }
    days = sorted(record.started_at[:10] for record in earlier.values())
    return Comparison(
        changes=tuple(_judged([change for change in comparable if change.metric.part not in other_part])),
        further=tuple(change for change in comparable if change.metric.part in other_part),
        gaps=tuple(gap for row in rows for gap in _gaps(*row)),
        cells=sum(same_data(*pair) for _, pair in both),
        days=tuple(dict.fromkeys((days[0], days[-1]))) if days else (),
        only_before=_alone(names, earlier, later),
        only_now=_alone(names, later, earlier),
        unfinished=tuple(unfinished.values()),
        lost=tuple(cell for key, cell in unfinished.items() if key in completed),
        warnings=_warnings([pair for _, pair in both]),
    )


def compared_metrics(records: Iterable[RunRecord] = ()) -> dict[str, Metric]:
    """The metrics that two runs are compared in, by name: those that tables may show, on any part of the pairs."""
    metrics = declarations(records)
    return {name: metric for name, metric in metrics.items() if metric.shown or metric.shown_if_uneven}


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """The first and the third quartile, interpolated."""
    low, high = np.quantile(values, [0.25, 0.75])
    return float(low), float(high)


def _change(model: str, metric: Metric, pairs: Sequence[Pair]) -> Change | None:
    """The change over the seeds in which the metric can be compared, in the order of the pairs."""
    values = [(old, new, value(old, metric.name), value(new, metric.name)) for old, new in pairs]
    complete = [
        (old, new, a, b)
        for old, new, a, b in values
        if a is not None and b is not None and not _obstacle(metric, old, new)
    ]
    if not complete:
        return None
    old, new, before, now = zip(*complete, strict=True)
    alike = not any(_elsewhere(metric, *pair) for pair in zip(old, new, strict=True))
    return Change(
        model=model,
        metric=metric,
        seeds=tuple(record.seed for record in old),
        before=before,
        now=now,
        samples_before=tuple(sample for record in old for sample in _samples(metric, record)),
        samples_now=tuple(sample for record in new for sample in _samples(metric, record)),
        ratio=ratio_of(metric, resampling(old)),
        verdict=NOT_JUDGED if not alike else SAME if before == now else "",
    )


def _gaps(model: str, metric: Metric, pairs: Sequence[Pair]) -> list[Gap]:
    """Why the metric is not compared, or compared and not judged, in cells whose earlier record has it."""
    seeds: dict[str, list[int]] = {}
    for old, new in pairs:
        reason = _obstacle(metric, old, new) or _elsewhere(metric, old, new)
        if reason and value(old, metric.name) is not None:
            seeds.setdefault(reason, []).append(old.seed)
    return [Gap(model, metric, tuple(of_reason), reason) for reason, of_reason in seeds.items()]


def _obstacle(metric: Metric, old: RunRecord, new: RunRecord) -> str:
    """Why two records of a cell cannot be compared in a metric that the first one has; "" if they can."""
    if not same_data(old, new):
        return "the data differ"
    if value(new, metric.name) is None:
        return NO_VALUE
    if metric.name == "peak_memory_bytes" and old.peak_memory_method != new.peak_memory_method:
        return f"it was measured in another way ({old.peak_memory_method} -> {new.peak_memory_method})"
    return ""


def _elsewhere(metric: Metric, old: RunRecord, new: RunRecord) -> str:
    """How the machines differ, of a metric that depends on them; "" if they do not."""
    changes = differences(machine(old.environment), machine(new.environment)) if metric.per_machine else []
    return f"machine or software differ ({', '.join(changes)})" if changes else ""


def _label(model: str, seeds: Sequence[int]) -> str:
    return f"{model} ({len(seeds)} seeds)" if len(seeds) > 1 else f"{model} (seed {seeds[0]})"


def _samples(metric: Metric, record: RunRecord) -> list[float]:
    if metric.comparison != "epochs":
        return []
    samples = getattr(record, metric.name, None)
    return list(samples) if isinstance(samples, list) else [value(record, metric.name) or 0.0]


def _judged(changes: Sequence[Change]) -> Iterator[Change]:
    """The changes with their verdicts. Those that agree to the bit need no test and do not count for Holm."""
    tested = [change for change in changes if not change.verdict and not change.samples_now]
    verdicts = iter(
        judge(Pairing("now", "before", c.metric, c.now, c.before, ratios=(c.ratio,) * len(c.now)) for c in tested)
    )
    for change in changes:
        if change.verdict:
            yield change
        elif change.samples_now:
            yield replace(change, verdict=_verdict_on_times(change))
        else:
            yield replace(change, verdict=_words(next(verdicts)))


def _words(verdict: Verdict) -> str:
    """A verdict on A = now and B = before in the words of a comparison of runs."""
    pairing = verdict.pairing
    if verdict.outcome is Outcome.NOT_JUDGED:
        return CHANGED
    if verdict.outcome is Outcome.UNDECIDED:
        if pairing.exact:
            return CHANGED
        return verdict.words if pairing.can_decide else FEW_SEEDS
    if verdict.outcome in A_BETTER:
        return BETTER
    return WORSE if verdict.outcome in B_BETTER else verdict.words


def _verdict_on_times(change: Change) -> str:
    low_before, high_before = quartiles(change.samples_before)
    low_now, high_now = quartiles(change.samples_now)
    overlap = low_now <= high_before and low_before <= high_now
    difference = change.difference.mean
    if overlap or abs(difference) <= TIME_TOLERANCE * abs(change.center_before):
        return WITHIN_NOISE
    if change.metric.higher_is_better is None:
        return CHANGED
    return BETTER if (difference > 0) == change.metric.higher_is_better else WORSE


def _model(key: CellKey) -> tuple[str, ...]:
    """The parts of a key that all seeds of a model share."""
    return key.study, key.variant, *key.conditions, key.model


def _names(keys: Iterable[CellKey]) -> dict[tuple[str, ...], str]:
    """The name of each model, preceded by whatever not all models share."""
    models = list(dict.fromkeys(map(_model, keys)))
    *conditions, _ = zip(*models, strict=True) if models else [()]
    telling = [i for i, values in enumerate(conditions) if len(set(values)) > 1]
    return {parts: " ".join(filter(None, (*(parts[i] for i in telling), parts[-1]))) for parts in models}


def _alone(
    names: Mapping[tuple[str, ...], str], here: Iterable[CellKey], there: Mapping[CellKey, RunRecord]
) -> tuple[str, ...]:
    seeds: dict[str, list[int]] = {}
    for key in here:
        if key not in there:
            seeds.setdefault(names[_model(key)], []).append(key.seed)
    return tuple(
        f"{name} (seed{'s' if len(of_model) > 1 else ''} {enumerated(of_model)})"
        for name, of_model in seeds.items()
    )


def _warnings(pairs: Sequence[Pair]) -> tuple[str, ...]:
    def differing(part: Callable[[RunRecord], Mapping[str, Any]]) -> list[str]:
        return list(dict.fromkeys(line for old, new in pairs for line in differences(part(old), part(new))))

    def hashes(parts: Iterable[tuple[str, str | None, str | None]]) -> list[str]:
        return list(dict.fromkeys(f"{name}: {a[:12]} -> {b[:12]}" for name, a, b in parts if a and b and a != b))

    environment = (
        "NOT THE SAME MACHINE as the earlier run: times and memory are shown, not judged"
        if differing(lambda record: machine(record.environment))
        else "other differences of the environment from that of the earlier run"
    )
    most = most_load_words(new.device for _, new in pairs)
    warnings = {
        environment: differing(lambda record: _flat(record.environment)),
        "NOT THE SAME PROTOCOL as the earlier run": differing(lambda record: canonical(record.protocol)),
        "NOT THE SAME DATA as the earlier run: these cells are not compared": hashes(
            (old.dataset, *_data_hashes(old, new)) for old, new in pairs if not same_data(old, new)
        ),
        "NOT MEASURED IN THE SAME WAY as in the earlier run: peak memory is not compared": differing(
            lambda record: {"method": record.peak_memory_method} if record.peak_memory_bytes is not None else {}
        ),
        "NOT THE SAME VERSION OF RECORDS as the earlier run's; CHANGELOG.md lists what changed": differing(
            lambda record: {"schema_version": record.schema_version}
        ),
        "the code changed since the earlier run": hashes(
            ("code", old.code_sha256, new.code_sha256) for old, new in pairs
        ),
        f"TIMES ARE ROUGH, as other processes kept more than {most} busy": [
            f"in {count} of {len(runs)} trainings of the {which} run"
            for which, runs in zip(("earlier", "later"), zip(*pairs, strict=True), strict=False)
            if (count := sum(map(disturbed, runs)))
        ],
    }
    return tuple("\n  ".join((title, *lines)) for title, lines in warnings.items() if lines)


def _data_hashes(old: RunRecord, new: RunRecord) -> tuple[str | None, str | None]:
    """The hashes by which the data of two records differ."""
    for name in ("train_sha256", "valid_sha256", "test_sha256"):
        before, now = getattr(old, name), getattr(new, name)
        if before and now and before != now:
            return before, now
    return old.data_sha256, new.data_sha256


def _flat(environment: Mapping[str, Any]) -> dict[str, Any]:
    """An environment with its packages among the other entries, without the commit that was run, and where."""
    rest = {key: value for key, value in environment.items() if key not in ("packages", "commit", "dirty", "node")}
    return {**rest, **environment.get("packages", {})}
