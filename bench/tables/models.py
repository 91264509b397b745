"""The tables with one row per model: its results, and what it costs."""

from collections import Counter
from collections.abc import Iterable, Sequence

import pandas as pd

from bench.analysis import formats
from bench.analysis.frames import evaluated, frame
from bench.analysis.resampling import ratio_of, shared_pairs
from bench.analysis.statistics import Interval, mean_interval
from bench.metrics import QUANTITIES, fastest_operation, is_timed, name_on, reported_part
from bench.records import COMPLETED, Metric, RunRecord
from bench.tables.seeds import BEST_OF_COLUMN, Best, best, better_is_higher, raw, roughly, seed_table
from bench.tables.text import TextTable

COSTS = {
    "parameters": "",
    "flops_per_step": "GFLOP per step: floating-point operations of one training step, two per multiply-add",
    "epoch_seconds": "epoch time: training alone, the median epoch of a run's last stage",
    "achieved_flops": "",
    "efficiency": "% of ceiling: GFLOP/s of training as a share of what the same device reached in its session",
    "peak_memory_bytes": "peak memory: of one training step of this model alone",
    "seconds_to_target": "time to accuracy: training, experts included, until the first epoch that reached it",
}
"""The metrics of the cost table, each with its note."""


def fusion_table(records: Sequence[RunRecord]) -> TextTable:
    """The main metrics of every model, in the order they were run: means over seeds."""
    columns = [*evaluated(records), *(metric for metric in QUANTITIES.values() if metric.shown)]
    return models_table("fusion", "fusion architectures", records, columns, undefined(records, columns))


def undefined(records: Sequence[RunRecord], metrics: Sequence[Metric]) -> list[str]:
    """A note for each of some metrics that was computed and is not a finite number in some runs."""
    part = reported_part(records)
    of_records = (getattr(record, f"{part}_metrics") for record in records if record.status == COMPLETED)
    computed: list[dict[str, float | None]] = list(filter(None, of_records))
    missing = Counter(name for values in computed for name, value in values.items() if value is None)
    return [
        f"{name_on(name, part)}: left out where it is not a finite number, in {count} of {len(computed)} runs"
        for name, count in missing.items()
        if name_on(name, part) in {metric.name for metric in metrics}
    ]


def cost_table(records: Sequence[RunRecord]) -> TextTable | None:
    """The costs of every model, in the order they were run: means over seeds; None if no run was completed.

    A metric that no record has gets no column; a note names it.
    """
    cells = frame(records)
    if cells.empty:
        return None
    costs = [QUANTITIES[name] for name in COSTS]
    measured = [metric for metric in costs if cells[_evidence(metric)].notna().any()]
    missing = ", ".join(metric.title for metric in costs if metric not in measured)
    notes = [*(COSTS[metric.name] for metric in measured), f"not in these records: {missing}" if missing else ""]
    fastest = dict.fromkeys(filter(None, map(fastest_operation, records)))
    if fastest:
        operations = " or ".join(name.replace("_", " ") for name in fastest)
        notes.append(
            f"ceiling: measured with several operations, reached by {operations}; a faster model has 100%"
        )
    return models_table("cost", "what the models cost", records, measured, filter(None, notes))


def models_table(
    name: str,
    title: str,
    records: Sequence[RunRecord],
    metrics: Sequence[Metric],
    notes: Iterable[str] = (),
    *,
    further: bool = False,
) -> TextTable:
    """The means over seeds of some metrics of every model; ``further`` as in ``TextTable``."""
    cells = frame(records)
    by_model = cells.pivot(index="seed", columns="model", values=[metric.name for metric in metrics])
    ratio = shared_pairs(records)
    stand_out = {
        cell
        for metric in (metrics if len(cells) else ())
        if not (is_timed(metric) and cells.disturbed.any())
        for cell in best(
            by_model.loc[:, [metric.name]],
            higher_is_better=better_is_higher(metric),
            ratio=ratio_of(metric, ratio),
        )
    }
    groups = dict(iter(cells.groupby("model", sort=False)))
    of_models = {
        model: {
            metric.name: mean_interval(of_model[metric.name].dropna(), ratio=ratio_of(metric, ratio))
            for metric in metrics
        }
        for model, of_model in groups.items()
    }
    decimals = {
        metric.name: formats.common_decimals(metric, [of_model[metric.name] for of_model in of_models.values()])
        for metric in metrics
    }
    rows: list[list[str]] = []
    data: list[dict[str, object]] = []
    for model, of_model in groups.items():
        intervals = of_models[model]
        row = [str(model), str(len(of_model))]
        for metric in metrics:
            measured = int(of_model[_evidence(metric)].notna().sum())
            text = _text(metric, intervals[metric.name], measured, decimals[metric.name])
            text = roughly(text, metric, disturbed=bool(of_model.disturbed[of_model[metric.name].notna()].any()))
            row.append(Best(text) if (metric.name, model) in stand_out else text)
        rows.append(row)
        data.append({"model": model, "seeds": len(of_model), **raw(intervals)})
    return seed_table(
        name,
        title,
        ["model", "seeds", *(_title(metric, cells) for metric in metrics)],
        1,
        rows,
        data,
        records,
        seeds=cells.seed.nunique(),
        best=BEST_OF_COLUMN,
        after=notes,
        groups=[of_model.group.iloc[0] for of_model in groups.values()],
        further=further,
    )


def _evidence(metric: Metric) -> str:
    """The column that tells whether a run measured a metric; without a time to a target it may have missed it."""
    return "target_accuracy" if metric.name == "seconds_to_target" else metric.name


def _title(metric: Metric, cells: pd.DataFrame) -> str:
    targets = cells.target_accuracy.dropna().unique()
    if metric.name == "seconds_to_target" and len(targets) == 1:
        return f"time to accuracy {targets[0]:g} (s)"
    return metric.title


def _text(metric: Metric, interval: Interval, measured: int, decimals: int | None) -> str:
    if interval.n == measured:
        return formats.mean(metric, interval, decimals)
    return (
        f"{formats.text(metric, interval.mean, decimals)} ({interval.n} of {measured})"
        if interval.n
        else "not reached"
    )
