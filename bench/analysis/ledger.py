"""The ledger: the verdict of runs on every claim, by data and conditions.

Runs under different conditions (data, profile, device, threads, protocol) are never compared with each other; each
set of conditions has verdicts of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.analysis.claims import BEST, Claim, Claims, Part, Question, Source
from bench.analysis.frames import grouped
from bench.analysis.quantities import Run
from bench.analysis.rulings import ClaimConditions, Entry, Models, PartEntry, Ruling, pair_sides, ruling
from bench.analysis.tuning import best_of_variants, without_variant
from bench.analysis.verdicts import follow
from bench.records import COMPLETED, ProbeRecord, RunRecord, conditions_of


@dataclass(frozen=True)
class Ledger:
    """All verdicts of runs on the claims.

    Attributes:
        entries: Claim by claim; one with no conditions for a claim of which nothing was run.
        answers: Every question with the results of its comparisons, as far as they were run.
        conditions: Under which any claim was run, in the order of ``entries``.
        simulated: By data set, whether it is simulated; None where that is unknown.
        unfinished: The cells that were begun and not completed.
    """

    entries: tuple[Entry, ...]
    answers: Mapping[Question, tuple[tuple[ClaimConditions, PartEntry], ...]]
    conditions: tuple[ClaimConditions, ...]
    simulated: Mapping[str, bool | None]
    unfinished: tuple[RunRecord, ...]


def any_for_claims(records: Iterable[RunRecord], claims: Claims) -> bool:
    """Whether any of these runs is of a study that is run for the claims."""
    return any(record.study in claims.studies for record in records)


def source_of(record: RunRecord) -> Source:
    """The source that a record is of, whatever settings were changed."""
    return record.study, record.declared_variant


def ledger(records: Iterable[RunRecord], probes: Iterable[ProbeRecord], claims: Claims) -> Ledger:
    """The ledger of runs of any studies, and of probes of their weights.

    Records that no claim needs are ignored; the last one of a cell counts.
    """
    records = list(records)
    of_weights = grouped(probes, lambda probe: probe.weights_sha256)
    runs = [
        Run(record, tuple(of_weights.get(record.weights_sha256 or "", ()))) for record in records if record.ended
    ]
    by_source = grouped(runs, lambda run: source_of(run.record))
    declared = {source for claim in claims.claims for sources in claim.settings.values() for source in sources}
    by_source |= {(study, BEST): _best(by_source, study) for study, variant in declared if variant == BEST}
    models = {claim.name: _models(claim, by_source) for claim in claims.claims}
    looks = {claim.name: claim.looks for claim in claims.claims}
    entries = [entry for claim in claims.claims for entry in _entries(claim, models[claim.name])]
    answers = {
        question: tuple(
            (conditions, entry)
            for name, part in question.parts
            for conditions, of_models in models[name].items()
            if (entry := judged(part, looks[name], of_models)).ruling is not Ruling.NOT_RUN
        )
        for question in claims.questions
    }
    return Ledger(
        tuple(entries),
        answers,
        tuple(dict.fromkeys(entry.conditions for entry in entries if entry.conditions is not None)),
        {record.dataset: record.simulated for record in records},
        tuple(
            record
            for record in records
            if record.status != COMPLETED and any(c.needs(source_of(record), record.model) for c in claims.claims)
        ),
    )


def judged(part: Part, looks: tuple[int, ...], models: Models) -> PartEntry:
    """The result of one comparison of these runs."""
    pairing = pair_sides(part, models)
    verdict = follow(pairing, looks, lambda verdict: ruling(part.relation, verdict) is not Ruling.UNDECIDED)
    return PartEntry(part, verdict, looks, pairing.n, models)


def _models(claim: Claim, by_source: Mapping[Source, Sequence[Run]]) -> dict[ClaimConditions, Models]:
    """The runs that are evidence for a claim, by conditions: setting by setting, whole, unchanged ones first."""
    found: dict[ClaimConditions, dict[str, dict[int, Run]]] = {}
    for setting, sources in claim.settings.items():
        of_setting: dict[ClaimConditions, dict[str, dict[int, Run]]] = {}
        for source in sources:
            for run in by_source.get(source, ()):
                record = run.record
                for name in claim.names_of(source_of(record), record.model):
                    models = of_setting.setdefault(_conditions(record, setting), {})
                    models.setdefault(name, {})[record.seed] = run
        found |= dict(sorted(of_setting.items(), key=lambda item: (item[0].cut_short, item[0].changed != "")))
    return dict(found)


def _best(by_source: Mapping[Source, Sequence[Run]], study: str) -> list[Run]:
    """``best_of_variants`` of a study's runs, each with those that were rejected; none of one variant alone."""
    variants = {source: runs for source, runs in by_source.items() if source[0] == study and source[1] != BEST}
    if len(variants) < 2:
        return []  # nothing was chosen
    runs = [run for of_source in variants.values() for run in of_source]
    chosen = {id(record) for record in best_of_variants(run.record for run in runs)}
    tried = grouped((run.record for run in runs), without_variant)
    return [
        replace(run, rejected=tuple(r for r in tried[without_variant(run.record)] if r is not run.record))
        for run in runs
        if id(run.record) in chosen
    ]


def _conditions(record: RunRecord, setting: str) -> ClaimConditions:
    return ClaimConditions(
        setting=setting,
        changed=record.changed,
        shared=conditions_of(record),
        device_name=str(record.environment.get("device_name", "unknown device")),
        threads=record.environment.get("threads"),
        as_published=record.as_published,
    )


def _entries(claim: Claim, models: Mapping[ClaimConditions, Models]) -> list[Entry]:
    """The results of a claim under every set of conditions that anything of it was run under; else one without."""
    entries = []
    for conditions, of_models in models.items():
        parts = tuple(judged(part, claim.looks, of_models) for part in claim.parts)
        if all(part.ruling is Ruling.NOT_RUN for part in parts):
            continue
        seen = {id(run.record): run for part in parts for run in part.seen}.values()
        records = [run.record for run in seen]
        entries.append(
            Entry(
                claim,
                conditions,
                parts,
                sources=tuple(dict.fromkeys(record.study for record in records)),
                exploratory=any(record.claims.get(claim.name) != claim.sha256 for record in records),
                hours=_hours([*records, *(rejected for run in seen for rejected in run.rejected)]),
            )
        )
    return entries or [Entry(claim, None, (), ())]


def _hours(records: Iterable[RunRecord]) -> float | None:
    """The hours of training, on a CPU times threads; None where a record does not tell."""
    seconds = 0.0
    for record in records:
        cores = record.environment.get("threads") if record.device == "cpu" else 1
        if record.train_seconds is None or not cores:
            return None
        seconds += record.train_seconds * cores
    return seconds / 3600 if seconds else None
