"""The ledger: the verdict of runs on every claim, by data and conditions.

Runs under different conditions (data, profile, device, threads, protocol) are never compared with each other; each
set of conditions has verdicts of its own. A comparison is decided at the first of its claim's looks that settles
it, and stays decided.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from math import isnan
from statistics import fmean

from bench.analysis.claims import BEST, OVER, Claim, Claims, Manipulation, Part, Question, Relation, Source
from bench.analysis.formats import counted
from bench.analysis.frames import grouped
from bench.analysis.pairing import Pairing, over, pair
from bench.analysis.quantities import Quantity, Run, accuracy_under, chance_accuracy, count_learned
from bench.analysis.tuning import best_of_variants, without_variant
from bench.analysis.verdicts import Outcome, Verdict, follow, untested
from bench.config import FULL
from bench.records import COMPLETED, Conditions, ProbeRecord, RunRecord, conditions_of


class Ruling(StrEnum):
    """The result of testing a claim, or a part of one."""

    HOLDS = "holds"
    DIRECTION = "holds in direction only"
    FAILS = "does not hold"
    FAILED_MANIPULATION = "manipulation failed"
    UNDECIDED = "undecided"
    NOT_RUN = "not run"


DECIDED = (Ruling.HOLDS, Ruling.DIRECTION, Ruling.FAILS)


def ruling(relation: Relation, verdict: Verdict) -> Ruling:
    """Whether a comparison is as claimed.

    That two models are equally good fails where they differ by the margin or more; that one is better fails where
    the other one is, or where they are equivalent.
    """
    outcome = verdict.outcome
    match relation:
        case Relation.BETTER if outcome is Outcome.A_SUPERIOR:
            return Ruling.HOLDS
        case Relation.BETTER if outcome is Outcome.A_AHEAD:
            return Ruling.DIRECTION
        case Relation.BETTER if outcome in (Outcome.B_SUPERIOR, Outcome.B_AHEAD, Outcome.EQUIVALENT):
            return Ruling.FAILS
        case Relation.SAME if outcome is Outcome.EQUIVALENT:
            return Ruling.HOLDS
        case Relation.SAME if outcome in (Outcome.A_SUPERIOR, Outcome.B_SUPERIOR):
            return Ruling.FAILS
        case Relation.NOT_WORSE if verdict.not_worse:
            return Ruling.HOLDS
        case Relation.NOT_WORSE if outcome is Outcome.B_SUPERIOR:
            return Ruling.FAILS
    return Ruling.UNDECIDED


@dataclass(frozen=True)
class ClaimConditions:
    """What runs must share to be compared.

    Attributes:
        setting: A name of ``Claim.settings``: under which protocol.
        changed: The settings in which the runs' protocol differs from that; "" for none.
        shared: Data set, profile and device.
        device_name: The device's own name.
        threads: Of the CPU; None where the record does not tell.
        as_published: Whether the original's mistakes were kept.
    """

    setting: str
    changed: str
    shared: Conditions
    device_name: str
    threads: int | None
    as_published: bool

    @property
    def cut_short(self) -> bool:
        """Whether less than the whole protocol was run."""
        return self.shared.profile != FULL.name

    @property
    def protocol(self) -> str:
        """Setting and profile, in words; anything other than the declared protocol is named."""
        words = [self.setting]
        if self.changed:
            words.append(f"with {self.changed}")
        if self.as_published:
            words.append("with its mistakes")
        if self.cut_short:
            words.append(f"{self.shared.profile.upper()}: cut short")
        return ", ".join(words)

    @property
    def device(self) -> str:
        """Device and threads, in words."""
        return f"{self.device_name}, {counted(self.threads, 'thread')}"


Models = Mapping[str, Mapping[int, Run]]
"""Runs by model, then by seed."""


@dataclass(frozen=True)
class PartEntry:
    """The result of one comparison of a claim.

    Attributes:
        part: What was claimed.
        verdict: The verdict of the runs.
        looks: Numbers of seeds after which they are looked at.
        n: The number of seeds so far, of which the verdict is over those at a look.
        runs: Those of its models.
    """

    part: Part
    verdict: Verdict
    looks: tuple[int, ...]
    n: int
    runs: Models = field(repr=False, compare=False)

    @cached_property
    def ruling(self) -> Ruling:
        """Whether the part is as the claim says."""
        if not self.verdict.pairing.n:
            return Ruling.NOT_RUN
        if self.manipulation_failed:
            return Ruling.FAILED_MANIPULATION
        return ruling(self.part.relation, self.verdict)

    @property
    def doubt(self) -> tuple[int, float]:
        """Larger where it is less certain: the look that decided it, and its p value."""
        verdict = self.verdict
        p_values = {Relation.BETTER: verdict.difference_p, Relation.SAME: verdict.equivalence_p}
        p = p_values.get(self.part.relation, verdict.not_worse_p)
        return verdict.look, 1.0 if isnan(p) else p

    @cached_property
    def manipulation_failed(self) -> str:
        """Why what was done to the models' inputs cannot decide anything; "" where it can, or nothing was done."""
        return _failure(self.part.manipulation, self.seen) if self.part.manipulation else ""

    @property
    def seen(self) -> list[Run]:
        """The runs that the verdict is over."""
        return [self.runs[model][seed] for model in self.part.models for seed in self.verdict.pairing.seeds]

    @property
    def stopped(self) -> bool:
        """Whether further seeds can change nothing: it is decided, or all declared seeds have been run."""
        if self.ruling in (*DECIDED, Ruling.FAILED_MANIPULATION):
            return True
        return self.verdict.pairing.n >= (1 if self.verdict.pairing.exact else self.looks[-1])

    @cached_property
    def learned(self) -> tuple[tuple[int, int], ...]:
        """How many runs of each model learned, and the number that tell."""
        seeds = self.verdict.pairing.seeds
        runs = [[self.runs[model][seed] for seed in seeds] for model in self.part.models]
        return tuple(map(count_learned, runs))

    @property
    def caveat(self) -> str:
        """How to read the verdict, where models learned nothing or pairs do not count; "" otherwise."""
        if self.verdict.pairing.exact or self.verdict.pairing.metric.per_machine:
            return ""  # costs do not depend on it
        silent = [m for m, (k, n) in zip(self.part.models, self.learned, strict=True) if n and not k]
        pairing = self.verdict.pairing
        if len(silent) == len(self.part.models):
            silent = ["either" if len(silent) == 2 else "any"]
        words = [f"no run of {model} learned" for model in dict.fromkeys(silent)]
        if pairing.counted < pairing.n:
            count = "counts" if pairing.counted == 1 else "count"
            words.append(f"over the {counted(pairing.counted, 'pair')} of {pairing.n} that {count}")
        return "; ".join(words)

    def beside(self, quantity: Quantity) -> Verdict:
        """The same two sides in another quantity over the same seeds, to be shown; it decides nothing."""
        seeds = self.verdict.pairing.seeds
        runs = {model: {seed: self.runs[model][seed] for seed in seeds} for model in self.part.models if seeds}
        return untested(_pair(replace(self.part, quantity=quantity), runs))


def _failure(manipulation: Manipulation, runs: Sequence[Run]) -> str:
    levels = [0.0, *manipulation.levels]
    means = [[accuracy_under(run, manipulation.corruption, level) for run in runs] for level in levels]
    found = [
        fmean(a for a in of_level if a is not None) for of_level in means if None not in of_level and of_level
    ]
    if len(found) < len(levels):
        return ""  # then the quantity is missing too
    clean, corrupted = found[0], fmean(found[1:])
    chance = fmean(chance_accuracy(run.record) for run in runs)
    if clean - corrupted < manipulation.least_drop:
        return f"accuracy {clean:.3f} to {corrupted:.3f}, less than {manipulation.least_drop:g} apart"
    if corrupted < chance + manipulation.above_chance:
        return f"accuracy {corrupted:.3f}, which is chance level"
    return ""


@dataclass(frozen=True)
class Entry:
    """The result of one claim under one set of conditions.

    Attributes:
        claim: What was claimed.
        conditions: Under which; None where nothing of it was run.
        parts: Its comparisons.
        sources: The studies whose records were used.
        exploratory: Whether a record was made before the claim was declared as it is now.
        hours: Of training that went into the records used and those they were chosen from, times threads; None
            where they do not tell.
    """

    claim: Claim
    conditions: ClaimConditions | None
    parts: tuple[PartEntry, ...]
    sources: tuple[str, ...]
    exploratory: bool = False
    hours: float | None = None

    @property
    def ruling(self) -> Ruling:
        """Holds if every part does, and does not hold if one does not."""
        rulings = [part.ruling for part in self.parts]
        if self.conditions is None or set(rulings) == {Ruling.NOT_RUN}:
            return Ruling.NOT_RUN
        for decisive in (Ruling.FAILS, Ruling.FAILED_MANIPULATION):
            if decisive in rulings:
                return decisive
        if not set(rulings) <= {Ruling.HOLDS, Ruling.DIRECTION}:
            return Ruling.UNDECIDED
        return Ruling.DIRECTION if Ruling.DIRECTION in rulings else Ruling.HOLDS

    @property
    def open(self) -> tuple[PartEntry, ...]:
        """The parts that further seeds could decide; none once the claim is decided."""
        if self.ruling in DECIDED:
            return ()
        return tuple(part for part in self.parts if not part.stopped)

    @property
    def tuned(self) -> bool:
        """Whether every model has its best variant of a study."""
        of_setting = self.claim.settings[self.conditions.setting] if self.conditions else ()
        return any(variant == BEST for _, variant in of_setting)

    @property
    def words(self) -> str:
        """The ruling, with the look it was reached at or what is missing, and how to read it."""
        words = [self.ruling.value]
        match self.ruling:
            case Ruling.UNDECIDED:
                words = [f"{self.ruling}{self._progress()}"]
            case Ruling.FAILED_MANIPULATION if self.decisive is not None and self.decisive.part.manipulation:
                words.append(f"{self.decisive.part.manipulation.corruption}: {self.decisive.manipulation_failed}")
            case Ruling.HOLDS | Ruling.DIRECTION | Ruling.FAILS if self.look:
                words[0] += f" (look {self.look} of {len(self.claim.looks)})"
        if self.decisive is not None and self.decisive.caveat:
            words.append(self.decisive.caveat)
        return "; ".join([*words, *(["exploratory"] if self.exploratory else [])])

    def _progress(self) -> str:
        not_run = sum(part.ruling is Ruling.NOT_RUN for part in self.parts)
        if not_run:
            return f": {not_run} of {len(self.parts)} comparisons not run"
        undecided = [part for part in self.parts if part.ruling is Ruling.UNDECIDED]
        waiting = [part for part in undecided if not part.stopped]
        n = min(part.n for part in waiting or undecided)
        seeds = f"{n} seed{'' if n == 1 else 's'}"
        if not waiting:
            return f" after {seeds}"
        return f" so far: {seeds}, next look at {next(look for look in self.claim.looks if look > n)}"

    @property
    def look(self) -> int:
        """The look at which the claim was decided; 0 if it is not, or needed no looks."""
        if self.ruling is Ruling.FAILS:
            return min(part.verdict.look for part in self.parts if part.ruling is Ruling.FAILS)
        return max(part.verdict.look for part in self.parts) if self.ruling in DECIDED else 0

    @property
    def decisive(self) -> PartEntry | None:
        """The comparison that the ruling depends on: the first that fails, or else the least certain one."""
        for decisive in (
            Ruling.FAILS,
            Ruling.FAILED_MANIPULATION,
            Ruling.UNDECIDED,
            Ruling.DIRECTION,
            Ruling.HOLDS,
        ):
            parts = [part for part in self.parts if part.ruling is decisive]
            if parts:
                return parts[0] if decisive is Ruling.FAILS else max(parts, key=lambda part: part.doubt)
        return None


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


def decide_claims(records: Iterable[RunRecord], claims: Claims) -> bool:
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
    pairing = _pair(part, models)
    verdict = follow(pairing, looks, lambda verdict: ruling(part.relation, verdict) is not Ruling.UNDECIDED)
    return PartEntry(part, verdict, looks, pairing.n, models)


def _pair(part: Part, models: Models) -> Pairing:
    sides = [side.split(OVER) for side in (part.a, part.b)]

    def pair_of(a: str, b: str) -> Pairing:
        return pair(a, b, part.quantity, models.get(a, {}), models.get(b, {}))

    if len(sides[0]) == len(sides[1]) == 1:
        return pair_of(part.a, part.b)
    one, other = (pair_of(*side) for side in sides)
    return over(one, other, pair_of(sides[0][0], sides[1][0]).seeds)


def _models(claim: Claim, by_source: Mapping[Source, Sequence[Run]]) -> dict[ClaimConditions, Models]:
    """The runs that are evidence for a claim, by conditions: setting by setting, whole, unchanged ones first."""
    found: dict[ClaimConditions, dict[str, dict[int, Run]]] = {}
    wanted = claim.models
    for setting, sources in claim.settings.items():
        of_setting: dict[ClaimConditions, dict[str, dict[int, Run]]] = {}
        for source in sources:
            for run in by_source.get(source, ()):
                record = run.record
                for name in {record.model, f"{record.declared_variant}:{record.model}"} & wanted:
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
    """The core-hours of training; None where a record does not tell, or is not of a CPU."""
    seconds = [
        record.train_seconds * record.environment["threads"]
        if record.device == "cpu" and record.train_seconds is not None and record.environment.get("threads")
        else None
        for record in records
    ]
    known = [value for value in seconds if value is not None]
    return sum(known) / 3600 if known and len(known) == len(seconds) else None
