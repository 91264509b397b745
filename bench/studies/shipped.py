"""The studies that ship here.

``standard`` is what ``pytest bench`` runs. Six rerun the published tables (``results/published/``), each under the
protocol it was obtained with; the others are our own.
"""

from dataclasses import replace

from bench.config import STANDARD
from bench.registry import register_study
from bench.study import PROBES, Study
from fusion_models.zoo import FIELD, FIELD_MODELS, MODELS, REFERENCE, embedders_of

# A cube and its twin sphere, of the same place and color, could stand one in training and one in validation.
_SPLIT_TWINS = {"keep_groups": False}
# Loaders dropped the last batch in validation too, so some pairs were never looked at.
_DROPPED_VALIDATION = {"valid_whole_batches": True}

_CONSTANT = replace(STANDARD, learning_rate=1e-4, schedule="constant", final_learning_rate=1e-4)
_WIDE = replace(
    _CONSTANT,
    pairs=10_674,  # 320 for validation and 85% of the other 12,180 for training; the rest was a test set
    valid_fraction=320 / 10_674,
    epochs=15,
    drop_last=True,
    normalized=("rgb",),
)
_EXPERTS = replace(_CONSTANT, pairs=1076, valid_fraction=179 / 1076, epochs=2, normalized=())
_DEEP = replace(STANDARD, pairs=1074, valid_fraction=179 / 1074, epochs=50, schedule="cosine-epoch", normalized=())
_COMPACT = replace(STANDARD, pairs=2000, drop_last=True, normalized=())

_COMPACT_STRATEGIES = "late-concat intermediate-concat intermediate-add intermediate-hadamard"


def _models(family: str, strategies: str, *embedders: str) -> tuple[str, ...]:
    return tuple(f"{family}-{strategy}-{embedder}" for strategy in strategies.split() for embedder in embedders)


@register_study("standard")
def _standard() -> Study:
    return Study(
        question="Every model under one protocol: which strategy, which downsampling, at what cost?",
        models=tuple(MODELS),
        protocols={"": STANDARD},
    )


@register_study("downsampling-wide")
def _downsampling_wide() -> Study:
    return Study(
        question="MaxPool or strided convolution, in early, intermediate (concat) and late fusion?",
        models=_models("wide", "early-concat intermediate-concat late-concat", "maxpool", "strided"),
        protocols={"": _WIDE},
        dataset="shapes-uneven",
        mistakes=_SPLIT_TWINS | _DROPPED_VALIDATION,
        probes=("features",),
    )


@register_study("downsampling-deep")
def _downsampling_deep() -> Study:
    return Study(
        question="MaxPool or strided convolution, with shared convolutions after the fusion?",
        models=("deep-intermediate-concat-maxpool", "deep-intermediate-concat-strided"),
        protocols={"": _DEEP},
        mistakes=_SPLIT_TWINS,
    )


@register_study("fusion-experts")
def _fusion_experts() -> Study:
    return Study(
        question="Intermediate fusion, or late fusion of two frozen classifiers?",
        models=_models(
            "experts", "intermediate-concat intermediate-add intermediate-hadamard late-logits", "maxpool"
        ),
        protocols={"": _EXPERTS},
        mistakes=_SPLIT_TWINS,
    )


@register_study("fusion-wide")
def _fusion_wide() -> Study:
    return Study(
        question="Early, intermediate (concat, matmul, Hadamard, add) or late fusion?",
        models=_models(
            "wide",
            "early-concat intermediate-concat intermediate-matmul intermediate-hadamard intermediate-add "
            "late-concat",
            "maxpool",
        ),
        # As downsampling-wide, but 10% of the pairs after the validation set were left for testing.
        protocols={"": replace(_WIDE, pairs=11_282, valid_fraction=320 / 11_282)},
        dataset="shapes-uneven",
        mistakes=_SPLIT_TWINS | _DROPPED_VALIDATION,
        probes=("robustness",),
    )


@register_study("fusion-compact")
def _fusion_compact() -> Study:
    return Study(
        question="Late fusion, or intermediate by concatenation, addition or Hadamard product?",
        models=_models("compact", _COMPACT_STRATEGIES, "maxpool"),
        protocols={"": _COMPACT},
        mistakes=_DROPPED_VALIDATION,
    )


@register_study("downsampling-compact")
def _downsampling_compact() -> Study:
    return Study(
        question="The compact models with strided convolutions.",
        models=_models("compact", _COMPACT_STRATEGIES, "strided"),
        protocols={"": _COMPACT},
        mistakes=_DROPPED_VALIDATION,
    )


@register_study("input-scaling")
def _input_scaling() -> Study:
    return Study(
        question="Is it the strided convolution that loses, or the raw scale of its inputs?",
        models=_models("compact", _COMPACT_STRATEGIES, "maxpool", "strided"),
        protocols={"raw": _COMPACT, "normalized": replace(_COMPACT, normalized=("rgb", "lidar"))},
    )


@register_study("robustness")
def _robustness() -> Study:
    return Study(
        question="Which fusion keeps its accuracy under corrupted inputs, and what does downsampling do?",
        # wide-intermediate-concat is the same function as wide-late-concat.
        models=(
            *_models("wide", "late-concat early-concat", "maxpool", "strided"),
            *_models("wide", "intermediate-add intermediate-hadamard intermediate-matmul rgb lidar", "strided"),
        ),
        # Short enough for five seeds on two CPU cores, long enough to tell fusion from single modalities.
        protocols={"": replace(STANDARD, pairs=2_400, epochs=6)},
        dataset="shapes-hard",
        probes=PROBES,
    )


# Short enough for every operator on two CPU cores, long enough to tell fusion from single modalities.
_FIELD = replace(STANDARD, pairs=2_400, epochs=6)


@register_study("field")
def _field() -> Study:
    return Study(
        question="Every operator in every embedder, at one set of widths: what works together?",
        models=tuple(FIELD_MODELS),
        protocols={"": _FIELD},
        dataset="shapes-hard",
    )


@register_study("operators")
def _operators() -> Study:
    models: list[str] = []
    for spec in FIELD_MODELS.values():
        if spec.embedder in (REFERENCE, "strided"):
            models.append(spec.name)
        if (spec.stage, spec.embedder) == ("intermediate", REFERENCE) and spec.operator != "concat":
            # Operators have weights of their own: once more, with as many parameters as concatenation has.
            models.append(f"{spec.name}.parameters")
    return Study(
        question="Which operator, with MaxPool and with strided convolution, and at equal parameters?",
        models=tuple(models),
        protocols={"": _FIELD},
        dataset="shapes-hard",
    )


_AS_MANY_PARAMETERS = ("strided", "avgpool", "blurpool", "blurconv", "aps")
_AS_MANY_OPERATIONS = ("avgpool", "blurpool", "blurconv", "spd", "aps")
"""The embedders whose models have those of MaxPool, apart from 2%, and need no control."""


@register_study("downsampling")
def _downsampling() -> Study:
    embedders: list[str] = []
    for embedder in embedders_of(FIELD):
        embedders.append(embedder)
        if embedder not in (REFERENCE, *_AS_MANY_PARAMETERS):
            embedders.append(f"{embedder}.parameters")
        if embedder not in (REFERENCE, *_AS_MANY_OPERATIONS):
            embedders.append(f"{embedder}.operations")
    return Study(
        question="Which downsampling, and is it the downsampling or its parameters and operations?",
        models=_models(FIELD, "intermediate-concat intermediate-add", *embedders),
        protocols={"": _FIELD},
        dataset="shapes-hard",
    )


@register_study("backbones")
def _backbones() -> Study:
    places = ("layer2-add", "intermediate-concat", "intermediate-add", "late-logits", "late-mean")
    return Study(
        question="With torchvision's ResNet-18 per modality, where should they be fused?",
        models=tuple(f"resnet-{place}" for place in ("rgb", "lidar", *places)),
        protocols={"": _FIELD},
        dataset="shapes-hard",
    )


LEARNING_RATES = (0.0001, 0.0003, 0.001, 0.003)
"""The grid of the study ``tuned``, declared before it was run; the standard protocol has the third."""


@register_study("tuned")
def _tuned() -> Study:
    return Study(
        question="Does a ranking survive if every model has its best learning rate of one grid?",
        models=(
            *_models("compact", _COMPACT_STRATEGIES, "maxpool", "strided"),
            *_models("wide", "early-concat late-concat rgb lidar", "maxpool", "strided"),
        ),
        protocols={
            f"lr {rate:g}": replace(STANDARD, pairs=2_000, learning_rate=rate, final_learning_rate=rate / 1_000)
            for rate in LEARNING_RATES
        },
        dataset="shapes-hard",
    )


FIELD_LEARNING_RATES = LEARNING_RATES[1:]
"""The grid of the study ``tuned-field``, declared before it was run; six epochs are too short for 0.0001."""


@register_study("tuned-field")
def _tuned_field() -> Study:
    return Study(
        question="Which operator and which downsampling, if every model has its best learning rate of one grid?",
        models=tuple(
            spec.name
            for spec in FIELD_MODELS.values()
            if spec.embedder in (REFERENCE, "strided")
            or (spec.stage == "intermediate" and spec.operator in ("concat", "add"))
        ),
        protocols={
            f"lr {rate:g}": replace(_FIELD, learning_rate=rate, final_learning_rate=rate / 1_000)
            for rate in FIELD_LEARNING_RATES
        },
        dataset="shapes-hard",
    )


@register_study("costs")
def _costs() -> Study:
    return Study(
        question="What does an epoch cost, one model after the other in each of several rounds (seeds)?",
        models=tuple(MODELS),
        protocols={"": replace(STANDARD, pairs=1_000, epochs=3)},
        idle=True,
    )
