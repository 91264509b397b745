"""The published claims as hypotheses that runs can decide.

Every entry of ``claims`` in ``results/published/*.json`` has one hypothesis here, and every hypothesis has such an
entry. A claim of several parts is a conjunction: it holds if every part holds. To add a claim, publish it there
and declare here what it compares.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from bench.analysis.published import read_published
from bench.analysis.quantities import (
    ACCURACY,
    ALL_ACCURACY,
    EPOCH_TIME,
    LOSS,
    MEAN_LOSS,
    MEMORY,
    PARAMETERS,
    SHIFT_CONSISTENCY,
    SHIFT_SIMILARITY,
    ZERO_GRADIENTS,
    Quantity,
    corrupted,
)


class Relation(StrEnum):
    """What a part claims of A."""

    BETTER = "is better than"
    SAME = "is as good as"
    NOT_WORSE = "is not worse than"


@dataclass(frozen=True)
class Part:
    """One comparison of two models, and its claimed result.

    Attributes:
        a: Name of a model; ``b`` likewise.
        relation: What is claimed of A relative to B.
        quantity: What they are compared in.
    """

    a: str
    relation: Relation
    b: str
    quantity: Quantity


Source = tuple[str, str]
"""A study and a variant of its protocol."""

AS_PUBLISHED = "as published"

_STANDARD: Mapping[str, tuple[Source, ...]] = {"standard protocol": (("standard", ""),)}
_WIDE_SETTINGS: Mapping[str, tuple[Source, ...]] = {"robustness protocol": (("robustness", ""),), **_STANDARD}
_COMPACT_SETTINGS: Mapping[str, tuple[Source, ...]] = {
    AS_PUBLISHED: (("fusion-compact", ""), ("downsampling-compact", ""), ("input-scaling", "raw")),
    "inputs normalized": (("input-scaling", "normalized"),),
    **_STANDARD,
}

SETTINGS: Mapping[str, Mapping[str, tuple[Source, ...]]] = MappingProxyType(
    {
        "downsampling-wide": {AS_PUBLISHED: (("downsampling-wide", ""),), **_WIDE_SETTINGS},
        "downsampling-deep": {AS_PUBLISHED: (("downsampling-deep", ""),), **_STANDARD},
        "fusion-experts": {AS_PUBLISHED: (("fusion-experts", ""),), **_STANDARD},
        "fusion-wide": {AS_PUBLISHED: (("fusion-wide", ""),), **_WIDE_SETTINGS},
        "fusion-compact": _COMPACT_SETTINGS,
        "downsampling-compact": _COMPACT_SETTINGS,
    }
)
"""By published study: the protocols its claims are tested under, each with the sources of runs under it.

The published protocol comes first; the others are our own.
"""

STUDIES_NEEDED = (*SETTINGS, "robustness")
"""The studies whose runs decide the claims: the published ones, and one that probes its trained models."""


@dataclass(frozen=True)
class Hypothesis:
    """One published claim.

    Attributes:
        study: The study whose ``results/published/<study>.json`` has it.
        number: Which of its claims, counted from 1.
        parts: What it compares; all must hold.
        reading: How its words became these parts, where that was a choice.
    """

    study: str
    number: int
    parts: tuple[Part, ...]
    reading: str = ""

    @property
    def name(self) -> str:
        """Its name in tables: the study and the number."""
        return f"{self.study}/{self.number}"

    @property
    def text(self) -> str:
        """Its words, as published."""
        return str(read_published(self.study)["claims"][self.number - 1])


@dataclass(frozen=True)
class Contradiction:
    """A question to which the notebooks give different answers.

    Attributes:
        question: In words.
        claims: Names of hypotheses.
        parts: The same comparison in each family, with the study under whose protocol it is made.
    """

    question: str
    claims: tuple[str, ...]
    parts: tuple[tuple[str, Part], ...]


def _better(quantity: Quantity, winner: str, *losers: str) -> tuple[Part, ...]:
    return tuple(Part(winner, Relation.BETTER, loser, quantity) for loser in losers)


def _worse(quantity: Quantity, loser: str, *winners: str) -> tuple[Part, ...]:
    return tuple(Part(winner, Relation.BETTER, loser, quantity) for winner in winners)


def _paired(relation: Relation, quantity: Quantity, better: str, worse: str, *strategies: str) -> tuple[Part, ...]:
    return tuple(
        Part(f"{strategy}-{better}", relation, f"{strategy}-{worse}", quantity) for strategy in strategies
    )


def _maxpool_better(quantity: Quantity, *strategies: str) -> tuple[Part, ...]:
    return _paired(Relation.BETTER, quantity, "maxpool", "strided", *strategies)


def _strided_faster(*strategies: str) -> tuple[Part, ...]:
    return _paired(Relation.BETTER, EPOCH_TIME, "strided", "maxpool", *strategies)


def _by_operator(family: str, *operators: str) -> dict[str, str]:
    """The models that fuse in the middle, by operator."""
    return {operator: f"{family}-intermediate-{operator}-maxpool" for operator in operators}


_WIDE_STRATEGIES = ("wide-early-concat", "wide-intermediate-concat", "wide-late-concat")
_EARLY_AND_LATE = ("wide-early-concat", "wide-late-concat")
_COMPACT_STRATEGIES = (
    "compact-late-concat",
    "compact-intermediate-concat",
    "compact-intermediate-add",
    "compact-intermediate-hadamard",
)
_DEEP = "deep-intermediate-concat"
_EARLY, _LATE = "wide-early-concat-maxpool", "wide-late-concat-maxpool"
_WIDE = _by_operator("wide", "concat", "matmul", "hadamard", "add")
_EXPERTS = _by_operator("experts", "concat", "add", "hadamard")
_COMPACT = _by_operator("compact", "concat", "add", "hadamard")
_COMPACT_LATE = "compact-late-concat-maxpool"
_HALF = PARAMETERS.with_margin(0.9, "1.97 times as many are called double, so 1.9 times is enough")


def _others(winner: str) -> tuple[str, ...]:
    return tuple(model for model in (_EARLY, *_WIDE.values(), _LATE) if model != winner)


HYPOTHESES = (
    Hypothesis("downsampling-wide", 1, _maxpool_better(LOSS, *_WIDE_STRATEGIES)),
    Hypothesis("downsampling-wide", 2, _strided_faster(*_WIDE_STRATEGIES)),
    Hypothesis("downsampling-wide", 3, _paired(Relation.SAME, ACCURACY, "maxpool", "strided", *_WIDE_STRATEGIES)),
    Hypothesis(
        "downsampling-wide",
        4,
        _maxpool_better(ZERO_GRADIENTS, *_EARLY_AND_LATE),
        "sparser: more exact zeros in the gradients of the convolutions' outputs, in early and in late fusion "
        "(intermediate concat is the same function as late)",
    ),
    Hypothesis(
        "downsampling-wide",
        5,
        _maxpool_better(SHIFT_CONSISTENCY, *_EARLY_AND_LATE) + _maxpool_better(SHIFT_SIMILARITY, *_EARLY_AND_LATE),
        "invariant: the same class under two random shifts; stable: features like those without the shift",
    ),
    Hypothesis("downsampling-deep", 1, _maxpool_better(LOSS, _DEEP) + _maxpool_better(ALL_ACCURACY, _DEEP)),
    Hypothesis("downsampling-deep", 2, _strided_faster(_DEEP)),
    Hypothesis(
        "fusion-experts",
        1,
        _worse(PARAMETERS, _EXPERTS["concat"], _EXPERTS["add"], _EXPERTS["hadamard"])
        + _worse(EPOCH_TIME, _EXPERTS["concat"], _EXPERTS["add"], _EXPERTS["hadamard"]),
        "fewer parameters and less time are better",
    ),
    Hypothesis("fusion-experts", 2, _worse(LOSS, "experts-late-logits-maxpool", *_EXPERTS.values())),
    Hypothesis(
        "fusion-wide",
        1,
        _better(LOSS, _WIDE["add"], *_others(_WIDE["add"]))
        + _better(MEAN_LOSS, _WIDE["hadamard"], *_others(_WIDE["hadamard"])),
        "mean loss: over the epochs",
    ),
    Hypothesis(
        "fusion-wide",
        2,
        tuple(
            Part(_WIDE[operator], relation, larger, quantity)
            for operator in ("add", "hadamard")
            for larger in (_WIDE["concat"], _LATE)
            for relation, quantity in ((Relation.BETTER, _HALF), (Relation.NOT_WORSE, LOSS))
        ),
        "balance: concat and late have twice the parameters, and no lower loss; more than that is not tested",
    ),
    Hypothesis(
        "fusion-wide",
        3,
        _better(EPOCH_TIME, _EARLY, *_others(_EARLY)) + _better(MEMORY, _EARLY, *_others(_EARLY)),
        "memory: of one model's training step; the published values are of all six models together",
    ),
    Hypothesis(
        "fusion-wide",
        4,
        tuple(
            Part(_LATE, Relation.BETTER, _EARLY, corrupted(name))
            for name in ("range-noise", "rgb-noise", "lidar-shift", "lidar-rotation")
        ),
        "sensitive: loses more accuracy than late fusion (which is the same function as intermediate concat here)",
    ),
    Hypothesis(
        "fusion-wide",
        5,
        tuple(
            Part(_LATE, Relation.BETTER, _EARLY, corrupted(name)) for name in ("no-rgb-zeros", "no-lidar-zeros")
        ),
        "robust: loses less accuracy than early fusion when either modality is all zeros",
    ),
    Hypothesis(
        "fusion-compact",
        1,
        (
            *_better(LOSS, _COMPACT["concat"], _COMPACT["add"], _COMPACT["hadamard"]),
            Part(_COMPACT_LATE, Relation.SAME, _COMPACT["concat"], LOSS),
            *_better(PARAMETERS.with_margin(0.5, "the claim says 50% more"), _COMPACT["concat"], _COMPACT_LATE),
        ),
        "best: lower loss than add and Hadamard; close: within the smallest difference that matters",
    ),
    Hypothesis(
        "fusion-compact",
        2,
        _worse(LOSS, _COMPACT["add"], _COMPACT_LATE, _COMPACT["concat"], _COMPACT["hadamard"]),
    ),
    Hypothesis(
        "downsampling-compact",
        1,
        _maxpool_better(LOSS, *_COMPACT_STRATEGIES) + _strided_faster(*_COMPACT_STRATEGIES),
    ),
)
"""All claims, study by study."""


def _per_family(better: str, worse: str) -> tuple[tuple[str, Part], ...]:
    """The losses of two operators, in every family whose notebook compares them."""
    families = {"fusion-wide": _WIDE, "fusion-compact": _COMPACT, "fusion-experts": _EXPERTS}
    return tuple(
        (study, Part(models[better], Relation.BETTER, models[worse], LOSS)) for study, models in families.items()
    )


CONTRADICTIONS = (
    Contradiction(
        "Is addition the best operator, or the worst?",
        ("fusion-wide/1", "fusion-compact/2"),
        _per_family("add", "concat"),
    ),
    Contradiction(
        "Do strided convolutions cost accuracy?",
        ("downsampling-wide/3", "downsampling-deep/1"),
        tuple(
            (study, part)
            for study in ("downsampling-wide", "downsampling-deep", "downsampling-compact")
            for part in _maxpool_better(ACCURACY, f"{study.removeprefix('downsampling-')}-intermediate-concat")
        ),
    ),
    Contradiction(
        "Is late fusion as good as intermediate fusion?",
        ("fusion-compact/1", "fusion-experts/2"),
        (
            ("fusion-wide", Part(_LATE, Relation.SAME, _WIDE["concat"], LOSS)),
            ("fusion-compact", Part(_COMPACT_LATE, Relation.SAME, _COMPACT["concat"], LOSS)),
            ("fusion-experts", Part("experts-late-logits-maxpool", Relation.SAME, _EXPERTS["concat"], LOSS)),
        ),
    ),
    Contradiction(
        "Does concatenation pay for its parameters?",
        ("fusion-compact/1", "fusion-wide/2"),
        _per_family("concat", "hadamard"),
    ),
)
"""Where two published claims cannot both be a rule."""
