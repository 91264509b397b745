"""From the name of a model to its module."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fusion_models.backbones import torchvision_backbone
from fusion_models.network import FusionNet, stages_of
from fusion_models.operators import Operator, Shape
from fusion_models.operators.base import averaged
from fusion_models.registry import BACKBONES, EMBEDDERS, OPERATORS
from fusion_models.zoo import (
    BLUEPRINTS,
    SINGLE,
    Block,
    Blueprint,
    Down,
    Flatten,
    Keep,
    Linear,
    ModelError,
    ModelSpec,
    find_model,
    is_torchvision,
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
        TypeError: The function of a plug-in returns something else than a module.
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
    if spec.family in BACKBONES or is_torchvision(spec.family):
        return _on_backbone(spec, {modality: channels[modality] for modality in modalities}, image_size, classes)

    blueprint = BLUEPRINTS[spec.family, spec.stage]
    downs = sum(isinstance(block, Down) for block in (*blueprint.stem, *blueprint.trunk))
    if any(size % 2**downs for size in image_size):
        raise ModelError(
            f"{spec.name} halves images {downs} times: height and width must be multiples of {2**downs}, "
            f"not {image_size[0]}x{image_size[1]}; {_fitting(image_size, 2**downs)} would fit"
        )
    seen = {modality: channels[modality] for modality in modalities}
    if spec.control:
        blueprint = matched(spec, tuple(seen.items()), image_size, classes)
    return _assemble(spec, blueprint, seen, image_size, classes)


def _assemble(
    spec: ModelSpec, blueprint: Blueprint, channels: Mapping[str, int], image_size: tuple[int, int], classes: int
) -> FusionNet:
    """The network of a blueprint for the modalities of ``channels``."""
    logits = blueprint.binary_logits if classes == 2 else classes
    stems: dict[str, nn.Module] = {}
    shapes: list[list[Shape]] = []  # of each modality, after each stage
    for modality, count in channels.items():
        stem, after = _stack(blueprint.stem, (count, *image_size), spec.block)
        if blueprint.stem_head is not None:
            stem, after = nn.Sequential(stem, _mlp(after[-1], blueprint.stem_head, logits)), [after[-1], (logits,)]
        stems[modality] = stem
        shapes.append(after)
    exchanges, operator = _fusion(spec, shapes)
    trunk, after = _stack(blueprint.trunk, operator.out_shape, spec.block)
    return FusionNet(
        stems=stems,
        exchanges=exchanges,
        operator=operator,
        trunk=trunk,
        head=nn.Identity() if decides(operator) else _mlp(after[-1], blueprint.head, logits),
        stems_are_experts=blueprint.experts,
    )


def _fusion(spec: ModelSpec, shapes: Sequence[Sequence[Shape]]) -> tuple[list[nn.Module], Operator]:
    """What exchanges features after each stage, and the operator, for the shapes of each modality by stage."""
    make = OPERATORS[spec.operator].make
    exchange = getattr(make, "exchange", None)
    try:
        exchanges = [exchange(list(after)) for after in zip(*shapes, strict=True)] if exchange else []
        return exchanges, make([after[-1] for after in shapes])
    except ValueError as error:
        raise ModelError(f"{spec.name}: {error}") from error


class GlobalAverage(nn.Module):
    """Maps (B, C, H, W) to their means (B, C); vectors (B, D) stay as they are."""

    def forward(self, features: Tensor) -> Tensor:
        """Average over height and width."""
        return averaged(features)


def _on_backbone(
    spec: ModelSpec, channels: Mapping[str, int], image_size: tuple[int, int], classes: int
) -> FusionNet:
    """One backbone per modality up to the stage of fusion; what follows is shared.

    After the last stage, maps are averaged before one linear layer; in late fusion each modality has its own.
    """
    make = BACKBONES.get(spec.family) or partial(torchvision_backbone, spec.family)
    stems: dict[str, nn.Module] = {m: make(count, image_size) for m, count in channels.items()}
    first = next(iter(stems.values()))
    # Only torchvision's tell the shapes after their stages; others are one stage, also those that are sequences.
    stems = {m: stem if hasattr(stem, "shapes") else _one_stage(stem) for m, stem in stems.items()}
    shapes: list[list[Shape]] = [getattr(stem, "shapes", [tuple(stem.out_shape)]) for stem in stems.values()]  # type: ignore[arg-type]
    last = shapes[0][-1]
    trunk = nn.Sequential()
    if spec.stage == "late":
        stems = {
            modality: nn.Sequential(stem, GlobalAverage(), nn.Linear(after[-1][0], classes))
            for (modality, stem), after in zip(stems.items(), shapes, strict=True)
        }
        shapes = [[(classes,)]] * len(stems)
    elif spec.stage not in ("intermediate", SINGLE):
        number = _stage_number(spec, first)
        stems = {m: nn.Sequential(*stages_of(stem)[:number]) for m, stem in stems.items()}
        shapes = [after[:number] for after in shapes]
        trunk = nn.Sequential(*stages_of(first)[number:])
    exchanges, operator = _fusion(spec, shapes)
    width, fused = shapes[0][-1][0], operator.out_shape[0]
    if not len(trunk):
        last = operator.out_shape
    elif fused != width:  # as after concatenation
        trunk = nn.Sequential(nn.Conv2d(fused, width, kernel_size=1), *trunk)
    head = nn.Identity() if decides(operator) else nn.Sequential(GlobalAverage(), nn.Linear(last[0], classes))
    return FusionNet(stems=stems, exchanges=exchanges, operator=operator, trunk=trunk, head=head)


def _one_stage(stem: nn.Module) -> nn.Module:
    if type(stem) is not nn.Sequential:
        return stem
    whole = nn.Sequential(stem)
    whole.out_shape = stem.out_shape
    return whole


def _stage_number(spec: ModelSpec, backbone: nn.Module) -> int:
    """How many stages a backbone has up to the one that the model is named after.

    Raises:
        ModelError: It has no stage of this name after which others follow.
    """
    names = [name for name, _ in backbone.named_children()][:-1] if hasattr(backbone, "shapes") else []
    if spec.stage not in names:
        stages = ", ".join((*names, "intermediate (after the last one)", "late"))
        raise ModelError(f"{spec.name}: the backbone {spec.family} has no stage {spec.stage!r}; it has {stages}")
    return names.index(spec.stage) + 1


def decides(operator: nn.Module) -> bool:
    """Whether an operator, also one of a plug-in that is not an ``Operator``, returns the model's logits."""
    return bool(getattr(operator, "decides", False))


def _stack(blocks: Sequence[Block], shape: Shape, embedder: str) -> tuple[nn.Module, list[Shape]]:
    """The blocks as one module, and the shape (without batch) after each; ``[shape]`` without blocks."""
    layers: list[nn.Module] = []
    shapes = [shape]
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
        shapes.append(shape)
    return nn.Sequential(*layers), shapes[1:] or shapes


def _mlp(shape: Shape, hidden: tuple[int, ...], outputs: int) -> nn.Sequential:
    widths = (prod(shape), *hidden, outputs)
    layers: list[nn.Module] = [nn.Flatten()]
    for i, (width, next_width) in enumerate(pairwise(widths)):
        layers += [nn.ReLU()] * (i > 0) + [nn.Linear(width, next_width)]
    return nn.Sequential(*layers)


@cache
def matched(
    spec: ModelSpec, channels: tuple[tuple[str, int], ...], image_size: tuple[int, int], classes: int
) -> Blueprint:
    """The blueprint of a control: the widths with which it has the parameters or operations of ``spec.matches()``.

    All convolutions before and after the operator are scaled by one factor and rounded to whole channels; of these
    networks, the one closest to the other model is taken. The head keeps its hidden widths.

    Args:
        spec: A control.
        channels: Modalities that it sees, and their channels.
        image_size: Height and width, in pixels.
        classes: Number of classes.
    """
    blueprint, other = BLUEPRINTS[spec.family, spec.stage], spec.matches()
    measure = _parameters if spec.control == "parameters" else _operations

    @cache
    def size(spec: ModelSpec, blueprint: Blueprint) -> int:
        with torch.device("meta"):
            network = _assemble(spec, blueprint, dict(channels), image_size, classes)
        return measure(network, dict(channels), image_size)

    def scaled(step: int) -> Blueprint:
        return _scaled(blueprint, step / steps)

    target = size(other, blueprint)
    # The factor in steps, four per channel of the widest convolution, as narrower ones are rounded elsewhere.
    steps = step = 4 * max(block.width for block in (*blueprint.stem, *blueprint.trunk) if hasattr(block, "width"))
    for _ in range(3):  # sizes grow about with the square of the factor
        step = max(1, round(step * math.sqrt(target / size(spec, scaled(step)))))
    while size(spec, scaled(step)) < target:
        step += 1
    while step > 1 and size(spec, scaled(step - 1)) >= target:
        step -= 1
    around = (scaled(step), scaled(max(1, step - 1)))
    return min(around, key=lambda candidate: abs(size(spec, candidate) - target))


def _scaled(blueprint: Blueprint, factor: float) -> Blueprint:
    def wider(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        return tuple(
            replace(block, width=max(1, round(block.width * factor))) if isinstance(block, Down | Keep) else block
            for block in blocks
        )

    return replace(blueprint, stem=wider(blueprint.stem), trunk=wider(blueprint.trunk))


def _parameters(network: nn.Module, *_: object) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _operations(network: nn.Module, channels: Mapping[str, int], image_size: tuple[int, int]) -> int:
    """Floating-point operations of one sample's forward and backward pass, by the shapes alone."""
    inputs = {m: torch.empty(1, count, *image_size, device="meta") for m, count in channels.items()}
    with FlopCounterMode(display=False) as counter:
        network(inputs).sum().backward()
    return int(counter.get_total_flops())


def _fitting(image_size: tuple[int, int], step: int) -> str:
    """The sizes nearest to this one, below and above it, whose rows and columns are multiples of a step."""
    below = [max(step, side // step * step) for side in image_size]
    above = [-(-side // step) * step for side in image_size]
    return " or ".join(dict.fromkeys(f"{rows}x{columns}" for rows, columns in (below, above)))
