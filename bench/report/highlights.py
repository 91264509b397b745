"""The first sentences about the records of one study: no more than the seeds support."""

from collections.abc import Iterable, Sequence

import pandas as pd

from bench.analysis import formats
from bench.analysis.frames import frame, without_rough_times
from bench.analysis.resampling import shared_pairs
from bench.analysis.statistics import FEWEST_SEEDS, mean_interval
from bench.analysis.thresholds import balanced_above_chance
from bench.config import SMOKE
from bench.metrics import IN_WORDS, declarations, name_on, reported, reported_pairs, reported_part
from bench.records import COMPLETED, Metric, RunRecord
from bench.tables.seeds import best

NAMED = 4
"""Number of models that a sentence lists by name before it only counts."""


def highlights(records: Sequence[RunRecord], *, times: bool = False) -> list[str]:
    """Sentences about comparable records: the best model, models at chance level, runs that were not completed.

    ``times``: the study is about times, so that the best model is the fastest one.
    """
    if not records:
        return []
    cells = frame(records)
    if cells.empty:
        return ["No run was completed.", *_unfinished(records)]
    if records[0].profile == SMOKE.name:
        return ["Profile smoke checks that the models run; it does not rank them.", *_unfinished(records)]
    if times:
        metric, idle = declarations()["epoch_seconds"], without_rough_times(cells)
        idle = idle[idle[metric.name].notna()]
        fastest = _best(idle, metric, "shortest epoch", 0.0) if len(idle) else "No time is of an idle machine."
        return [fastest, *_unfinished(records)]
    part = reported_part(records)
    metric, words = declarations()[name_on("loss", part)], f"lowest {IN_WORDS[part]} loss"
    return [_best(cells, metric, words, shared_pairs(records)), *_at_chance(records), *_unfinished(records)]


def _best(cells: pd.DataFrame, metric: Metric, words: str, ratio: float) -> str:
    """The model with the lowest mean, which ``words`` name.

    Models are compared on the seeds that all have; where these are few, those with the most seeds are.
    """
    every = cells.pivot(index="seed", columns="model", values=metric.name)
    counts, values = every.count(), every.dropna()
    with_most = counts == counts.max()
    if 2 * len(values) <= counts.max() and with_most.sum() > 1:
        values = every.loc[:, with_most].dropna()
    seeds, models = values.shape
    if models == 1:
        return f"{values.columns[0]} is the only model, so there is no comparison."
    if seeds == 0:
        return "The models are not compared: they have no seed in common."
    means = values.mean()
    first = str(means.idxmin())
    mean = formats.mean(metric, mean_interval(values[first], ratio=ratio))
    lowest = f"{first} has the {words}, {mean}{' s' if metric.unit == 's' else ''} "
    lowest += "with one seed" if seeds == 1 else f"on average over {seeds} seeds"
    if models < len(counts):
        lowest += f", of the {models} of {len(counts)} models that were run with the most seeds"
    elif 1 < seeds < counts.max():
        lowest += " that all models were run with"
    if seeds < FEWEST_SEEDS:
        return f"{lowest}; fewer than {FEWEST_SEEDS} seeds are not tested for significance."
    alike = best(values, higher_is_better=False, ratio=ratio)
    if not alike:
        return f"{lowest}; it is not significantly different from any other model."
    if alike == {first}:
        return f"{lowest}; it is significantly different from every other model."
    others = [model for model in means.index if model in alike and model != first]
    return f"{lowest}; it is not significantly different from {_names(others)}."


def _at_chance(records: Sequence[RunRecord]) -> list[str]:
    """The models at chance level, by the accuracy that gives every class the same weight."""
    models: dict[str, list[bool]] = {}
    for record in records:
        accuracy = reported(record, "balanced_accuracy")
        if record.status == COMPLETED and accuracy is not None and reported_pairs(record):
            models.setdefault(record.label, []).append(accuracy <= balanced_above_chance(record))
    names = [
        model if all(at_chance) else f"{model} ({sum(at_chance)} of {len(at_chance)} seeds)"
        for model, at_chance in models.items()
        if any(at_chance)
    ]
    return [f"At chance level: {_names(names)}."] if names else []


def _unfinished(records: Sequence[RunRecord]) -> list[str]:
    runs = [record for record in records if record.status != COMPLETED]
    sentences = [
        f"{record.label} (seed {record.seed}) {record.status}: {record.error or 'reason unknown'}."
        for record in runs[:NAMED]
    ]
    return [*sentences, *([f"{len(runs) - NAMED} more runs were not completed."] if len(runs) > NAMED else [])]


def _names(names: Iterable[str]) -> str:
    *first, last = names
    if len(first) >= NAMED:
        return f"{', '.join(first[:NAMED])} and {len(first) + 1 - NAMED} more"
    return f"{', '.join(first)} and {last}" if first else last
