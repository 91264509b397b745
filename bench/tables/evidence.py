"""The table of a study's evidence: the few comparisons that its rows answer, judged together."""

from collections.abc import Iterator, Mapping, Sequence
from math import isnan

import pandas as pd

from bench.analysis.quantities import ACCURACY, LOSS, Run
from bench.analysis.statistics import ALPHA, sign_flip_p
from bench.analysis.verdicts import CLEAR, Comparison, Verdict, compare, judge
from bench.records.run import COMPLETED, RunRecord
from bench.tables import EMBEDDER_TITLES, TextTable, conditions
from fusion_models import find_model

REFERENCE = ("intermediate", "concat")
"""Stage and operator that the others of their family are held against."""

Rows = Mapping[tuple[str, str], Mapping[int, Run]]
"""Runs by (variant, model), then by seed."""


def evidence_table(records: Sequence[RunRecord]) -> TextTable | None:
    """Verdicts for the records of one study under one set of conditions; None if no two rows share two seeds.

    Compared are, in loss and in accuracy: MaxPool with strided; every row with the one of its family and embedder
    that concatenates in the middle; and the variants of a protocol with its first.
    """
    verdicts = judge(_comparisons(_rows(records)))
    if not any(verdict.comparison.n > 1 for verdict in verdicts):
        return None
    return TextTable(
        name="evidence",
        title=f"{records[0].study}: what is sure",
        header=["A", "B", "metric", "n", "A - B (95%)", "bootstrap 95%", "P", "verdict"],
        labels=3,
        rows=[_text(verdict) for verdict in verdicts],
        notes=[
            "A - B: mean, paired by seed, with its t interval; the bootstrap's is too narrow for few seeds",
            f"P: share of seeds in which A beats B; {CLEAR} is asked for by Bouthillier et al. 2021",
            f"verdict: at most {ALPHA:.0%} of such tables say of rows that are equal that one is better "
            "(paired t test, Holm over the table); undecided: so many more seeds would be needed",
            f"loss: best validation loss; {LOSS.margin_text} matter: {LOSS.reason}",
            f"accuracy: {ACCURACY.margin_text} matters: {ACCURACY.reason}",
        ],
        conditions=conditions(records),
        data=pd.DataFrame([_data(verdict) for verdict in verdicts]),
    )


def _rows(records: Sequence[RunRecord]) -> Rows:
    rows: dict[tuple[str, str], dict[int, Run]] = {}
    for record in records:
        if record.status == COMPLETED:
            rows.setdefault((record.variant, record.model), {})[record.seed] = Run(record)
    return rows


def _comparisons(rows: Rows) -> Iterator[Comparison]:
    for (variant, model), (other_variant, other_model), b in _pairs(rows):
        a = " ".join(filter(None, (variant, model)))
        for quantity in (LOSS, ACCURACY):
            runs = rows[variant, model], rows[other_variant, other_model]
            yield compare(a, b, quantity, *runs)


def _pairs(rows: Rows) -> Iterator[tuple[tuple[str, str], tuple[str, str], str]]:
    """Two rows each, and how the second differs from the first."""
    first, second = EMBEDDER_TITLES
    variants = list(dict.fromkeys(variant for variant, _ in rows))
    for variant, model in rows:
        spec = find_model(model)
        twin = (variant, f"{spec.strategy}-{second}")
        if spec.embedder == first and twin in rows:
            yield (variant, model), twin, EMBEDDER_TITLES[second]
        reference = (variant, "-".join((spec.family, *REFERENCE, spec.embedder)))
        if reference in rows and reference != (variant, model):
            yield (variant, model), reference, "-".join(REFERENCE)
        if variant != variants[0] and (variants[0], model) in rows:
            yield (variant, model), (variants[0], model), variants[0]


def _text(verdict: Verdict) -> list[str]:
    asked = verdict.comparison
    chance = verdict.probability.mean
    return [
        asked.a,
        asked.b,
        asked.quantity.name,
        str(asked.n),
        verdict.effect_text,
        verdict.bootstrap_text,
        "-" if isnan(chance) else f"{chance:.2f}",
        verdict.words.removesuffix(" would be needed"),
    ]


def _data(verdict: Verdict) -> dict[str, object]:
    asked = verdict.comparison
    return {
        "a": asked.a,
        "b": asked.b,
        "metric": asked.quantity.name,
        "seeds": asked.n,
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
        "sign_flip_p": sign_flip_p(asked.advantages),
        "margin": asked.quantity.margin,
        "outcome": verdict.outcome.value,
        "more_seeds": verdict.more_seeds,
    }
