"""Every embedder beside the reference."""

from collections.abc import Sequence
from itertools import product

from bench.analysis import formats
from bench.analysis.frames import embedder_pairs, frame, shown
from bench.analysis.resampling import ratio_of, shared_pairs
from bench.analysis.statistics import paired_difference
from bench.records import RunRecord
from bench.tables.seeds import BETTER_OF_TWO, compared, raw, seed_table
from bench.tables.text import TextTable


def downsampling_table(records: Sequence[RunRecord]) -> TextTable | None:
    """Each embedder beside the reference, one row per strategy, metric and embedder; None if there are no pairs.

    A difference is the embedder's value minus the reference's, paired by seed, over the seeds that both have.
    """
    pairs = embedder_pairs(frame(records))
    if pairs.empty:
        return None
    metrics, ratio = shown(records), shared_pairs(records)
    rows: list[list[str]] = []
    data: list[dict[str, object]] = []
    for strategy, of_strategy in pairs.groupby("strategy", sort=False):
        by_embedder = of_strategy.groupby(["reference", "embedder"], sort=False)
        for metric, ((reference, embedder), pair) in product(metrics, by_embedder):
            values = pair[[f"{metric.name}_reference", metric.name]].dropna()
            if values.empty:
                continue
            of_reference, of_embedder = values.to_numpy().T
            difference = paired_difference(of_embedder, of_reference, ratio=ratio_of(metric, ratio))
            labels = [str(strategy), metric.title, str(embedder), str(len(values))]
            rows.append([*labels, *compared(metric, values, ratio), formats.difference(metric, difference)])
            data.append(
                {
                    "strategy": strategy,
                    "metric": metric.name,
                    "reference": reference,
                    "embedder": embedder,
                    "seeds": len(values),
                    "reference_value": of_reference.mean(),
                    "embedder_value": of_embedder.mean(),
                    **raw({"difference": difference}),
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
