"""The models that are compared: every row of the published tables, in both embedders, and their baselines.

A model is ``family-stage-operator-embedder``, or ``family-modality-embedder`` for one that looks at one modality
only. BLUEPRINTS holds the widths of a family at a stage; MODELS holds the rows; ``build_model`` joins them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

import torch
from torch import nn

from fusion_models.embedders import EMBEDDERS
from fusion_models.network import FusionNet
from fusion_models.operators import OPERATORS, Shape


@dataclass(frozen=True)
class Down:
    """One 2x downsampling by the model's embedder, to ``width`` channels."""

    width: int


@dataclass(frozen=True)
class Keep:
    """A 3x3 convolution and ReLU that keep the size, to ``width`` channels."""

    width: int


@dataclass(frozen=True)
class Flatten:
    """Maps to one vector."""


@dataclass(frozen=True)
class Linear:
    """Maps to a vector of ``width`` features, with no ReLU behind it."""

    width: int


Block = Down | Keep | Flatten | Linear


@dataclass(frozen=True)
class Blueprint:
    """What a family's networks look like at one stage.

    Attributes:
        stem: what each modality passes before the operator.
        trunk: what the fused features pass.
        head: hidden widths of the last MLP; it ends in as many logits as the data ask for.
        expert_head: hidden widths of an MLP on each stem, which makes it a classifier of its own ("expert"),
            trained first and then frozen; empty for stems that are trained with the rest.
        binary_logits: how many logits two classes get: 2 for cross-entropy, 1 for binary cross-entropy.
    """

    stem: tuple[Block, ...]
    trunk: tuple[Block, ...]
    head: tuple[int, ...]
    binary_logits: int
    expert_head: tuple[int, ...] = ()


def _down(*widths: int) -> tuple[Block, ...]:
    return tuple(Down(width) for width in widths)


BLUEPRINTS: Mapping[tuple[str, str], Blueprint] = MappingProxyType(
    {
        ("wide", "early"): Blueprint((), _down(32, 64, 128), (1000, 100), 2),
        ("wide", "intermediate"): Blueprint(_down(32, 64, 128), (), (1000, 100), 2),
        # The same function as the intermediate one under concatenation, as published: flattening before or after
        # stacking channels makes no difference.
        ("wide", "late"): Blueprint((*_down(32, 64, 128), Flatten()), (), (1000, 100), 2),
        ("wide", "single"): Blueprint(_down(32, 64, 128), (), (1000, 100), 2),
        ("deep", "intermediate"): Blueprint(_down(50, 100), (Down(200), Keep(200)), (100,), 1),
        ("experts", "intermediate"): Blueprint(_down(25, 50, 100), (), (1000, 100), 1),
        ("experts", "late"): Blueprint(_down(50, 100, 200), (), (10,), 1, expert_head=(1000, 100)),
        ("experts", "single"): Blueprint(_down(50, 100, 200), (), (1000, 100), 1),
        ("compact", "intermediate"): Blueprint(_down(50, 100), (Down(100),), (100,), 1),
        ("compact", "late"): Blueprint((*_down(25, 50, 100), Linear(100)), (), (100,), 1),
    }
)


@dataclass(frozen=True)
class ModelSpec:
    """One row: where (stage), how (operator) and with what (embedder, modalities) a family fuses."""

    family: str
    stage: str
    operator: str
    embedder: str
    modalities: tuple[str, ...] = ("rgb", "lidar")

    @property
    def strategy(self) -> str:
        """The name without the embedder: what MaxPool and strided twins have in common."""
        if self.stage == "single":
            return f"{self.family}-{self.modalities[0]}"
        return f"{self.family}-{self.stage}-{self.operator}"

    @property
    def name(self) -> str:
        """The model's name in ids, records and tables."""
        return f"{self.strategy}-{self.embedder}"

    @property
    def blueprint(self) -> Blueprint:
        """The widths this row is built with."""
        return BLUEPRINTS[self.family, self.stage]


def _fusion(family: str, stage: str, *operators: str) -> list[ModelSpec]:
    return [ModelSpec(family, stage, operator, embedder) for operator in operators for embedder in EMBEDDERS]


def _single(family: str, *modalities: str) -> list[ModelSpec]:
    return [
        ModelSpec(family, "single", "none", embedder, (modality,))
        for modality in modalities
        for embedder in EMBEDDERS
    ]


MODELS: Mapping[str, ModelSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in [
            *_single("wide", "rgb", "lidar"),
            *_fusion("wide", "early", "concat"),
            *_fusion("wide", "intermediate", "concat", "add", "hadamard", "matmul"),
            *_fusion("wide", "late", "concat"),
            *_fusion("deep", "intermediate", "concat"),
            *_single("experts", "rgb", "lidar"),
            *_fusion("experts", "intermediate", "concat", "add", "hadamard"),
            *_fusion("experts", "late", "logits"),
            *_fusion("compact", "intermediate", "concat", "add", "hadamard"),
            *_fusion("compact", "late", "concat"),
        ]
    }
)


def find_model(name: str) -> ModelSpec:
    """The row of this name.

    Raises:
        ValueError: naming all known models, if this is none of them.
    """
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; the models are: {', '.join(MODELS)}")
    return MODELS[name]


def build_model(
    model: ModelSpec | str,
    *,
    channels: Mapping[str, int],
    image_size: tuple[int, int],
    classes: int,
) -> FusionNet:
    """Build a model with PyTorch's default initialization, on the CPU.

    Weights come from torch's global generator: fork and seed it around this call (see ``bench.seeding``). Layers
    are made in the order stems, trunk, head, so MaxPool and strided twins start from the same weights.

    Args:
        model: a row, or the name of one.
        channels: input channels of each modality.
        image_size: height and width of all inputs, in pixels.
        classes: number of classes, at least 2.

    Returns:
        A network whose logits are (B, classes); (B, 1) for two classes in families with one binary logit.

    Raises:
        ValueError: for an unknown name, a modality the data lack, fewer than two classes, or images that the
            model's downsamplings or its operator do not fit.
    """
    spec = find_model(model) if isinstance(model, str) else model
    if classes < 2:
        raise ValueError(f"a classifier needs at least two classes, not {classes}")
    missing = [modality for modality in spec.modalities if modality not in channels]
    if missing:
        raise ValueError(f"{spec.name} needs the modality {missing[0]!r}; the data have {', '.join(channels)}")

    blueprint = spec.blueprint
    downs = sum(isinstance(block, Down) for block in (*blueprint.stem, *blueprint.trunk))
    if any(size % 2**downs for size in image_size):
        raise ValueError(
            f"{spec.name} halves images {downs} times: height and width must be multiples of {2**downs}, "
            f"not {image_size[0]}x{image_size[1]}"
        )

    logits = blueprint.binary_logits if classes == 2 else classes
    stems: dict[str, nn.Module] = {}
    shapes: list[Shape] = []
    for modality in spec.modalities:
        stem, shape = _stack(blueprint.stem, (channels[modality], *image_size), spec.embedder)
        if blueprint.expert_head:
            stem, shape = nn.Sequential(stem, _mlp(shape, blueprint.expert_head, logits)), (logits,)
        stems[modality] = stem
        shapes.append(shape)
    operator = OPERATORS[spec.operator](shapes)
    trunk, shape = _stack(blueprint.trunk, operator.out_shape, spec.embedder)
    return FusionNet(
        stems=stems,
        operator=operator,
        trunk=trunk,
        head=_mlp(shape, blueprint.head, logits),
        stems_are_experts=bool(blueprint.expert_head),
    )


def _stack(blocks: tuple[Block, ...], shape: Shape, embedder: str) -> tuple[nn.Module, Shape]:
    """The blocks as one module, and the shape (without batch) that it makes of ``shape``."""
    layers = []
    for block in blocks:
        match block:
            case Down(width):
                layers.append(EMBEDDERS[embedder](shape[0], width))
                shape = (width, shape[1] // 2, shape[2] // 2)
            case Keep(width):
                layers.append(
                    nn.Sequential(nn.Conv2d(shape[0], width, kernel_size=3, padding=1), nn.ReLU(inplace=True))
                )
                shape = (width, *shape[1:])
            case Flatten():
                layers.append(nn.Flatten())
                shape = (_size(shape),)
            case Linear(width):
                layers.append(nn.Sequential(nn.Flatten(), nn.Linear(_size(shape), width)))
                shape = (width,)
    return nn.Sequential(*layers), shape


def _mlp(shape: Shape, hidden: tuple[int, ...], outputs: int) -> nn.Sequential:
    widths = (_size(shape), *hidden, outputs)
    layers: list[nn.Module] = [nn.Flatten()]
    for i, (width, next_width) in enumerate(pairwise(widths)):
        layers += [nn.ReLU()] * (i > 0) + [nn.Linear(width, next_width)]
    return nn.Sequential(*layers)


def _size(shape: Shape) -> int:
    return int(torch.Size(shape).numel())
