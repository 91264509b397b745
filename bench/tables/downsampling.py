"""Every embedder beside the reference."""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import pandas as pd

from bench.analysis import formats
from bench.analysis.frames import embedder_pairs, frame, shown
from bench.analysis.resampling import ratio_of, shared_pairs
from bench.analysis.statistics import Interval, mean_interval, paired_difference
from bench.records import Metric, RunRecord
from bench.tables.seeds import BETTER_OF_TWO, compared, raw, roughly, seed_table
from bench.tables.text import TextTable


def downsampling_table(records: Sequence[RunRecord]) -> TextTable | None:
    """Each embedder beside the reference, one row per strategy, metric and embedder; None if there are no pairs.

    A difference is the embedder's value minus the reference's, paired by seed, over the seeds that both have.
    """
    pairs = embedder_pairs(frame(records))
    if pairs.empty:
        return None
    metrics, ratio = shown(records), shared_pairs(records)
    of_metrics = {metric.name: _of_metric(metric, pairs, ratio) for metric in metrics}
    rows: list[list[str]] = []
    data: list[dict[str, object]] = []
    for strategy, metric in product(pairs.strategy.unique(), metrics):
        for pair, texts in of_metrics[metric.name]:
            if pair.strategy != strategy:
                continue
            rows.append([strategy, metric.title, pair.embedder, str(len(pair.values)), *texts])
            data.append(
                {
                    "strategy": strategy,
                    "metric": metric.name,
                    "reference": pair.reference,
                    "embedder": pair.embedder,
                    "seeds": len(pair.values),
                    "reference_value": pair.values.iloc[:, 0].mean(),
                    "embedder_value": pair.values.iloc[:, 1].mean(),
                    **raw({"difference": pair.difference}),
                }
            )
    references = " or ".join(pairs.reference.unique())
    return seed_table(
        "downsampling",
        f"embedders compared with {references}",
        ["strategy", "metric", "embedder", "seeds", f"with {references}", "with embedder", "difference"],
        3,
        rows,
        data,
        records,
        seeds=pairs.seed.nunique(),
        best=BETTER_OF_TWO,
        before=[f"difference = embedder - {references}, paired by seed"],
    )


class _Pair(NamedTuple):
    """The values of one metric with the reference and with another embedder, one line per seed that has both."""

    strategy: str
    reference: str
    embedder: str
    values: pd.DataFrame
    difference: Interval
    disturbed: list[bool]


def _of_metric(metric: Metric, pairs: pd.DataFrame, ratio: float) -> list[tuple[_Pair, list[str]]]:
    """The pairs that have values of a metric, each with the texts of its two means and of their difference."""
    found = []
    for (strategy, reference, embedder), pair in pairs.groupby(["strategy", "reference", "embedder"], sort=False):
        values = pair[[f"{metric.name}_reference", metric.name]].dropna()
        if len(values):
            of_reference, of_embedder = values.to_numpy().T
            difference = paired_difference(of_embedder, of_reference, ratio=ratio_of(metric, ratio))
            disturbed = pair.loc[values.index, ["disturbed_reference", "disturbed"]].any()
            of_pair = [*map(bool, disturbed), bool(disturbed.any())]
            found.append(_Pair(str(strategy), str(reference), str(embedder), values, difference, of_pair))
    means = [
        mean_interval(column, ratio=ratio_of(metric, ratio)) for p in found for column in p.values.to_numpy().T
    ]
    decimals = formats.common_decimals(metric, means)
    of_differences = formats.common_decimals(metric, [pair.difference for pair in found], digits=3)
    texts = compared(metric, [pair.values for pair in found], ratio, decimals)
    return [
        (
            pair,
            [
                roughly(text, metric, disturbed=disturbed)
                for text, disturbed in zip(
                    [*both, formats.difference(metric, pair.difference, of_differences)],
                    pair.disturbed,
                    strict=True,
                )
            ],
        )
        for pair, both in zip(found, texts, strict=True)
    ]
