"""Claims as hypotheses that runs can decide: what each compares, and which runs are evidence for it.

A claim of several comparisons is a conjunction: it holds if every one does, each tested at 5% (intersection-union
test, Berger 1982). ``sha256`` is over everything a claim declares; records hold it, so that a claim that was
changed after its runs is known. ``bench.analysis.claim_files`` reads claims from files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from bench.analysis.quantities import Quantity

OVER = " over "
"""Between the names of two models whose difference is compared."""

TIMES = "costs in turn"
"""The setting of claims about costs alone, whose runs are those of ``times``."""


class Relation(StrEnum):
    """What a part claims of A."""

    BETTER = "is better than"
    SAME = "is as good as"
    NOT_WORSE = "is not worse than"


Source = tuple[str, str]
"""A study and a variant of its protocol; BEST for the best variant of each model and seed."""

BEST = "*"
"""In place of a variant: for each model and seed, the one with the lowest validation loss of all that were run."""


def is_of(source: Source, declared: Source) -> bool:
    """Whether runs under a protocol of a study are of a declared source."""
    return source[0] == declared[0] and declared[1] in (BEST, source[1])


@dataclass(frozen=True)
class Manipulation:
    """What a corruption must do to the compared models, together, before it can decide anything.

    Attributes:
        corruption: Its name.
        levels: At which accuracy is taken.
        least_drop: The accuracy that is lost at least.
        above_chance: By how much it stays above that of chance at least.
    """

    corruption: str
    levels: tuple[float, ...]
    least_drop: float
    above_chance: float


@dataclass(frozen=True)
class Part:
    """One comparison of two models, and its claimed result.

    Attributes:
        a: Name of a model, or of two, "A over B", whose difference counts; ``b`` likewise.
        relation: What is claimed of A relative to B.
        quantity: What they are compared in.
        manipulation: What must be seen before it counts; None for what nothing is done to.
    """

    a: str
    relation: Relation
    b: str
    quantity: Quantity
    manipulation: Manipulation | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the models, each with its variant where it has one here."""
        return tuple(model for side in (self.a, self.b) for model in side.split(OVER))


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes:
        name: The study, and the claim's number or name.
        text: Its words.
        parts: What it compares; all must hold.
        looks: Numbers of seeds after which runs are looked at, increasing.
        settings: By protocol, the sources of runs under it, in the order of their weight: verdicts are counted
            under the first that was run. It is TIMES for claims about costs alone, else the published one.
        reading: How its words became these parts, where that was a choice.
        sha256: Of everything that is declared, 12 hexadecimal digits.
        quoted: Whether it is a claim of a published text.
    """

    name: str
    text: str
    parts: tuple[Part, ...]
    looks: tuple[int, ...]
    settings: Mapping[str, tuple[Source, ...]] = field(hash=False)
    reading: str = ""
    sha256: str = ""
    quoted: bool = False

    @cached_property
    def models(self) -> frozenset[str]:
        """The names of what it compares."""
        return frozenset(model for part in self.parts for model in part.models)

    def names_of(self, source: Source, model: str) -> frozenset[str]:
        """The names by which it compares a model under a protocol of a study: with the variant, or without."""
        return self.models & {model, f"{source[1]}:{model}"}

    def needs(self, source: Source, model: str) -> bool:
        """Whether runs of a model under a protocol of a study are evidence for it."""
        declared = (of_setting for sources in self.settings.values() for of_setting in sources)
        return bool(self.names_of(source, model)) and any(is_of(source, of_setting) for of_setting in declared)


@dataclass(frozen=True)
class Question:
    """A question to which claims give different answers.

    Attributes:
        question: In words.
        claims: Names of claims.
        parts: The same comparison in several studies, each with the name of a claim whose settings it is made
            under.
        file: The stem of the file that asks it, as in the names of claims.
    """

    question: str
    claims: tuple[str, ...]
    parts: tuple[tuple[str, Part], ...]
    file: str


@dataclass(frozen=True)
class Claims:
    """Everything that files declare.

    Attributes:
        claims: File by file.
        questions: Likewise.
        studies: The studies that ``--study claims`` runs for them.
    """

    claims: tuple[Claim, ...]
    questions: tuple[Question, ...] = ()
    studies: tuple[str, ...] = ()

    def hashes(self, source: Source, model: str) -> dict[str, str]:
        """By name, the hashes of the claims that runs of a model under a protocol of a study are evidence for."""
        return {claim.name: claim.sha256 for claim in self.claims if claim.needs(source, model)}
