"""The tables of what probes measured on trained models."""

from collections.abc import Sequence

import pandas as pd

from bench.analysis.formats import number
from bench.analysis.frames import grouped
from bench.analysis.probes import ROBUSTNESS, describe_probes, features_frame, robustness_frame
from bench.analysis.statistics import Interval, mean_interval
from bench.records import ProbeRecord
from bench.tables.seeds import spread_of
from bench.tables.text import TextTable


def probe_tables(probes: Sequence[ProbeRecord], ratio: float = 0.0) -> list[TextTable]:
    """Every table that these records allow: one per benchmark; ``ratio`` is ``shared_pairs`` of the trainings."""
    tables = [
        (robustness_table if benchmark == ROBUSTNESS else features_table)(of_benchmark, ratio)
        for benchmark, of_benchmark in grouped(probes, lambda probe: probe.benchmark).items()
    ]
    return list(filter(None, tables))


def robustness_table(probes: Sequence[ProbeRecord], ratio: float = 0.0) -> TextTable | None:
    """One row per corruption and model: means over seeds; None if no curve is complete.

    ``ratio``: ``probe_tables``.
    """
    cells = robustness_frame(probes)
    if cells.empty:
        return None
    rows = [
        [
            f"{corruption}, to {curves.highest.iloc[0]:g} {curves.unit.iloc[0]}".rstrip(),
            str(model),
            f"{curves.clean.mean():.3f}",
            f"{curves.worst.mean():.3f}",
            _text(mean_interval(curves.relative, ratio=ratio)),
            _text(mean_interval(curves.effective.dropna(), ratio=ratio), "+"),
            str(len(curves)),
        ]
        for corruption, of_corruption in cells.groupby("corruption", sort=False)
        for model, curves in of_corruption.groupby("model", sort=False)
    ]
    return TextTable(
        name=ROBUSTNESS,
        title=f"{probes[0].study}: accuracy under corrupted inputs",
        header=["corruption", "model", "clean", "at the highest level", "relative", "effective", "n"],
        labels=2,
        rows=rows,
        notes=[
            "relative: mean accuracy over the levels (area under the curve)",
            "effective: how much less accuracy a model loses than late fusion with the same seed and embedder; "
            "a model at chance level has nothing to lose",
            spread_of(ratio),
        ],
        conditions=describe_probes(probes),
        data=cells,
    )


def features_table(probes: Sequence[ProbeRecord], ratio: float = 0.0) -> TextTable:
    """One row per strategy, measure and embedder of one or more probes of a benchmark: means over seeds.

    ``ratio``: ``probe_tables``.
    """
    benchmark = probes[0].benchmark
    cells = features_frame(probes)
    rows = [
        [str(strategy), str(measure), str(embedder) or "-", _text(_over_seeds(values, ratio)), str(len(values))]
        for (strategy, measure), of_measure in cells.groupby(["strategy", "measure"], sort=False)
        for embedder, values in of_measure.groupby("embedder", sort=False)
    ]
    return TextTable(
        name=benchmark,
        title=f"{probes[0].study}: {benchmark} of the trained models",
        header=["strategy", "measure", "embedder", "mean", "n"],
        labels=3,
        rows=rows,
        notes=["n: seeds; for a value between two seeds, pairs of seeds", spread_of(ratio)],
        conditions=describe_probes(probes),
        data=cells,
    )


def _over_seeds(values: pd.DataFrame, ratio: float) -> Interval:
    """The mean, with an interval unless the values are of pairs of seeds: those are not independent."""
    interval = mean_interval(values.value, ratio=ratio)
    if values.other_seed.notna().any():
        return Interval(interval.mean, interval.mean, interval.mean, interval.n)
    return interval


def _text(interval: Interval, sign: str = "") -> str:
    """A mean over seeds, with half its interval where the seeds differ."""
    half = f" ± {(interval.high - interval.low) / 2:.3f}" if interval.high > interval.low else ""
    return number(interval.mean, f"{sign}.3f") + half
