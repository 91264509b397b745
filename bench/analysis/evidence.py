"""What the runs of one study answer: its models paired by what they differ in, and judged together.

Models are paired by the fields of their records. Compared are: the reference embedder with each other embedder of
the same strategy; every model with the one of its family and embedder that concatenates in the middle; and the
variants of a protocol with its first.
"""

from collections.abc import Iterator, Mapping, Sequence

from bench.analysis.frames import AS_DECLARED, BASELINE, completed, evaluated
from bench.analysis.pairing import pair
from bench.analysis.quantities import Run, measured
from bench.analysis.verdicts import Verdict, judge
from bench.records import RunRecord

Models = Mapping[tuple[str, str], Mapping[int, Run]]
"""Runs by (variant, model), then by seed."""


def evidence(records: Sequence[RunRecord]) -> list[Verdict]:
    """Verdicts for the records of one study under one set of conditions, in every metric that evaluations show."""
    models: dict[tuple[str, str], dict[int, Run]] = {}
    for record in completed(records):
        models.setdefault((record.variant, record.model), {})[record.seed] = Run(record)
    return judge(
        pair(" ".join(filter(None, a)), difference, measured(metric), models[a], models[b])
        for a, b, difference in _pairs(models)
        for metric in evaluated(records)
    )


def _pairs(models: Models) -> Iterator[tuple[tuple[str, str], tuple[str, str], str]]:
    """The keys of two models, and what the second has in place of the first's."""
    firsts = {key: next(iter(runs.values())).record for key, runs in models.items()}
    baselines = {
        (record.variant, record.family, record.stage, record.operator, record.embedder): key
        for key, record in reversed(firsts.items())  # the first of several
    }
    variants = list(dict.fromkeys(variant for variant, _ in models))
    for key, record in firsts.items():
        if record.embedder == record.reference:
            for other, paired in firsts.items():
                same_strategy = (paired.variant, paired.strategy) == (record.variant, record.strategy)
                if same_strategy and paired.embedder not in ("", record.reference):
                    yield key, other, paired.embedder
        place = (record.variant, record.family, *BASELINE, record.embedder)
        baseline = baselines.get(place, key)
        if baseline != key:
            yield key, baseline, "-".join(BASELINE)
        if record.variant != variants[0] and (variants[0], record.model) in models:
            yield key, (variants[0], record.model), variants[0] or AS_DECLARED
