"""The ledger: what runs say of every published claim, on which data and under which conditions.

Runs under different conditions (data, profile, device, threads, protocol) are never compared with each other; each
has verdicts of its own, and Holm's adjustment is over all comparisons under the same conditions.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import pandas as pd

from bench.config import FULL, PROFILES
from bench.evidence.claims import (
    CONTRADICTIONS,
    HYPOTHESES,
    SETTINGS,
    Contradiction,
    Hypothesis,
    Part,
    Relation,
)
from bench.evidence.quantities import Run
from bench.evidence.statistics import ALPHA, FEWEST_SEEDS
from bench.evidence.verdicts import Comparison, Outcome, Verdict, compare, judge, seeds_text
from bench.probes.records import ProbeRecord
from bench.records import COMPLETED, RunRecord
from bench.studies import STUDIES
from bench.tables import TextTable
from data_utils import DATASETS

Link = Callable[[str], str]
"""The name of a study -> where its records are, as a link of the page."""


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
        mistakes: whether the original's mistakes were left in.
    """

    setting: str
    dataset: str
    profile: str
    device_name: str
    threads: int
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
        """Device and threads, in words."""
        return f"{self.device_name}, {self.threads} thread{'' if self.threads == 1 else 's'}"

    @property
    def order(self) -> tuple[object, ...]:
        """Settings as declared, whole profiles first, simulated data in the order of their names' declaration."""
        known = list(DATASETS)
        return (
            self.setting != "as published",
            -list(PROFILES).index(self.profile),
            known.index(self.dataset) if self.dataset in known else len(known),
            self.dataset,
            self.device,
            self.mistakes,
        )


@dataclass(frozen=True)
class PartEntry:
    """What one comparison of a claim came to."""

    part: Part
    verdict: Verdict

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
        """The ruling, with what is missing where it is undecided."""
        if self.ruling is not Ruling.UNDECIDED:
            return self.ruling.value
        missing = sum(part.ruling is Ruling.NOT_RUN for part in self.parts)
        more = max((part.verdict.more_seeds for part in self.parts if part.ruling is Ruling.UNDECIDED), default=0)
        words = [f"{missing} of {len(self.parts)} comparisons not run"] if missing else []
        words += [f"{seeds_text(more)} would be needed"] if more else []
        return f"{self.ruling}: {'; '.join(words)}"

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
    return verdict.more_seeds, by_relation[entry.part.relation]


@dataclass(frozen=True)
class Ledger:
    """Everything that runs say of the claims.

    Attributes:
        entries: claim by claim; one of the claim's own with no conditions where nothing of it was run.
        answers: what the comparisons of each contradiction came to, with the conditions.
        unfinished: the cells that were begun and not completed.
    """

    entries: tuple[Entry, ...]
    answers: tuple[tuple[Contradiction, Conditions, PartEntry], ...]
    unfinished: tuple[RunRecord, ...]


def ledger(records: Iterable[RunRecord], probes: Iterable[ProbeRecord] = ()) -> Ledger:
    """The ledger of these runs.

    Args:
        records: of any studies; those that no claim asks for are left aside. The last one of a cell counts.
        probes: what was found in the weights of these runs.
    """
    found = list(records)
    runs = _runs(found, probes)
    entries, answers = [], []
    for conditions in sorted({conditions for conditions, _ in runs}, key=lambda each: each.order):
        asked = [(hypothesis, hypothesis.study, part) for hypothesis in HYPOTHESES for part in hypothesis.parts]
        judged = _judged(runs, conditions, [(study, part) for _, study, part in asked])
        parts: dict[Hypothesis, list[PartEntry]] = {}
        for (hypothesis, _, _), entry in zip(asked, judged, strict=True):
            parts.setdefault(hypothesis, []).append(entry)
        for hypothesis, of_claim in parts.items():
            if any(part.ruling is not Ruling.NOT_RUN for part in of_claim):
                sources = _sources(runs, conditions, hypothesis)
                entries.append(Entry(hypothesis, conditions, tuple(of_claim), sources))
        questions = [(question, *each) for question in CONTRADICTIONS for each in question.parts]
        judged = _judged(runs, conditions, [(study, part) for _, study, part in questions])
        answers += [
            (question, conditions, entry)
            for (question, _, _), entry in zip(questions, judged, strict=True)
            if entry.ruling is not Ruling.NOT_RUN
        ]
    run = {entry.hypothesis for entry in entries}
    entries += [Entry(hypothesis, None, (), ()) for hypothesis in HYPOTHESES if hypothesis not in run]
    entries.sort(key=lambda entry: HYPOTHESES.index(entry.hypothesis))  # stable: conditions stay in their order
    return Ledger(
        tuple(entries),
        tuple(answers),
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
        mistakes=any(record.protocol.get(name) == value for name, value in mistakes.items()),
    )


def _judged(runs: Runs, conditions: Conditions, asked: Sequence[tuple[str, Part]]) -> list[PartEntry]:
    verdicts = judge(_comparison(runs.get((conditions, study), {}), part) for study, part in asked)
    return [PartEntry(part, verdict) for (_, part), verdict in zip(asked, verdicts, strict=True)]


def _comparison(rows: Mapping[str, Mapping[int, Run]], part: Part) -> Comparison:
    return compare(part.a, part.b, part.quantity, rows.get(part.a, {}), rows.get(part.b, {}))


def _sources(runs: Runs, conditions: Conditions, hypothesis: Hypothesis) -> tuple[str, ...]:
    rows = runs[conditions, hypothesis.study]
    models = dict.fromkeys(model for part in hypothesis.parts for model in (part.a, part.b))
    used = [run.record.study for model in models for run in rows.get(model, {}).values()]
    return tuple(dict.fromkeys(used))


def claims_table(found: Ledger, link: Link) -> TextTable:
    """A line a claim and set of conditions."""
    return TextTable(
        name="claims",
        title="Published claims",
        header=["claim", "published as", "data", "protocol", "device", "n", "decisive comparison", "verdict", "runs"],
        labels=9,
        rows=[_claim_row(entry, link) for entry in found.entries],
        notes=[
            "n: seeds of the decisive comparison: the one that fails, or else the least sure one",
            "verdict: a claim of several comparisons holds if all of them do; of all claims under the same "
            f"conditions, at most {ALPHA:.0%} of such ledgers call a difference where there is none",
        ],
        conditions=[],
        data=pd.DataFrame([_claim_data(entry) for entry in found.entries]),
    )


def _claim_row(entry: Entry, link: Link) -> list[str]:
    conditions, decisive = entry.conditions, entry.decisive
    shown = ["-"] * 5
    if conditions is not None and decisive is not None:
        comparison = decisive.verdict.comparison
        effect = f"{_against(comparison)}: {decisive.verdict.effect_text}"
        shown = [conditions.dataset, conditions.protocol, conditions.device, str(comparison.n), effect]
    return [
        entry.hypothesis.text,
        entry.hypothesis.name,
        *shown,
        entry.words,
        ", ".join(f"[{source}]({link(source)})" for source in entry.sources) or "-",
    ]


def _against(comparison: Comparison) -> str:
    sign = "/" if comparison.quantity.ratio else "-"
    return f"{comparison.quantity.name}, {comparison.a} {sign} {comparison.b}"


def _claim_data(entry: Entry) -> dict[str, object]:
    return {
        "claim": entry.hypothesis.name,
        "text": entry.hypothesis.text,
        **_conditions_data(entry.conditions),
        "ruling": entry.ruling.value,
        "verdict": entry.words,
        "comparisons": len(entry.parts),
        "held": sum(part.ruling is Ruling.HOLDS for part in entry.parts),
        "failed": sum(part.ruling is Ruling.FAILS for part in entry.parts),
        "seeds": min((part.verdict.comparison.n for part in entry.parts), default=0),
    }


def _conditions_data(conditions: Conditions | None) -> dict[str, object]:
    if conditions is None:
        return {"dataset": "", "setting": "", "profile": "", "device": "", "mistakes": False}
    return {
        "dataset": conditions.dataset,
        "setting": conditions.setting,
        "profile": conditions.profile,
        "device": conditions.device,
        "mistakes": conditions.mistakes,
    }


def parts_table(found: Ledger, conditions: Conditions) -> TextTable:
    """Every comparison of every claim that was run under these conditions."""
    shown = [
        (entry.hypothesis.name, part)
        for entry in found.entries
        if entry.conditions == conditions
        for part in entry.parts
    ]
    return _comparisons_table(
        "claims-parts", f"{conditions.dataset}, {conditions.protocol}, {conditions.device}", "claim", shown
    )


def answers_table(found: Ledger, question: Contradiction) -> TextTable | None:
    """The comparisons that answer a contradiction, side by side; None if none of them was run."""
    shown = [
        (f"{conditions.dataset}, {conditions.protocol}", part)
        for asked, conditions, part in found.answers
        if asked == question
    ]
    return _comparisons_table("claims-answers", "Compared", "data, protocol", shown) if shown else None


def _comparisons_table(name: str, title: str, first: str, shown: list[tuple[str, PartEntry]]) -> TextTable:
    return TextTable(
        name=name,
        title=title,
        header=[first, "A", "A is said to be", "B", "metric", "n", "A - B or A / B (95%)", "verdict", "as said?"],
        labels=5,
        rows=[
            [
                label,
                part.part.a,
                f"{part.part.relation.value.removeprefix('is ')}",
                part.part.b,
                part.part.quantity.name,
                str(part.verdict.comparison.n),
                part.verdict.effect_text,
                part.verdict.words if part.verdict.comparison.n else "-",
                part.ruling.value,
            ]
            for label, part in shown
        ],
        notes=[],
        conditions=[],
        data=pd.DataFrame(
            {
                "of": label,
                "a": part.part.a,
                "relation": part.part.relation.value,
                "b": part.part.b,
                "metric": part.part.quantity.name,
                "margin": part.part.quantity.margin,
                "seeds": part.verdict.comparison.n,
                "effect": part.verdict.effect.mean,
                "low": part.verdict.effect.low,
                "high": part.verdict.effect.high,
                "outcome": part.verdict.outcome.value,
                "ruling": part.ruling.value,
            }
            for label, part in shown
        ),
    )


def page(found: Ledger, link: Link) -> str:
    """The ledger as a page of Markdown.

    Args:
        found: what it shows.
        link: where the records of a study are, seen from the page.
    """
    blocks = [
        "# The published claims, and what runs say of them",
        "Made from records by `python -m bench`; do not edit. docs/evidence.md says how verdicts are reached. "
        "`bench/evidence/claims.py` declares what each claim compares.",
        claims_table(found, link).markdown(),
        "## Limits",
        "\n".join(f"- {limit}" for limit in _limits(found)),
        "## Contradictions between the notebooks",
        *(block for question in CONTRADICTIONS for block in _contradiction(found, question)),
        "## How the claims were read",
        "\n".join(
            f"- **{hypothesis.name}**: {hypothesis.reading}." for hypothesis in HYPOTHESES if hypothesis.reading
        ),
        "The smallest differences that matter:",
        "\n".join(f"- {line}" for line in _margins()),
        "## Every comparison",
        *(parts_table(found, conditions).markdown() for conditions in _all_conditions(found)),
    ]
    return "\n\n".join(block.rstrip("\n") for block in blocks) + "\n"


def _contradiction(found: Ledger, question: Contradiction) -> list[str]:
    claims = [
        f"- {entry.hypothesis.name}: “{entry.hypothesis.text}”. "
        + (f"On {entry.conditions.dataset} ({entry.conditions.protocol}): " if entry.conditions else "")
        + f"**{entry.words}**"
        for entry in found.entries
        if entry.hypothesis.name in question.claims
    ]
    table = answers_table(found, question)
    return [f"### {question.question}", "\n".join(claims), table.markdown() if table else "Nothing was run."]


def _all_conditions(found: Ledger) -> list[Conditions]:
    used = dict.fromkeys(entry.conditions for entry in found.entries if entry.conditions is not None)
    return sorted(used, key=lambda conditions: conditions.order)


def _margins() -> list[str]:
    quantities = dict.fromkeys(part.quantity for hypothesis in HYPOTHESES for part in hypothesis.parts)
    return [f"{quantity.name}: {quantity.margin_text}. {quantity.reason}" for quantity in quantities]


def _limits(found: Ledger) -> list[str]:
    conditions = _all_conditions(found)
    datasets = dict.fromkeys(each.dataset for each in conditions)
    simulated = [dataset for dataset in datasets if dataset in DATASETS]
    real = [dataset for dataset in datasets if dataset not in DATASETS]
    not_run = [entry.hypothesis.name for entry in found.entries if entry.ruling is Ruling.NOT_RUN]
    limits = []
    if simulated:
        limits.append(f"{', '.join(simulated)}: simulated. What holds there holds for cubes and spheres.")
    if real:
        limits.append(f"{', '.join(real)}: read from files of the one who ran it.")
    if any(each.profile != FULL.name for each in conditions):
        limits.append("Where the protocol says that it was cut short, losses and accuracies are not the claim's.")
    if not_run:
        limits.append(f"Not run at all: {', '.join(not_run)}.")
    if found.unfinished:
        cells = dict.fromkeys(f"{each.model} (seed {each.seed}, {each.status})" for each in found.unfinished)
        limits.append(f"Begun but not completed, and therefore left out: {', '.join(cells)}.")
    return [
        *limits,
        f"Fewer than {FEWEST_SEEDS} seeds decide nothing but what does not depend on the seed (parameters, memory).",
        "Ratios of times are within one device and number of threads, but records do not say what else the machine "
        "did; memory on a CPU is counted otherwise than on CUDA.",
        "wide-late-concat and wide-intermediate-concat are one function, so their comparisons repeat each other.",
    ]
