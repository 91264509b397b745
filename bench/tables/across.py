"""The table of a study's comparisons over several data sets."""

from collections.abc import Mapping, Sequence

import pandas as pd

from bench.analysis.across import Summary, across
from bench.analysis.evidence import evidence
from bench.analysis.formats import number, short_title
from bench.analysis.verdicts import Verdict
from bench.records import RunRecord
from bench.tables.text import TextTable

NOTES = [
    "A - B or A / B, paired by seed, for each data set (n seeds), with its verdict in the table evidence",
    "A better: number of data sets on which the mean of A is better; P: probability that A beats B, mean over "
    "the data sets with its bootstrap interval, which is too narrow for few data sets; seeds of different data "
    "sets are not pooled",
]


def across_table(study: str, by_dataset: Mapping[str, Sequence[RunRecord]]) -> TextTable | None:
    """The comparisons of a study that were made on several data sets; None if there are none.

    Args:
        study: Its name.
        by_dataset: Its records, those of each data set under the same other conditions.
    """
    verdicts = [(dataset, verdict) for dataset, records in by_dataset.items() for verdict in evidence(records)]
    return summary_table(f"{study}: over data sets", across(verdicts))


def summary_table(title: str, summaries: Sequence[Summary]) -> TextTable | None:
    """Summaries as a table; None if there are none."""
    if not summaries:
        return None
    return TextTable(
        name="datasets",
        title=title,
        header=["A", "B", "metric", "effects", "A better", "P (95%)"],
        labels=4,
        rows=[_text(summary) for summary in summaries],
        notes=list(NOTES),
        data=pd.DataFrame([_data(*item, summary) for summary in summaries for item in summary.verdicts.items()]),
    )


def _text(summary: Summary) -> list[str]:
    verdicts, chance = summary.verdicts, summary.probability
    pairing = next(iter(verdicts.values())).pairing
    effects = (
        f"{dataset} {verdict.effect_text} (n = {verdict.pairing.n})" for dataset, verdict in verdicts.items()
    )
    ends = f" ({chance.low:.2f} to {chance.high:.2f})" if chance.n else ""
    return [
        pairing.a,
        pairing.b,
        short_title(pairing.metric),
        "; ".join(effects),
        f"{summary.wins} of {len(verdicts)}",
        f"{number(chance.mean, '.2f')}{ends}",
    ]


def _data(dataset: str, verdict: Verdict, summary: Summary) -> dict[str, object]:
    pairing, chance = verdict.pairing, summary.probability
    return {
        "a": pairing.a,
        "b": pairing.b,
        "metric": pairing.metric.name,
        "dataset": dataset,
        "seeds": pairing.n,
        "difference": verdict.effect.mean,
        "low": verdict.effect.low,
        "high": verdict.effect.high,
        "probability_a_better": verdict.probability.mean,
        "datasets": len(summary.verdicts),
        "wins": summary.wins,
        "probability_over_datasets": chance.mean,
        "probability_over_datasets_low": chance.low,
        "probability_over_datasets_high": chance.high,
    }
