"""The studies: which rows are trained under which protocol to answer which question.

``standard`` is what ``pytest bench`` runs. Six more rerun the published tables (``results/published/``), each
under the protocol it was obtained with; ``input-scaling`` and ``robustness`` are our own. A study is data: to add
one, add an entry.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from bench.config import STANDARD, Protocol
from bench.probes import PROBES
from fusion_models import MODELS


@dataclass(frozen=True)
class Study:
    """The rows and protocol that answer one question.

    Attributes:
        name: as in ``--study``, test ids and records.
        question: what its table answers.
        models: names of the rows, in the order of the table.
        protocols: the protocol, by the name of the variant; a single one has the name "".
        dataset: a name of ``data_utils.DATASETS``; ``--dataset`` overrides it.
        published: whether ``results/published/<name>.json`` holds the original's numbers.
        deviations: where the protocol departs from the published one, a sentence each; data aside.
        mistakes: settings of the published protocol that are corrected in ``protocols``.
        probes: what its trained models are put through, names of ``bench.probes.PROBES``.
    """

    name: str
    question: str
    models: tuple[str, ...]
    protocols: Mapping[str, Protocol]
    dataset: str = "shapes"
    published: bool = False
    deviations: tuple[str, ...] = ()
    mistakes: Mapping[str, Any] = field(default_factory=dict)
    probes: tuple[str, ...] = ()

    def published_protocol(self, variant: str) -> Protocol:
        """A protocol with the mistakes of the original in it."""
        return replace(self.protocols[variant], **self.mistakes)

    def __post_init__(self) -> None:
        unknown = [name for name in self.models if name not in MODELS]
        if unknown or not self.models or not self.protocols:
            raise ValueError(f"study {self.name!r} needs protocols and known models; unknown: {unknown}")
        if not set(self.probes) <= set(PROBES):
            raise ValueError(f"study {self.name!r} asks for the probes {self.probes}; there are {PROBES}")


# A cube and its twin sphere, of the same place and color, could stand one in training and one in validation.
_SPLIT_TWINS = {"keep_groups": False}
# Loaders dropped the last batch in validation too, so some pairs were never looked at.
_DROPPED_VALIDATION = {"valid_whole_batches": True}

_TWINS = (
    "Twins (the cube and the sphere of one place and color) stay on one side of the split; "
    "in the original they could be separated."
)
_WHOLE_VALIDATION = "Metrics cover every validation pair; the original left out those behind the last whole batch."
_MEMORY = (
    "Memory is the peak of one model's training step; the original's figure is another quantity (see source)."
)
_OWN_SPLIT = "The split is drawn by our seed stream; the original's permutation is not reproducible elsewhere."

_WIDE = Protocol(
    pairs=10_674,  # 320 for validation and 85% of the other 12,180 for training; the rest was a test set
    valid_fraction=320 / 10_674,
    epochs=15,
    batch_size=32,
    drop_last=True,
    learning_rate=1e-4,
    schedule="constant",
    final_learning_rate=1e-4,
    normalized=("rgb",),
)

_DEEP = Protocol(
    pairs=1074,
    valid_fraction=179 / 1074,
    epochs=50,
    batch_size=32,
    drop_last=False,
    learning_rate=1e-3,
    schedule="cosine-epoch",
    final_learning_rate=1e-6,
    normalized=(),
)

_EXPERTS = Protocol(
    pairs=1076,
    valid_fraction=179 / 1076,
    epochs=2,
    batch_size=32,
    drop_last=False,
    learning_rate=1e-4,
    schedule="constant",
    final_learning_rate=1e-4,
    normalized=(),
)

_COMPACT = Protocol(
    pairs=2000,
    valid_fraction=0.2,
    epochs=20,
    batch_size=32,
    drop_last=True,
    learning_rate=1e-3,
    schedule="cosine-step",
    final_learning_rate=1e-6,
    normalized=(),
)

_COMPACT_STRATEGIES = (
    "compact-late-concat",
    "compact-intermediate-concat",
    "compact-intermediate-add",
    "compact-intermediate-hadamard",
)


def _rows(strategies: tuple[str, ...], *embedders: str) -> tuple[str, ...]:
    return tuple(f"{strategy}-{embedder}" for strategy in strategies for embedder in embedders)


DEFAULT_STUDY = "standard"

STUDIES: Mapping[str, Study] = MappingProxyType(
    {
        study.name: study
        for study in (
            Study(
                name="standard",
                question="Every model under one protocol: which strategy, which downsampling, at what cost?",
                models=tuple(MODELS),
                protocols={"": STANDARD},
            ),
            Study(
                name="downsampling-wide",
                question="MaxPool or strided convolution, in early, intermediate (concat) and late fusion?",
                models=_rows(
                    ("wide-early-concat", "wide-intermediate-concat", "wide-late-concat"), "maxpool", "strided"
                ),
                protocols={"": _WIDE},
                dataset="shapes-uneven",
                published=True,
                deviations=(_OWN_SPLIT, _TWINS, _WHOLE_VALIDATION),
                mistakes=_SPLIT_TWINS | _DROPPED_VALIDATION,
                probes=("features",),
            ),
            Study(
                name="downsampling-deep",
                question="MaxPool or strided convolution, with shared convolutions behind the fusion?",
                models=_rows(("deep-intermediate-concat",), "maxpool", "strided"),
                protocols={"": _DEEP},
                published=True,
                deviations=(
                    _OWN_SPLIT,
                    _TWINS,
                    "Accuracy is over the validation pairs; the published one, over training and validation pairs "
                    "together, is compared with ours over the same.",
                ),
                mistakes=_SPLIT_TWINS,
            ),
            Study(
                name="fusion-experts",
                question="Intermediate fusion, or late fusion of two frozen classifiers?",
                models=_rows(
                    (
                        "experts-intermediate-concat",
                        "experts-intermediate-add",
                        "experts-intermediate-hadamard",
                        "experts-late-logits",
                    ),
                    "maxpool",
                ),
                protocols={"": _EXPERTS},
                published=True,
                deviations=(_OWN_SPLIT, _TWINS, _MEMORY),
                mistakes=_SPLIT_TWINS,
            ),
            Study(
                name="fusion-wide",
                question="Early, intermediate (concat, matmul, Hadamard, add) or late fusion?",
                models=_rows(
                    (
                        "wide-early-concat",
                        "wide-intermediate-concat",
                        "wide-intermediate-matmul",
                        "wide-intermediate-hadamard",
                        "wide-intermediate-add",
                        "wide-late-concat",
                    ),
                    "maxpool",
                ),
                # As downsampling-wide, but 10% of the pairs behind the validation set were left for testing.
                protocols={"": replace(_WIDE, pairs=11_282, valid_fraction=320 / 11_282)},
                dataset="shapes-uneven",
                published=True,
                deviations=(_OWN_SPLIT, _TWINS, _WHOLE_VALIDATION, _MEMORY),
                mistakes=_SPLIT_TWINS | _DROPPED_VALIDATION,
                probes=("robustness",),
            ),
            Study(
                name="fusion-compact",
                question="Late fusion, or intermediate by concatenation, addition or Hadamard product?",
                models=_rows(_COMPACT_STRATEGIES, "maxpool"),
                protocols={"": _COMPACT},
                published=True,
                deviations=(_OWN_SPLIT, _WHOLE_VALIDATION, _MEMORY),
                mistakes=_DROPPED_VALIDATION,
            ),
            Study(
                name="downsampling-compact",
                question="The compact models with strided convolutions.",
                models=_rows(_COMPACT_STRATEGIES, "strided"),
                protocols={"": _COMPACT},
                published=True,
                deviations=(_OWN_SPLIT, _WHOLE_VALIDATION, _MEMORY),
                mistakes=_DROPPED_VALIDATION,
            ),
            Study(
                name="input-scaling",
                question="Is it the strided convolution that loses, or the raw scale of its inputs?",
                models=_rows(_COMPACT_STRATEGIES, "maxpool", "strided"),
                protocols={"raw": _COMPACT, "normalized": replace(_COMPACT, normalized=("rgb", "lidar"))},
            ),
            Study(
                name="robustness",
                question="Which fusion keeps its accuracy under corrupted inputs, and what does downsampling do?",
                # wide-intermediate-concat is the same function as wide-late-concat.
                models=(
                    *_rows(("wide-late-concat", "wide-early-concat"), "maxpool", "strided"),
                    *_rows(
                        (
                            "wide-intermediate-add",
                            "wide-intermediate-hadamard",
                            "wide-intermediate-matmul",
                            "wide-rgb",
                            "wide-lidar",
                        ),
                        "strided",
                    ),
                ),
                # Short enough for five seeds on two CPU cores, long enough to tell fusion from single modalities.
                protocols={"": replace(STANDARD, pairs=2_400, epochs=6)},
                dataset="shapes-hard",
                probes=PROBES,
            ),
        )
    }
)
