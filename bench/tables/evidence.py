"""The table of a study's evidence: what the runs of its models decide."""

from collections.abc import Sequence

import pandas as pd

from bench.analysis import formats
from bench.analysis.conditions import describe
from bench.analysis.evidence import evidence
from bench.analysis.frames import evaluated
from bench.analysis.resampling import name_of_test
from bench.analysis.statistics import ALPHA
from bench.analysis.verdicts import Verdict
from bench.records import Metric, RunRecord
from bench.tables.text import TextTable


def evidence_table(records: Sequence[RunRecord]) -> TextTable | None:
    """Verdicts for the records of one study under one set of conditions; None if no two models share two seeds."""
    verdicts = evidence(records)
    if not any(verdict.pairing.counted > 1 for verdict in verdicts):
        return None
    test = name_of_test(max(verdict.pairing.ratio for verdict in verdicts))
    return TextTable(
        name="evidence",
        title=f"{records[0].study}: evidence",
        header=["A", "B", "metric", "n", "A - B (95%)", "90%", "P", "verdict"],
        labels=3,
        rows=[_text(verdict) for verdict in verdicts],
        notes=[
            "A - B: mean, paired by seed, with its t interval",
            "90%: the interval that is within ± the margin where the models are equivalent",
            "P: share of seeds in which A beats B, a tie being half a win; its interval is in the CSV file",
            f"verdict: in at most {ALPHA:.0%} of such tables, one of two equal models is called better "
            f"({test}, paired by seed, Holm over the table); exploratory, as nothing was declared beforehand",
            *map(_margin_note, evaluated(records)),
        ],
        conditions=describe(records, times=False),
        data=pd.DataFrame([_data(verdict) for verdict in verdicts]),
    )


def _margin_note(metric: Metric) -> str:
    if metric.higher_is_better is None:
        return f"{metric.title}: not judged, as neither direction is declared to be better"
    if not metric.margin:
        return f"{metric.title}: no smallest difference that matters is declared"
    reason = f": {metric.reason}" if metric.reason else ""
    return f"{metric.title}: differences of {formats.margin(metric)} matter{reason}"


def _text(verdict: Verdict) -> list[str]:
    pairing, chance = verdict.pairing, formats.number(verdict.probability.mean, ".2f")
    effects = (verdict.effect_text, verdict.equivalence_text)
    return [
        pairing.a,
        pairing.b,
        formats.short_title(pairing.metric),
        str(pairing.counted),
        *effects,
        chance,
        verdict.words,
    ]


def _data(verdict: Verdict) -> dict[str, object]:
    pairing = verdict.pairing
    return {
        "a": pairing.a,
        "b": pairing.b,
        "metric": pairing.metric.name,
        "seeds": pairing.counted,
        "difference": verdict.effect.mean,
        "low": verdict.effect.low,
        "high": verdict.effect.high,
        "low_90": verdict.equivalence_effect.low,
        "high_90": verdict.equivalence_effect.high,
        "bootstrap_low": verdict.bootstrap.low,
        "bootstrap_high": verdict.bootstrap.high,
        "probability_a_better": verdict.probability.mean,
        "probability_low": verdict.probability.low,
        "probability_high": verdict.probability.high,
        "probability_outcome": verdict.probability_outcome,
        "difference_p": verdict.difference_p,
        "equivalence_p": verdict.equivalence_p,
        "t_p": verdict.t_p,
        "margin": pairing.metric.margin,
        "outcome": verdict.outcome.value,
    }
