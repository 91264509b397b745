"""Every embedder beside the reference."""

from collections.abc import Sequence

from bench.analysis import formats
from bench.analysis.frames import embedder_pairs, frame
from bench.analysis.statistics import paired_difference
from bench.metrics import declarations
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
    metrics = [metric for metric in declarations(records).values() if metric.shown]
    rows: list[list[str]] = []
    data: list[dict[str, object]] = []
    for strategy, of_strategy in pairs.groupby("strategy", sort=False):
        by_embedder = list(of_strategy.groupby(["reference", "embedder"], sort=False))
        for metric in metrics:
            for (reference, embedder), pair in by_embedder:
                values = pair[[f"{metric.name}_reference", metric.name]].dropna()
                if values.empty:
                    continue
                difference = paired_difference(values[metric.name], values[f"{metric.name}_reference"])
                change = formats.difference(metric, difference)
                labels = [str(strategy), metric.title, str(embedder), str(len(values))]
                rows.append([*labels, *compared(metric, values), change])
                data.append(
                    {
                        "strategy": strategy,
                        "metric": metric.name,
                        "reference": reference,
                        "embedder": embedder,
                        "seeds": len(values),
                        "reference_value": values[f"{metric.name}_reference"].mean(),
                        "embedder_value": values[metric.name].mean(),
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
