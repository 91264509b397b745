"""The table of a study's evidence: what the runs of its models decide."""

from collections.abc import Sequence

import pandas as pd

from bench.analysis import formats
from bench.analysis.evidence import evidence
from bench.analysis.frames import describe, evaluated
from bench.analysis.statistics import ALPHA, CLEAR
from bench.analysis.verdicts import Verdict
from bench.records import Metric, RunRecord
from bench.tables.text import TextTable


def evidence_table(records: Sequence[RunRecord]) -> TextTable | None:
    """Verdicts for the records of one study under one set of conditions; None if no two models share two seeds."""
    verdicts = evidence(records)
    if not any(verdict.pairing.n > 1 for verdict in verdicts):
        return None
    return TextTable(
        name="evidence",
        title=f"{records[0].study}: evidence",
        header=["A", "B", "metric", "n", "A - B (95%)", "bootstrap 95%", "P", "verdict"],
        labels=3,
        rows=[_text(verdict) for verdict in verdicts],
        notes=[
            "A - B: mean, paired by seed, with its t interval; the bootstrap's is too narrow for few seeds",
            f"P: share of seeds in which A beats B; Bouthillier et al. 2021 recommend {CLEAR}",
            f"verdict: in at most {ALPHA:.0%} of such tables, one of two equal models is called better "
            "(paired t test, Holm over the table); undecided: the number of further seeds that would be needed",
            *map(_margin_note, evaluated(records)),
        ],
        conditions=describe(records),
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
    effects = (verdict.effect_text, verdict.bootstrap_text)
    words = verdict.words.removesuffix(" would be needed")
    return [pairing.a, pairing.b, formats.short_title(pairing.metric), str(pairing.n), *effects, chance, words]


def _data(verdict: Verdict) -> dict[str, object]:
    pairing = verdict.pairing
    return {
        "a": pairing.a,
        "b": pairing.b,
        "metric": pairing.metric.name,
        "seeds": pairing.n,
        "difference": verdict.effect.mean,
        "low": verdict.effect.low,
        "high": verdict.effect.high,
        "bootstrap_low": verdict.bootstrap.low,
        "bootstrap_high": verdict.bootstrap.high,
        "probability_a_better": verdict.probability.mean,
        "probability_low": verdict.probability.low,
        "probability_high": verdict.probability.high,
        "difference_p": verdict.difference_p,
        "equivalence_p": verdict.equivalence_p,
        "sign_flip_p": sign_flip_p(pairing.advantages),
        "margin": pairing.metric.margin,
        "outcome": verdict.outcome.value,
        "more_seeds": verdict.more_seeds,
    }
