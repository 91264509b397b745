"""The result of a claim, and of each of its comparisons, under one set of conditions.

A comparison is decided at the first of its claim's looks that settles it, and stays decided.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from math import isnan
from statistics import fmean

from bench.analysis.claims import BEST, OVER, Claim, Manipulation, Part, Relation
from bench.analysis.formats import counted
from bench.analysis.pairing import Pairing, over, pair
from bench.analysis.quantities import Quantity, Run, accuracy_under, chance_accuracy, count_learned
from bench.analysis.verdicts import Outcome, Verdict, untested
from bench.config import FULL
from bench.records import Conditions


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


def pair_sides(part: Part, models: Models) -> Pairing:
    """The two sides of a comparison over the seeds that all its models were run with."""
    sides = [side.split(OVER) for side in (part.a, part.b)]

    def pair_of(a: str, b: str) -> Pairing:
        return pair(a, b, part.quantity, models.get(a, {}), models.get(b, {}))

    if len(sides[0]) == len(sides[1]) == 1:
        return pair_of(part.a, part.b)
    one, other = (pair_of(*side) for side in sides)
    return over(one, other, pair_of(sides[0][0], sides[1][0]).seeds)


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
        return _failure(self.part.manipulation, self._runs(counted=True)) if self.part.manipulation else ""

    @property
    def seen(self) -> list[Run]:
        """The runs that the verdict is over."""
        return self._runs()

    def _runs(self, *, counted: bool = False) -> list[Run]:
        pairing = self.verdict.pairing
        seeds = pairing.counted_seeds if counted else pairing.seeds
        return [self.runs[model][seed] for model in self.part.models for seed in seeds]

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
        pairing, words = self.verdict.pairing, []
        if not pairing.exact and not pairing.metric.per_machine:  # costs do not depend on it
            silent = [m for m, (k, n) in zip(self.part.models, self.learned, strict=True) if n and not k]
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
        return untested(pair_sides(replace(self.part, quantity=quantity), runs))


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
        hours: Of training that went into the records used and those they were chosen from: core-hours on a CPU,
            otherwise hours of the device; None where records do not tell.
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
        seeds = counted(n, "seed")
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
