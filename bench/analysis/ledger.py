"""The ledger: the verdict of runs on every published claim, by data and conditions.

Runs under different conditions (data, profile, device, threads, protocol) are never compared with each other; each
set of conditions has verdicts of its own, and Holm's adjustment is over all comparisons under the same conditions.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isnan, log

from bench.analysis.claims import (
    AS_PUBLISHED,
    CONTRADICTIONS,
    HYPOTHESES,
    SETTINGS,
    STUDIES_NEEDED,
    Contradiction,
    Hypothesis,
    Part,
    Relation,
)
from bench.analysis.frames import grouped
from bench.analysis.quantities import LOSS, Run
from bench.analysis.statistics import ALPHA
from bench.analysis.verdicts import Outcome, Verdict, judge, pair, seeds_text
from bench.config import FULL
from bench.metrics import reported, reported_part
from bench.records import COMPLETED, Conditions, ProbeRecord, RunRecord, conditions_of


class Ruling(StrEnum):
    """The result of testing a claim, or a part of one."""

    HOLDS = "holds"
    FAILS = "does not hold"
    UNDECIDED = "undecided"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class ClaimConditions:
    """What runs must share to be compared.

    Attributes:
        setting: A name of ``claims.SETTINGS``: under which protocol.
        shared: Data set, profile and device.
        device_name: The device's own name.
        threads: Of the CPU; None where the record does not tell.
        as_published: Whether the original's mistakes were kept.
    """

    setting: str
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
        """Setting and profile, in words; anything short of the published protocol says so."""
        words = [self.setting]
        if self.as_published:
            words.append("with its mistakes")
        if self.cut_short:
            words.append(f"{self.shared.profile.upper()}: cut short")
        return ", ".join(words)

    @property
    def device(self) -> str:
        """Device and threads, in words."""
        threads = "unknown threads" if self.threads is None else f"{self.threads} thread"
        return f"{self.device_name}, {threads}{'' if self.threads in (1, None) else 's'}"


@dataclass(frozen=True)
class PartEntry:
    """The result of one comparison of a claim.

    Attributes:
        part: What was claimed.
        verdict: The verdict of the runs.
        at_chance: Those of its two models of which no run was better than uniform guessing.
    """

    part: Part
    verdict: Verdict
    at_chance: tuple[str, ...]

    @property
    def caveat(self) -> str:
        """How to read a verdict on models at chance level; "" where neither is."""
        if len(self.at_chance) > 1:
            return "both at chance level"
        return "".join(f"{model} at chance level" for model in self.at_chance)

    @property
    def ruling(self) -> Ruling:
        """Whether the part is as the claim says.

        That two models are equally good fails where one is significantly better and the observed difference is
        larger than the margin; that one is better fails where it significantly is not, or not by the margin.
        """
        if not self.verdict.pairing.n:
            return Ruling.NOT_RUN
        outcome, observed = self.verdict.outcome, float(self.verdict.pairing.advantages.mean())
        large = abs(observed) > self.verdict.pairing.threshold
        match self.part.relation:
            case Relation.BETTER:
                held, failed = outcome is Outcome.A_BETTER, outcome in (Outcome.B_BETTER, Outcome.SAME)
            case Relation.SAME:
                held = outcome is Outcome.SAME
                failed = outcome in (Outcome.A_BETTER, Outcome.B_BETTER) and large
            case Relation.NOT_WORSE:
                held = self.verdict.not_worse_p <= ALPHA
                failed = outcome is Outcome.B_BETTER and large
        if held or failed:
            return Ruling.HOLDS if held else Ruling.FAILS
        return Ruling.UNDECIDED


@dataclass(frozen=True)
class Entry:
    """The result of one claim under one set of conditions.

    Attributes:
        hypothesis: The claim.
        conditions: Under which; None where nothing of it was run.
        parts: Its comparisons.
        sources: The studies whose records were used.
    """

    hypothesis: Hypothesis
    conditions: ClaimConditions | None
    parts: tuple[PartEntry, ...]
    sources: tuple[str, ...]

    @property
    def ruling(self) -> Ruling:
        """Holds if every part does, and does not hold if one does not."""
        rulings = [part.ruling for part in self.parts]
        if self.conditions is None or set(rulings) == {Ruling.NOT_RUN}:
            return Ruling.NOT_RUN
        if Ruling.FAILS in rulings:
            return Ruling.FAILS
        return Ruling.HOLDS if set(rulings) == {Ruling.HOLDS} else Ruling.UNDECIDED

    @property
    def words(self) -> str:
        """The ruling, with what is missing where it is undecided, and with models at chance level."""
        if self.ruling is not Ruling.UNDECIDED:
            return "; ".join(filter(None, (self.ruling.value, self.decisive.caveat if self.decisive else "")))
        missing = sum(part.ruling is Ruling.NOT_RUN for part in self.parts)
        more = max((part.verdict.more_seeds for part in self.parts if part.ruling is Ruling.UNDECIDED), default=0)
        words = [f"{missing} of {len(self.parts)} comparisons not run"] if missing else []
        words += [f"{seeds_text(more)} would be needed"] if more else []
        return f"{self.ruling}: {'; '.join(words) or 'there is a difference, which may be too small to matter'}"

    @property
    def decisive(self) -> PartEntry | None:
        """The comparison that the ruling depends on: the first that fails, or else the least certain one."""
        run = [part for part in self.parts if part.ruling is not Ruling.NOT_RUN]
        for ruling in (Ruling.FAILS, Ruling.UNDECIDED, Ruling.HOLDS):
            parts = [part for part in run if part.ruling is ruling]
            if parts:
                return parts[0] if ruling is Ruling.FAILS else max(parts, key=_doubt)
        return None


def _doubt(entry: PartEntry) -> tuple[float, float]:
    verdict = entry.verdict
    p_values = {Relation.BETTER: verdict.difference_p, Relation.SAME: verdict.equivalence_p}
    p = p_values.get(entry.part.relation, verdict.not_worse_p)
    return verdict.more_seeds, 1.0 if isnan(p) else p


@dataclass(frozen=True)
class Ledger:
    """All verdicts of runs on the claims.

    Attributes:
        entries: Claim by claim; one with no conditions for a claim of which nothing was run.
        answers: Every contradiction with the results of its comparisons, as far as they were run.
        conditions: Under which any claim was run, in the order of ``entries``.
        simulated: By data set, whether it is simulated; None where that is unknown.
        unfinished: The cells that were begun and not completed.
    """

    entries: tuple[Entry, ...]
    answers: Mapping[Contradiction, tuple[tuple[ClaimConditions, PartEntry], ...]]
    conditions: tuple[ClaimConditions, ...]
    simulated: Mapping[str, bool | None]
    unfinished: tuple[RunRecord, ...]


def decide_claims(records: Iterable[RunRecord]) -> bool:
    """Whether any of these runs is of a study that decides a claim."""
    return any(record.study in STUDIES_NEEDED for record in records)


def ledger(records: Iterable[RunRecord], probes: Iterable[ProbeRecord] = ()) -> Ledger:
    """The ledger of runs of any studies, and of probes of their weights.

    Records that no claim needs are ignored; the last one of a cell counts.
    """
    records = list(records)
    runs = _runs(records, probes)
    conditions = sorted(
        dict.fromkeys(conditions for conditions, _ in runs),
        key=lambda under: (under.setting != AS_PUBLISHED, under.cut_short),  # stable: then by first appearance
    )
    entries: list[Entry] = []
    answers: dict[Contradiction, list[tuple[ClaimConditions, PartEntry]]] = {
        question: [] for question in CONTRADICTIONS
    }
    for under in conditions:
        entries += _entries(runs, under)
        questions = [(question, *part) for question in CONTRADICTIONS for part in question.parts]
        judged = _judged(runs, under, [(study, part) for _, study, part in questions])
        for (question, _, _), entry in zip(questions, judged, strict=True):
            if entry.ruling is not Ruling.NOT_RUN:
                answers[question].append((under, entry))
    run = {entry.hypothesis for entry in entries}
    entries += [Entry(hypothesis, None, (), ()) for hypothesis in HYPOTHESES if hypothesis not in run]
    entries.sort(key=lambda entry: HYPOTHESES.index(entry.hypothesis))  # stable: conditions stay in their order
    used = {entry.conditions for entry in entries}
    return Ledger(
        tuple(entries),
        {question: tuple(results) for question, results in answers.items()},
        tuple(under for under in conditions if under in used),
        {record.dataset: record.simulated for record in records},
        tuple(record for record in records if record.status != COMPLETED and _settings(record)),
    )


Runs = Mapping[tuple[ClaimConditions, str], Mapping[str, Mapping[int, Run]]]
"""Runs by conditions and claiming study, then by model and seed."""


def _runs(records: Sequence[RunRecord], probes: Iterable[ProbeRecord]) -> Runs:
    of_weights = grouped(probes, lambda probe: probe.weights_sha256)
    runs: dict[tuple[ClaimConditions, str], dict[str, dict[int, Run]]] = {}
    for record in records:
        if record.status != COMPLETED:
            continue
        run = Run(record, tuple(of_weights.get(record.weights_sha256 or "", ())))
        for study, setting in _settings(record):
            conditions = ClaimConditions(
                setting=setting,
                shared=conditions_of(record),
                device_name=str(record.environment.get("device_name", "unknown device")),
                threads=record.environment.get("threads"),
                as_published=record.as_published,
            )
            models = runs.setdefault((conditions, study), {})
            models.setdefault(record.model, {})[record.seed] = run
    return runs


def _settings(record: RunRecord) -> list[tuple[str, str]]:
    """The claiming studies, each with its setting, that a record is a source of."""
    return [
        (study, setting)
        for study, settings in SETTINGS.items()
        for setting, sources in settings.items()
        if (record.study, record.variant) in sources
    ]


def _entries(runs: Runs, conditions: ClaimConditions) -> Iterator[Entry]:
    """The claims of which anything was run under these conditions, judged together."""
    parts = [(hypothesis, part) for hypothesis in HYPOTHESES for part in hypothesis.parts]
    judged = _judged(runs, conditions, [(hypothesis.study, part) for hypothesis, part in parts])
    by_claim: dict[Hypothesis, list[PartEntry]] = {}
    for (hypothesis, _), entry in zip(parts, judged, strict=True):
        by_claim.setdefault(hypothesis, []).append(entry)
    for hypothesis, entries in by_claim.items():
        if any(entry.ruling is not Ruling.NOT_RUN for entry in entries):
            yield Entry(hypothesis, conditions, tuple(entries), _sources(runs, conditions, hypothesis))


def _judged(runs: Runs, conditions: ClaimConditions, parts: Sequence[tuple[str, Part]]) -> list[PartEntry]:
    models = [(part, runs.get((conditions, study), {})) for study, part in parts]
    # One part of the pairs for all comparisons under the same conditions.
    pairs = reported_part(
        run.record for _, of_study in models for seeds in of_study.values() for run in seeds.values()
    )
    verdicts = judge(
        pair(part.a, part.b, part.quantity.on(pairs), of_study.get(part.a, {}), of_study.get(part.b, {}))
        for part, of_study in models
    )
    return [
        PartEntry(part, verdict, tuple(m for m in (part.a, part.b) if _at_chance(of_study.get(m, {}))))
        for (part, of_study), verdict in zip(models, verdicts, strict=True)
    ]


def _at_chance(runs: Mapping[int, Run]) -> bool:
    """Whether no run's loss is below that of equal probabilities for all classes, by as much as matters."""
    return bool(runs) and all(
        (reported(run.record, "loss") or 0) > log(run.record.classes) - LOSS.metric.margin for run in runs.values()
    )


def _sources(runs: Runs, conditions: ClaimConditions, hypothesis: Hypothesis) -> tuple[str, ...]:
    models = runs[conditions, hypothesis.study]
    names = dict.fromkeys(model for part in hypothesis.parts for model in (part.a, part.b))
    return tuple(dict.fromkeys(run.record.study for name in names for run in models.get(name, {}).values()))
