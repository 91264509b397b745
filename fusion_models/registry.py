"""The registries of what models are made of, and the decorators that add to them. Loads no torch.

A plug-in calls the decorators as ``operators/`` and ``embedders.py`` do for what ships here:

    @register_operator("gated")
    class Gated(Operator): ...
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from fusiongauge import PluginError, Registry, source_file

if TYPE_CHECKING:
    from torch import nn

Class = TypeVar("Class", bound=type)
Maker = TypeVar("Maker", bound=Callable[..., Any])

DEFAULT_FAMILIES = ("compact", "field")
"""Whose models a plug-in's operator or embedder joins if it does not say otherwise.

The first is part of the standard study; the second is where the studies of operators and downsampling compare it.
"""


@dataclass(frozen=True)
class Part:
    """A registered part of models.

    Attributes:
        make: The class; its decorator documents how it is called.
        families: The families of models that get variants with it.

    Raises:
        PluginError: The families are one string.
    """

    make: Any
    families: tuple[str, ...]

    def __post_init__(self) -> None:
        if isinstance(self.families, str):
            raise PluginError(
                f"{source_file(self.make)}: families={self.families!r}; give a tuple, ({self.families!r},)"
            )


BuildModel = Callable[[Mapping[str, int], tuple[int, int], int], "nn.Module"]
"""(channels of each modality, height and width, number of classes) -> module.

The module's ``forward`` takes a mapping from modality to tensors (B, C, H, W) and returns logits (B, classes), or
(B, 1) for two classes.
"""

OPERATORS: Registry[Part] = Registry("operator", home="fusion_models.operators")
EMBEDDERS: Registry[Part] = Registry("embedder", home="fusion_models.embedders")
BACKBONES: Registry[Any] = Registry("backbone", home="fusion_models.backbones")
CUSTOM_MODELS: Registry[BuildModel] = Registry("model")


def register_operator(name: str, *, families: tuple[str, ...] = DEFAULT_FAMILIES) -> Callable[[Class], Class]:
    """Register an operator, a class called with the shapes of the modalities' features, without the batch.

    Its instances have ``out_shape`` and a ``forward(features)`` that maps one tensor per modality to one tensor.

    Args:
        name: In model names: ``<family>-intermediate-<name>-<embedder>``.
        families: They get an intermediate model with it, in every embedder they have.

    Raises:
        PluginError: The name is taken.
    """
    return OPERATORS.decorator(name, lambda operator: Part(operator, families))


def register_embedder(name: str, *, families: tuple[str, ...] = DEFAULT_FAMILIES) -> Callable[[Class], Class]:
    """Register an embedder, a class called with (in_channels, out_channels).

    Its instances map (B, in_channels, H, W) to (B, out_channels, H/2, W/2).

    Args:
        name: The last part of model names.
        families: All their models get a variant with it.

    Raises:
        PluginError: The name is taken, or ends as that of a control.
    """

    def unless_control(embedder: Class) -> Part:
        from fusion_models.zoo import CONTROLS

        if name.rpartition(".")[2] in CONTROLS:
            raise PluginError(f"{source_file(embedder)}: {name!r} is the name of a control; choose another name")
        return Part(embedder, families)

    return EMBEDDERS.decorator(name, unless_control)


def register_model(name: str) -> Callable[[BuildModel], BuildModel]:
    """Register a model, a function ``build(channels, image_size, classes) -> nn.Module``; see ``BuildModel``.

    Args:
        name: Of the model.

    Raises:
        PluginError: The name is taken.
    """

    def unless_taken(build: BuildModel) -> BuildModel:
        from fusion_models.zoo import is_model

        if is_model(name) and name not in CUSTOM_MODELS:
            raise PluginError(f"{source_file(build)}: there is a model {name!r} already; choose another name")
        return build

    return CUSTOM_MODELS.decorator(name, unless_taken)


def register_backbone(name: str) -> Callable[[Maker], Maker]:
    """Register a backbone, a class or function called with (channels, image_size) for one modality.

    It makes a module with ``out_shape`` that maps (B, channels, H, W) to (B, *out_shape). The backbone becomes a
    family of its own: intermediate and late fusion and single modalities, without embedders.

    Args:
        name: The family's name.

    Raises:
        PluginError: The name is taken, also by a family of widths or a network of torchvision.
    """

    def unless_taken(backbone: Maker) -> Maker:
        from fusion_models.zoo import is_family

        if is_family(name):
            raise PluginError(f"{source_file(backbone)}: there is a family {name!r} already; choose another name")
        return backbone

    return BACKBONES.decorator(name, unless_taken)
