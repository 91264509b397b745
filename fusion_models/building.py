"""From the name of a model to its module."""

from collections.abc import Mapping
from itertools import pairwise
from math import prod

from torch import Tensor, nn

from fusion_models.network import FusionNet
from fusion_models.operators import Operator, Shape
from fusion_models.registry import BACKBONES, EMBEDDERS, OPERATORS
from fusion_models.zoo import (
    BLUEPRINTS,
    Block,
    Down,
    Flatten,
    Keep,
    Linear,
    ModelError,
    ModelSpec,
    find_model,
)


def build_model(
    model: ModelSpec | str,
    *,
    channels: Mapping[str, int],
    image_size: tuple[int, int],
    classes: int,
) -> nn.Module:
    """Build a model with PyTorch's default initialization, on the CPU.

    Weights come from torch's global generator: fork and seed it around this call (see ``bench.training.seeding``).
    Layers are made in the order stems, trunk, head, so models that differ in their embedder alone start from the
    same weights where their parameters have the same shapes.

    Args:
        model: A model of the zoo, or the name of one.
        channels: Input channels of each modality of the data.
        image_size: Height and width of all inputs, in pixels.
        classes: Number of classes, at least 2.

    Returns:
        A module whose logits are (B, classes); (B, 1) for two classes in families with one binary logit. A
        FusionNet, unless the model is a function of a plug-in.

    Raises:
        ModelError: For an unknown name, a modality the data lack, fewer than two classes, or images that do not
            fit the model's downsamplings or its operator.
    """
    spec = find_model(model) if isinstance(model, str) else model
    if classes < 2:
        raise ModelError(f"a classifier needs at least two classes, not {classes}")
    modalities = spec.sees(channels)
    if spec.build is not None:
        module = spec.build(dict(channels), image_size, classes)
        if not isinstance(module, nn.Module):
            raise TypeError(f"its function returns a {type(module).__name__} instead of a torch.nn.Module")
        return module
    if spec.family in BACKBONES:
        return _on_backbone(spec, {modality: channels[modality] for modality in modalities}, image_size, classes)

    blueprint = BLUEPRINTS[spec.family, spec.stage]
    downs = sum(isinstance(block, Down) for block in (*blueprint.stem, *blueprint.trunk))
    if any(size % 2**downs for size in image_size):
        raise ModelError(
            f"{spec.name} halves images {downs} times: height and width must be multiples of {2**downs}, "
            f"not {image_size[0]}x{image_size[1]}; {_fitting(image_size, 2**downs)} would fit"
        )
    logits = blueprint.binary_logits if classes == 2 else classes
    stems: dict[str, nn.Module] = {}
    shapes: list[Shape] = []
    for modality in modalities:
        stem, shape = _stack(blueprint.stem, (channels[modality], *image_size), spec.embedder)
        if blueprint.expert_head:
            stem, shape = nn.Sequential(stem, _mlp(shape, blueprint.expert_head, logits)), (logits,)
        stems[modality] = stem
        shapes.append(shape)
    operator = _operator(spec, shapes)
    trunk, shape = _stack(blueprint.trunk, operator.out_shape, spec.embedder)
    return FusionNet(
        stems=stems,
        operator=operator,
        trunk=trunk,
        head=_mlp(shape, blueprint.head, logits),
        stems_are_experts=bool(blueprint.expert_head),
    )


def _operator(spec: ModelSpec, shapes: list[Shape]) -> Operator:
    try:
        operator: Operator = OPERATORS[spec.operator].make(shapes)
    except ValueError as error:
        raise ModelError(f"{spec.name}: {error}") from error
    return operator


class GlobalAverage(nn.Module):
    """Maps (B, C, H, W) to their means (B, C); vectors (B, D) stay as they are."""

    def forward(self, features: Tensor) -> Tensor:
        """Average over height and width."""
        return features.mean(dim=(2, 3)) if features.dim() == 4 else features


def _on_backbone(
    spec: ModelSpec, channels: Mapping[str, int], image_size: tuple[int, int], classes: int
) -> FusionNet:
    """One backbone per modality, averaged after the operator; in late fusion each has a classifier of its own."""
    stems: dict[str, nn.Module] = {m: BACKBONES[spec.family](count, image_size) for m, count in channels.items()}
    shapes: list[Shape] = [tuple(stem.out_shape) for stem in stems.values()]  # type: ignore[arg-type]
    if spec.stage == "late":
        stems = {
            modality: nn.Sequential(stem, GlobalAverage(), nn.Linear(shape[0], classes))
            for (modality, stem), shape in zip(stems.items(), shapes, strict=True)
        }
        shapes = [(classes,)] * len(stems)
    operator = _operator(spec, shapes)
    head = nn.Sequential(GlobalAverage(), nn.Linear(operator.out_shape[0], classes))
    return FusionNet(stems=stems, operator=operator, trunk=nn.Identity(), head=head)


def _stack(blocks: tuple[Block, ...], shape: Shape, embedder: str) -> tuple[nn.Module, Shape]:
    """The blocks as one module, and the shape (without batch) that it makes of ``shape``."""
    layers = []
    for block in blocks:
        match block:
            case Down(width):
                layers.append(EMBEDDERS[embedder].make(shape[0], width))
                shape = (width, shape[1] // 2, shape[2] // 2)
            case Keep(width):
                layers.append(
                    nn.Sequential(nn.Conv2d(shape[0], width, kernel_size=3, padding=1), nn.ReLU(inplace=True))
                )
                shape = (width, *shape[1:])
            case Flatten():
                layers.append(nn.Flatten())
                shape = (prod(shape),)
            case Linear(width):
                layers.append(nn.Sequential(nn.Flatten(), nn.Linear(prod(shape), width)))
                shape = (width,)
    return nn.Sequential(*layers), shape


def _mlp(shape: Shape, hidden: tuple[int, ...], outputs: int) -> nn.Sequential:
    widths = (prod(shape), *hidden, outputs)
    layers: list[nn.Module] = [nn.Flatten()]
    for i, (width, next_width) in enumerate(pairwise(widths)):
        layers += [nn.ReLU()] * (i > 0) + [nn.Linear(width, next_width)]
    return nn.Sequential(*layers)


def _fitting(image_size: tuple[int, int], step: int) -> str:
    """The sizes nearest to this one, below and above it, whose rows and columns are multiples of a step."""
    below = [max(step, side // step * step) for side in image_size]
    above = [-(-side // step) * step for side in image_size]
    return " or ".join(dict.fromkeys(f"{rows}x{columns}" for rows, columns in (below, above)))
