"""Backbones of torchvision as stems: ResNet, ConvNeXt, EfficientNet and MobileNet, without their classifiers.

Nothing is downloaded: weights are random, or come from a file.
"""

from collections import OrderedDict
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path

import torch
from torch import Tensor, nn

from fusion_models.operators import Shape
from fusion_models.registry import register_backbone
from fusion_models.zoo import TORCHVISION, ModelError


def torchvision_backbone(
    name: str, channels: int, image_size: tuple[int, int], *, weights: str | Path | None = None
) -> nn.Sequential:
    """A network of torchvision as the sequence of its stages, without pooling and classifier.

    Args:
        name: As torchvision calls it, such as "resnet18"; of the kinds ``TORCHVISION``.
        channels: Of the inputs; the first convolution is made for them.
        image_size: Height and width of the inputs, in pixels.
        weights: A file of the network's weights, as torchvision publishes them (``.pth``), or safetensors. The
            first convolution's weights are repeated over the channels and scaled by 3 / channels, so that features
            keep their size. None for random weights.

    Returns:
        (B, channels, H, W) to (B, *out_shape). Its attributes are ``out_shape`` and ``shapes``, those after each
        stage. Stages are named: "layer1" to "layer4" for ResNet, whose "layer1" includes what comes before it;
        "features0" and so on for the others.

    Raises:
        ModelError: torchvision lacks the network, it is of another kind, or the file does not fit it.
    """
    from torchvision.models import get_model, list_models

    kind = next((kind for kind in TORCHVISION if name.startswith(kind)), None)
    known = [model for model in list_models() if kind and model.startswith(kind)]
    if kind is None or name not in known:
        kinds = ", ".join(TORCHVISION)
        raise ModelError(
            f"torchvision's {name} cannot be a backbone; these can: {', '.join(known) or f'those named {kinds}'}"
        )
    network = get_model(name, weights=None)
    first, convolution = next((key, part) for key, part in network.named_modules() if isinstance(part, nn.Conv2d))
    parent, _, own = first.rpartition(".")
    setattr(network.get_submodule(parent), own, _with_channels(convolution, channels, kind))
    if weights is not None and not convolution.weight.is_meta:
        _load(network, name, Path(weights), f"{first}.weight")
    stages = _stages(network)
    shapes = _shapes(name, image_size)
    stages.shapes, stages.out_shape = shapes, shapes[-1]  # type: ignore[assignment]
    return stages


def _with_channels(convolution: nn.Conv2d, channels: int, kind: str) -> nn.Conv2d:
    """The first convolution for other channels, with torchvision's initial weights for its kind."""
    if channels == convolution.in_channels:
        return convolution
    made = nn.Conv2d(
        channels,
        convolution.out_channels,
        convolution.kernel_size,  # type: ignore[arg-type]
        stride=convolution.stride,  # type: ignore[arg-type]
        padding=convolution.padding,  # type: ignore[arg-type]
        bias=convolution.bias is not None,
    )
    if kind == "convnext":
        nn.init.trunc_normal_(made.weight, std=0.02)
    else:
        nn.init.kaiming_normal_(made.weight, mode="fan_out", nonlinearity="relu")
    if made.bias is not None:
        nn.init.zeros_(made.bias)
    return made


def _stages(network: nn.Module) -> nn.Sequential:
    """The layers before the pooling, by the names of stages."""
    features = getattr(network, "features", None)
    if isinstance(features, nn.Sequential):
        return nn.Sequential(OrderedDict((f"features{i}", layer) for i, layer in enumerate(features)))
    stem = [network.get_submodule(part) for part in ("conv1", "bn1", "relu", "maxpool", "layer1")]
    layers = {f"layer{i}": network.get_submodule(f"layer{i}") for i in (2, 3, 4)}
    return nn.Sequential(OrderedDict([("layer1", nn.Sequential(*stem)), *layers.items()]))


@cache
def _shapes(name: str, image_size: tuple[int, int]) -> list[Shape]:
    """The shape (without batch) after each stage of a network, whatever the channels of its inputs."""
    from torchvision.models import get_model

    with torch.device("meta"), torch.no_grad():
        stages = _stages(get_model(name, weights=None)).eval()
        maps = torch.empty(1, 3, *image_size)
        shapes: list[Shape] = []
        for stage in stages:
            maps = stage(maps)
            shapes.append(tuple(maps.shape[1:]))
    return shapes


def _load(network: nn.Module, name: str, path: Path, first: str) -> None:
    """Load a file of weights into a network whose first convolution may have other channels."""
    from safetensors.torch import load_file

    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)
    except FileNotFoundError as error:
        raise ModelError(f"the weights {path} do not exist; give the path of a file") from error
    except Exception as error:  # readers of broken files raise anything
        reason = f"{type(error).__name__}: {error}"
        raise ModelError(f"the weights {path} are not a file of weights that can be read ({reason})") from error
    if not isinstance(state, Mapping) or first not in state:
        raise ModelError(f"the weights {path} are not those of {name}: they have no {first}")
    wanted = network.state_dict()
    loaded = {key: tensor for key, tensor in state.items() if not key.startswith(("fc.", "classifier."))}
    loaded[first] = _over_channels(loaded[first], wanted[first].shape[1])
    differing = [
        key
        for key in {**wanted, **loaded}
        if not key.startswith(("fc.", "classifier."))
        and (key not in wanted or key not in loaded or wanted[key].shape != loaded[key].shape)
    ]
    if differing:
        raise ModelError(
            f"the weights {path} are not those of {name}: {differing[0]} is missing or has another shape"
        )
    network.load_state_dict(loaded, strict=False)


def _over_channels(weight: Tensor, channels: int) -> Tensor:
    """Weights (O, C, H, W) of a first convolution for other channels, repeated and scaled by C / channels."""
    given = weight.shape[1]
    if channels == given:
        return weight
    repeated = weight.repeat(1, -(-channels // given), 1, 1)[:, :channels]
    return repeated * (given / channels)


for _kind, _network in TORCHVISION.items():
    register_backbone(_kind)(partial(torchvision_backbone, _network))
