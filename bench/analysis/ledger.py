"""The ledger: what runs say of every published claim, on which data and under which conditions.

Runs under different conditions (data, profile, device, threads, protocol) are never compared with each other; each
has verdicts of its own, and Holm's adjustment is over all comparisons under the same conditions.
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
from bench.analysis.quantities import LOSS, Run
from bench.analysis.statistics import ALPHA
from bench.analysis.verdicts import Comparison, Outcome, Verdict, compare, judge, seeds_text
from bench.config import FULL, PROFILES
from bench.records.probe import ProbeRecord
from bench.records.run import COMPLETED, RunRecord
from bench.studies import STUDIES
from data_utils import DATASETS


class Ruling(StrEnum):
    """What a claim, or a part of one, came to."""

    HOLDS = "holds"
    FAILS = "does not hold"
    UNDECIDED = "undecided"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Conditions:
    """What runs must share to be compared.

    Attributes:
        setting: a name of ``claims.SETTINGS``: under which protocol.
        dataset: its name.
        profile: how much of the protocol was run.
        device_name: what it ran on.
        threads: of the CPU.
        seeds_together: how many seeds were trained side by side.
        mistakes: whether the original's mistakes were left in.
    """

    setting: str
    dataset: str
    profile: str
    device_name: str
    threads: int
    seeds_together: int
    mistakes: bool

    @property
    def protocol(self) -> str:
        """Setting and profile, in words; anything short of the published protocol says so."""
        words = [self.setting]
        if self.mistakes:
            words.append("with its mistakes")
        if self.profile != FULL.name:
            words.append(f"{self.profile.upper()}: cut short")
        return ", ".join(words)

    @property
    def device(self) -> str:
        """Device, threads and seeds at a time, in words."""
        words = [self.device_name, f"{self.threads} thread{'' if self.threads == 1 else 's'}"]
        if self.seeds_together > 1:
            words.append(f"{self.seeds_together} seeds side by side")
        return ", ".join(words)

    @property
    def order(self) -> tuple[object, ...]:
        """The published setting first, whole profiles first, simulated data as declared; no two are equal."""
        known = list(DATASETS)
        return (
            self.setting != AS_PUBLISHED,
            -list(PROFILES).index(self.profile),
            known.index(self.dataset) if self.dataset in known else len(known),
            self.dataset,
            self.setting,
            self.device,
            self.mistakes,
        )


@dataclass(frozen=True)
class PartEntry:
    """What one comparison of a claim came to.

    Attributes:
        part: what was claimed.
        verdict: what runs say.
        guessing: those of its two rows of which no run did better than guessing.
    """

    part: Part
    verdict: Verdict
    guessing: tuple[str, ...]

    @property
    def caveat(self) -> str:
        """What a verdict on rows that learned nothing is to be read with; "" where both learned."""
        if len(self.guessing) > 1:
            return "neither learned"
        return "".join(f"{row} learned nothing" for row in self.guessing)

    @property
    def ruling(self) -> Ruling:
        """Whether the part is as the claim says.

        That two rows are as good fails where one is surely better, and better by more than the margin as it seems;
        that one is better fails where it surely is not, or not by as much as matters.
        """
        if not self.verdict.comparison.n:
            return Ruling.NOT_RUN
        outcome, shown = self.verdict.outcome, float(self.verdict.comparison.advantages.mean())
        large = abs(shown) > self.part.quantity.threshold
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
    """What one claim came to under one set of conditions.

    Attributes:
        hypothesis: the claim.
        conditions: under which; None where nothing of it was run.
        parts: its comparisons.
        sources: the studies whose records were used.
    """

    hypothesis: Hypothesis
    conditions: Conditions | None
    parts: tuple[PartEntry, ...]
    sources: tuple[str, ...]

    @property
    def ruling(self) -> Ruling:
        """Holds if every part does, and does not if one does not."""
        rulings = [part.ruling for part in self.parts]
        if self.conditions is None or set(rulings) == {Ruling.NOT_RUN}:
            return Ruling.NOT_RUN
        if Ruling.FAILS in rulings:
            return Ruling.FAILS
        return Ruling.HOLDS if set(rulings) == {Ruling.HOLDS} else Ruling.UNDECIDED

    @property
    def words(self) -> str:
        """The ruling, with what is missing where it is undecided, and with rows that learned nothing."""
        if self.ruling is not Ruling.UNDECIDED:
            return "; ".join(filter(None, (self.ruling.value, self.decisive.caveat if self.decisive else "")))
        missing = sum(part.ruling is Ruling.NOT_RUN for part in self.parts)
        more = max((part.verdict.more_seeds for part in self.parts if part.ruling is Ruling.UNDECIDED), default=0)
        words = [f"{missing} of {len(self.parts)} comparisons not run"] if missing else []
        words += [f"{seeds_text(more)} would be needed"] if more else []
        return f"{self.ruling}: {'; '.join(words) or 'there is a difference, which may be too small to matter'}"

    @property
    def decisive(self) -> PartEntry | None:
        """The comparison that the ruling hangs on: the first that fails, or else the least sure one."""
        run = [part for part in self.parts if part.ruling is not Ruling.NOT_RUN]
        for ruling in (Ruling.FAILS, Ruling.UNDECIDED, Ruling.HOLDS):
            found = [part for part in run if part.ruling is ruling]
            if found:
                return found[0] if ruling is Ruling.FAILS else max(found, key=_doubt)
        return None


def _doubt(entry: PartEntry) -> tuple[float, float]:
    verdict = entry.verdict
    by_relation = {
        Relation.BETTER: verdict.difference_p,
        Relation.SAME: verdict.equivalence_p,
        Relation.NOT_WORSE: verdict.not_worse_p,
    }
    p = by_relation[entry.part.relation]
    return verdict.more_seeds, 1.0 if isnan(p) else p


@dataclass(frozen=True)
class Ledger:
    """Everything that runs say of the claims.

    Attributes:
        entries: claim by claim; one of the claim's own with no conditions where nothing of it was run.
        answers: every contradiction with what its comparisons came to, as far as they were run.
        unfinished: the cells that were begun and not completed.
    """

    entries: tuple[Entry, ...]
    answers: Mapping[Contradiction, tuple[tuple[Conditions, PartEntry], ...]]
    unfinished: tuple[RunRecord, ...]


def decide_claims(records: Iterable[RunRecord]) -> bool:
    """Whether any of these runs is of a study that is there to decide a claim."""
    return any(record.study in STUDIES_NEEDED for record in records)


def ledger(records: Iterable[RunRecord], probes: Iterable[ProbeRecord] = ()) -> Ledger:
    """The ledger of these runs.

    Args:
        records: of any studies; those that no claim asks for are left aside. The last one of a cell counts.
        probes: what was found in the weights of these runs.
    """
    found = list(records)
    runs = _runs(found, probes)
    entries: list[Entry] = []
    answers: dict[Contradiction, list[tuple[Conditions, PartEntry]]] = {each: [] for each in CONTRADICTIONS}
    for conditions in sorted({conditions for conditions, _ in runs}, key=lambda each: each.order):
        entries += _entries(runs, conditions)
        questions = [(question, *each) for question in CONTRADICTIONS for each in question.parts]
        judged = _judged(runs, conditions, [(study, part) for _, study, part in questions])
        for (question, _, _), entry in zip(questions, judged, strict=True):
            if entry.ruling is not Ruling.NOT_RUN:
                answers[question].append((conditions, entry))
    run = {entry.hypothesis for entry in entries}
    entries += [Entry(hypothesis, None, (), ()) for hypothesis in HYPOTHESES if hypothesis not in run]
    entries.sort(key=lambda entry: HYPOTHESES.index(entry.hypothesis))  # stable: conditions stay in their order
    return Ledger(
        tuple(entries),
        {question: tuple(found) for question, found in answers.items()},
        tuple(record for record in found if record.status != COMPLETED and _settings(record)),
    )


Runs = Mapping[tuple[Conditions, str], Mapping[str, Mapping[int, Run]]]
"""Runs by conditions and claiming study, then by model and seed."""


def _runs(records: Sequence[RunRecord], probes: Iterable[ProbeRecord]) -> Runs:
    of_weights: dict[tuple[str, int, str], list[ProbeRecord]] = {}
    for probe in probes:
        of_weights.setdefault((probe.model, probe.seed, probe.weights_sha256), []).append(probe)
    runs: dict[tuple[Conditions, str], dict[str, dict[int, Run]]] = {}
    for record in records:
        if record.status != COMPLETED:
            continue
        found = of_weights.get((record.model, record.seed, record.weights_sha256 or ""), [])
        for study, setting in _settings(record):
            rows = runs.setdefault((_conditions(record, setting), study), {})
            rows.setdefault(record.model, {})[record.seed] = Run(record, tuple(found))
    return runs


def _settings(record: RunRecord) -> list[tuple[str, str]]:
    """The claiming studies, each with its setting, that a record is a source of."""
    return [
        (study, setting)
        for study, settings in SETTINGS.items()
        for setting, sources in settings.items()
        if (record.study, record.variant) in sources
    ]


def _conditions(record: RunRecord, setting: str) -> Conditions:
    mistakes = STUDIES[record.study].mistakes
    return Conditions(
        setting=setting,
        dataset=record.dataset,
        profile=record.profile,
        device_name=str(record.environment["device_name"]),
        threads=int(record.environment["threads"]),
        seeds_together=record.seeds_together,
        mistakes=any(record.protocol.get(name) == value for name, value in mistakes.items()),
    )


def _entries(runs: Runs, conditions: Conditions) -> Iterator[Entry]:
    """The claims of which anything was run under these conditions, judged together."""
    asked = [(hypothesis, part) for hypothesis in HYPOTHESES for part in hypothesis.parts]
    judged = _judged(runs, conditions, [(hypothesis.study, part) for hypothesis, part in asked])
    parts: dict[Hypothesis, list[PartEntry]] = {}
    for (hypothesis, _), entry in zip(asked, judged, strict=True):
        parts.setdefault(hypothesis, []).append(entry)
    for hypothesis, of_claim in parts.items():
        if any(part.ruling is not Ruling.NOT_RUN for part in of_claim):
            yield Entry(hypothesis, conditions, tuple(of_claim), _sources(runs, conditions, hypothesis))


def _judged(runs: Runs, conditions: Conditions, asked: Sequence[tuple[str, Part]]) -> list[PartEntry]:
    rows = [runs.get((conditions, study), {}) for study, _ in asked]
    verdicts = judge(_comparison(of_study, part) for of_study, (_, part) in zip(rows, asked, strict=True))
    return [
        PartEntry(part, verdict, tuple(row for row in (part.a, part.b) if _guesses(of_study.get(row, {}))))
        for of_study, (_, part), verdict in zip(rows, asked, verdicts, strict=True)
    ]


def _comparison(rows: Mapping[str, Mapping[int, Run]], part: Part) -> Comparison:
    return compare(part.a, part.b, part.quantity, rows.get(part.a, {}), rows.get(part.b, {}))


def _guesses(row: Mapping[int, Run]) -> bool:
    """Whether no run's loss is below what naming every class evenly costs, by as much as matters."""
    return bool(row) and all(
        (run.record.best_valid_loss or 0) > log(run.record.classes) - LOSS.margin for run in row.values()
    )


def _sources(runs: Runs, conditions: Conditions, hypothesis: Hypothesis) -> tuple[str, ...]:
    rows = runs[conditions, hypothesis.study]
    models = dict.fromkeys(model for part in hypothesis.parts for model in (part.a, part.b))
    used = [run.record.study for model in models for run in rows.get(model, {}).values()]
    return tuple(dict.fromkeys(used))
