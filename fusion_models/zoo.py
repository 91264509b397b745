"""The models that are compared: those of the published tables, their baselines, and the operators of the field.

A model is ``family-stage-operator-embedder``, or ``family-modality-embedder`` for a single modality. BLUEPRINTS
holds the widths of a family at a stage; MODELS names the models of the standard study, also those of plug-ins,
FIELD_MODELS those of the family in which every operator meets every embedder; ``building.py`` builds them. Loads
no torch, so that ids and help need none.
"""

import re
from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from fusion_models.registry import BACKBONES, CUSTOM_MODELS, EMBEDDERS, OPERATORS, BuildModel
from fusiongauge import FusionGaugeError, PluginError

SINGLE = "single"
"""The stage of models that see one modality."""


class ModelError(FusionGaugeError, ValueError):
    """A model that does not exist, or does not fit the data; the message tells which models do."""


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
    """Maps to a vector of ``width`` features, without ReLU."""

    width: int


Block = Down | Keep | Flatten | Linear


@dataclass(frozen=True)
class Blueprint:
    """The layers of a family's networks at one stage.

    Attributes:
        stem: Layers of each modality before the operator.
        trunk: Layers after the operator.
        head: Hidden widths of the last MLP; it ends in one logit per class, see ``binary_logits``. Operators that
            decide have none.
        stem_head: Hidden widths of an MLP on each stem, which makes the stem a classifier; None for stems that
            return features.
        experts: Whether these classifiers are trained first, each alone, and then frozen.
        binary_logits: Logits for two classes: 2 for cross-entropy, 1 for binary cross-entropy.
        operators: Those it is published with; of the family FIELD, those that ship here.
    """

    stem: tuple[Block, ...]
    trunk: tuple[Block, ...]
    head: tuple[int, ...]
    binary_logits: int
    operators: tuple[str, ...] = ()
    stem_head: tuple[int, ...] | None = None
    experts: bool = False


FIELD = "field"
"""The family in which every operator exists in every embedder, all with the same widths."""


def _down(*widths: int) -> tuple[Block, ...]:
    return tuple(Down(width) for width in widths)


BLUEPRINTS: Mapping[tuple[str, str], Blueprint] = MappingProxyType(
    {
        ("wide", SINGLE): Blueprint(_down(32, 64, 128), (), (1000, 100), 2),
        ("wide", "early"): Blueprint((), _down(32, 64, 128), (1000, 100), 2, ("concat",)),
        ("wide", "intermediate"): Blueprint(
            _down(32, 64, 128), (), (1000, 100), 2, ("concat", "add", "hadamard", "matmul")
        ),
        # The same function as the intermediate one under concatenation, as published: flattening before or after
        # stacking channels makes no difference.
        ("wide", "late"): Blueprint((*_down(32, 64, 128), Flatten()), (), (1000, 100), 2, ("concat",)),
        ("deep", "intermediate"): Blueprint(_down(50, 100), (Down(200), Keep(200)), (100,), 1, ("concat",)),
        ("experts", SINGLE): Blueprint(_down(50, 100, 200), (), (1000, 100), 1),
        ("experts", "intermediate"): Blueprint(
            _down(25, 50, 100), (), (1000, 100), 1, ("concat", "add", "hadamard")
        ),
        ("experts", "late"): Blueprint(_down(50, 100, 200), (), (10,), 1, ("logits",), (1000, 100), experts=True),
        ("compact", "intermediate"): Blueprint(
            _down(50, 100), (Down(100),), (100,), 1, ("concat", "add", "hadamard")
        ),
        ("compact", "late"): Blueprint((*_down(25, 50, 100), Linear(100)), (), (100,), 1, ("concat",)),
        (FIELD, SINGLE): Blueprint(_down(16, 32, 64), (), (32,), 2),
        (FIELD, "early"): Blueprint((), _down(16, 32, 64), (32,), 2, ("concat",)),
        (FIELD, "intermediate"): Blueprint(
            _down(16, 32),
            _down(64),
            (32,),
            2,
            (
                *("concat", "add", "hadamard", "matmul"),  # without parameters
                *("gmu", "film", "lmf", "tensor", "seadd", "crossattention", "embracenet"),  # with parameters
                *("mmtm", "cen", "mbt"),  # between the stages too
            ),
        ),
        (FIELD, "late"): Blueprint(_down(16, 32, 64), (), (), 2, ("mean", "product"), stem_head=(32,)),
    }
)
"""Family and stage to layers, in the order of tables."""

FAMILIES = tuple(dict.fromkeys(family for family, _ in BLUEPRINTS))

CUSTOM = "custom"
"""Family and stage of models that are functions of a plug-in or of a Python prompt."""


TORCHVISION: Mapping[str, str] = MappingProxyType(
    {
        "resnet": "resnet18",
        "convnext": "convnext_tiny",
        "efficientnet": "efficientnet_b0",
        "mobilenet": "mobilenet_v3_small",
    }
)
"""The kinds of torchvision's networks that can be backbones, each with the one that the kind alone stands for."""

REFERENCE = "maxpool"
"""The embedder that controls are matched with."""

CONTROLS = ("parameters", "operations")
"""What a control has as much of as another model: ``<model>.parameters`` and ``<model>.operations``.

Its convolutions are made wider or narrower until it has. The other model is the one with MaxPool; for models with
MaxPool, the one that concatenates.
"""


@dataclass(frozen=True)
class ModelSpec:
    """One model: where (stage), how (operator) and with what (embedder) a family fuses which modalities.

    Attributes:
        family: A set of widths, the name of a backbone, or CUSTOM.
        stage: "early", "intermediate", "late", SINGLE or CUSTOM; of a backbone also the name of one of its stages,
            after which modalities are fused.
        operator: A name of OPERATORS; "none" for one modality, "" for custom models.
        embedder: A name of EMBEDDERS, for controls with ".parameters" or ".operations" after it; "" for backbones
            and custom models.
        modalities: What it sees; () for all modalities of the data, in their order.
        custom: The name of a custom model; ``build`` builds it.
    """

    family: str
    stage: str
    operator: str
    embedder: str
    modalities: tuple[str, ...] = ()
    custom: str = ""
    build: BuildModel | None = field(default=None, compare=False)

    @property
    def strategy(self) -> str:
        """The name without the embedder: what models that differ in their downsampling alone have in common."""
        if self.custom:
            return self.custom
        if self.stage == SINGLE:
            return f"{self.family}-{self.modalities[0]}"
        return "-".join(filter(None, (self.family, self.stage, self.operator, "+".join(self.modalities))))

    @property
    def name(self) -> str:
        """The model's name in ids, records and tables."""
        return f"{self.strategy}-{self.embedder}" if self.embedder else self.strategy

    @property
    def control(self) -> str:
        """Of CONTROLS, what the model has as much of as ``matches()``; "" for models that are no controls."""
        _, _, control = self.embedder.rpartition(".")
        return control if control in CONTROLS else ""

    @property
    def block(self) -> str:
        """The name of the embedder in EMBEDDERS."""
        return self.embedder.removesuffix(f".{self.control}") if self.control else self.embedder

    def matches(self) -> "ModelSpec":
        """The model that a control has as many parameters or operations as.

        Raises:
            ModelError: It is that model itself.
        """
        operator = "concat" if self.block == REFERENCE and self.stage == "intermediate" else self.operator
        other = replace(self, embedder=REFERENCE, operator=operator)
        if (other.operator, self.block) == (self.operator, REFERENCE):
            raise ModelError(
                f"{self.name} would be matched with itself; its name without .{self.control} is enough"
            )
        return other

    def sees(self, modalities: Mapping[str, object]) -> tuple[str, ...]:
        """Which of the data's modalities the model sees, in the order it fuses them.

        Raises:
            ModelError: The data lack one, or have one only where several are fused.
        """
        missing = [modality for modality in self.modalities if modality not in modalities]
        if missing:
            raise ModelError(
                f"{self.name} needs the modality {missing[0]!r}; the data have {', '.join(modalities)}"
            )
        if not self.modalities and self.stage != CUSTOM and len(modalities) < 2:
            raise ModelError(f"{self.name} fuses modalities; the data have only {', '.join(modalities)}")
        return self.modalities or tuple(modalities)


_PUBLISHED_EMBEDDERS = ("maxpool", "strided")

_FIELD_EMBEDDERS = ("avgpool", "blurpool", "blurconv", "convpool", "spd", "patchify", "aps")
"""Those that the family FIELD has besides."""

_SINGLES = ("rgb", "lidar")


def _strategies(families: tuple[str, ...]) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """Family, stage, operator and modalities of every model with an embedder, in the order of tables."""
    for (family, stage), blueprint in BLUEPRINTS.items():
        if family in families:
            if stage == SINGLE:
                yield from ((family, SINGLE, "none", (modality,)) for modality in _SINGLES)
            yield from ((family, stage, operator, ()) for operator in blueprint.operators)
    for operator, part in OPERATORS.added.items():
        joined = [f for f in part.families if f in families and (f, "intermediate") in BLUEPRINTS]
        yield from ((family, "intermediate", operator, ()) for family in joined)


def embedders_of(family: str) -> tuple[str, ...]:
    """The embedders that a family's models exist in, those of plug-ins included."""
    shipped = (*_PUBLISHED_EMBEDDERS, *(_FIELD_EMBEDDERS if family == FIELD else ()))
    return (*shipped, *(name for name, part in EMBEDDERS.added.items() if family in part.families))


def _with_embedders(*families: str) -> Iterator[ModelSpec]:
    for family, stage, operator, modalities in _strategies(families):
        yield from (ModelSpec(family, stage, operator, name, modalities) for name in embedders_of(family))


def _field_specs() -> Iterator[ModelSpec]:
    return _with_embedders(FIELD)


def _standard_specs() -> Iterator[ModelSpec]:
    yield from _with_embedders(*(family for family in FAMILIES if family != FIELD))
    for family in BACKBONES.added:
        yield from (ModelSpec(family, SINGLE, "none", "", (modality,)) for modality in _SINGLES)
        operators = [name for name, part in OPERATORS.added.items() if family in part.families]
        yield from (ModelSpec(family, "intermediate", name, "") for name in ("concat", "add", *operators))
        yield ModelSpec(family, "late", "logits", "")
    for name, build in CUSTOM_MODELS.added.items():
        yield ModelSpec(CUSTOM, CUSTOM, "", "", custom=name, build=build)


def _require_families() -> None:
    """Refuse operators and embedders of plug-ins for families that do not exist: no model would have them.

    Raises:
        PluginError: One of them names such a family.
    """
    with_operators = {family for family, stage in BLUEPRINTS if stage == "intermediate"} | {*BACKBONES.added}
    for registry, families in ((OPERATORS, with_operators), (EMBEDDERS, {*FAMILIES})):
        for name, part in registry.added.items():
            if unknown := [family for family in part.families if family not in families]:
                raise PluginError(
                    f"{registry.file(name)}: the {registry.kind} {name!r} cannot join the family {unknown[0]!r}; "
                    f"it can join {', '.join(sorted(families))}"
                )


class _Models(Mapping[str, ModelSpec]):
    """Models by name: those that ship here, then those that plug-ins have added so far."""

    def __init__(self, specs: Callable[[], Iterator[ModelSpec]]) -> None:
        self._specs = specs

    def _by_name(self) -> dict[str, ModelSpec]:
        _require_families()
        by_name: dict[str, ModelSpec] = {}
        for spec in self._specs():
            if spec.name in by_name:
                raise PluginError(
                    f"two models have the name {spec.name!r}; rename the operator, the embedder or the model of a "
                    "plug-in that makes it"
                )
            by_name[spec.name] = spec
        return by_name

    def __getitem__(self, name: str) -> ModelSpec:
        return self._by_name()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name())

    def __len__(self) -> int:
        return len(self._by_name())

    def items(self) -> ItemsView[str, ModelSpec]:
        """Made once; those of Mapping would make all models anew for each."""
        return self._by_name().items()

    def values(self) -> ValuesView[ModelSpec]:
        """Likewise."""
        return self._by_name().values()


MODELS: Mapping[str, ModelSpec] = _Models(_standard_specs)
"""The models of the standard study."""

FIELD_MODELS: Mapping[str, ModelSpec] = _Models(_field_specs)
"""The models of the family FIELD, which studies of their own train."""


def with_single_modalities(specs: Sequence[ModelSpec], modalities: Iterable[str]) -> list[ModelSpec]:
    """The models, and where the single-modality models of the usual modalities are among them, those of others.

    Args:
        specs: Models in the order of tables.
        modalities: Of the data; usual ones add nothing.
    """
    others = [modality for modality in modalities if modality not in _SINGLES]
    extended: list[ModelSpec] = []
    for spec in specs:
        extended.append(spec)
        if spec.modalities == _SINGLES[-1:] and {replace(spec, modalities=(usual,)) for usual in _SINGLES} <= set(
            specs
        ):
            extended += [replace(spec, modalities=(modality,)) for modality in others]
    return extended


def find_model(name: str) -> ModelSpec:
    """The model of this name.

    Single-modality models exist for any modality that data may have, controls for any model with an embedder, and
    models on a backbone for any of its stages and all operators.

    Raises:
        ModelError: No model has the name; the message lists all that exist.
    """
    spec = MODELS.get(name) or FIELD_MODELS.get(name) or _single(name) or _on_backbone(name) or _control(name)
    if spec is None:
        raise ModelError(
            f"unknown model {name!r}; the models are: {', '.join(MODELS)}; those of the family {FIELD}, such as "
            f"field-intermediate-mmtm-blurpool; and those on torchvision's {', '.join(TORCHVISION)}, such as "
            "resnet18-late-mean, resnet50-layer2-add and resnet-rgb"
        )
    return spec


def is_model(name: str) -> bool:
    """Whether a model of this name is built from widths and parts, or registered."""
    return name in MODELS or name in FIELD_MODELS or _single(name) is not None


def is_family(name: str) -> bool:
    """Whether a name stands for a family of widths, for custom models, or for a network of torchvision."""
    if not is_torchvision(name) or name in TORCHVISION:
        return name in (*FAMILIES, CUSTOM)
    from torchvision.models import list_models

    return name in list_models()


def _single(name: str) -> ModelSpec | None:
    family, _, rest = name.partition("-")
    if (family, SINGLE) not in BLUEPRINTS:
        return None
    # The modality and the embedder may have a "-" in their names.
    for embedder in sorted(embedders_of(family), key=len, reverse=True):
        modality = rest.removesuffix(f"-{embedder}")
        if modality not in ("", rest) and not _STAGE.match(modality):
            return ModelSpec(family, SINGLE, "none", embedder, (modality,))
    return None


_STAGE = re.compile(r"(early|intermediate|late|layer\d+|features\d+)-")
"""What a name continues with after its family if the model fuses modalities."""


def _on_backbone(name: str) -> ModelSpec | None:
    first = name.partition("-")[0]
    families = (*BACKBONES.added, *([first] if is_torchvision(first) else []))
    # That of a plug-in and a modality may have a "-" in their names.
    family = max((f for f in families if name.startswith(f"{f}-")), key=len, default="")
    rest = name.removeprefix(f"{family}-")
    if not family or not rest:
        return None
    if not _STAGE.match(rest):
        return ModelSpec(family, SINGLE, "none", "", (rest,))
    stage, _, operator = rest.partition("-")
    decisions = (*BLUEPRINTS[FIELD, "late"].operators, *BLUEPRINTS["experts", "late"].operators)
    features = (*BLUEPRINTS[FIELD, "intermediate"].operators, *OPERATORS.added)
    if operator not in (decisions if stage == "late" else features):
        return None
    return ModelSpec(family, stage, operator, "")


def is_torchvision(family: str) -> bool:
    """Whether a family is named after a network of torchvision that may be a backbone."""
    return family.startswith(tuple(TORCHVISION))


def _control(name: str) -> ModelSpec | None:
    model, _, control = name.rpartition(".")
    if control not in CONTROLS:
        return None
    spec = find_model(model)
    if not spec.embedder or spec.control:
        return None
    return replace(spec, embedder=f"{spec.embedder}.{control}")
