import subprocess
import sys
from collections.abc import Callable, Mapping
from itertools import combinations

import pytest
import torch
from torch import Tensor, nn

from fusion_models import (
    BLUEPRINTS,
    MODELS,
    FusionNet,
    ModelError,
    ModelSpec,
    Operator,
    build_model,
    register_backbone,
    register_embedder,
    register_model,
    register_operator,
)
from fusion_models import find_model as find
from fusiongauge import PluginError

CHANNELS = {"rgb": 4, "lidar": 4}

# Weights and biases at 64x64 with two classes, as published; the two wide baselines are derived from them below.
PARAMETERS = {
    "wide-early-concat": 8_387_990,
    "wide-intermediate-concat": 16_672_374,
    "wide-intermediate-add": 8_480_374,
    "wide-intermediate-hadamard": 8_480_374,
    "wide-intermediate-matmul": 8_480_374,
    "wide-late-concat": 16_672_374,
    "deep-intermediate-concat": 2_094_501,
    "experts-intermediate-concat": 13_015_851,
    "experts-intermediate-add": 6_615_851,
    "experts-intermediate-hadamard": 6_615_851,
    "experts-rgb": 13_128_351,
    "experts-lidar": 13_128_351,
    # Two experts and an MLP on their two logits: (2 * 10 + 10) + (10 * 1 + 1) = 41.
    "experts-late-logits": 2 * 13_128_351 + 41,
    "compact-late-concat": 1_415_051,
    "compact-intermediate-concat": 914_201,
    "compact-intermediate-add": 824_201,
    "compact-intermediate-hadamard": 824_201,
    # Convolutions (4*9*32 + 32) + (32*9*64 + 64) + (64*9*128 + 128) = 93,536; flattened 128*8*8 = 8192;
    # MLP (8192*1000 + 1000) + (1000*100 + 100) + (100*2 + 2) = 8,293,302.
    "wide-rgb": 93_536 + 8_293_302,
    "wide-lidar": 93_536 + 8_293_302,
}

LOGITS_OF_TWO_CLASSES = {"wide": 2, "deep": 1, "experts": 1, "compact": 1, "field": 2}

PUBLISHED = ("maxpool", "strided")
"""The embedders of all families."""

STRATEGIES = list(dict.fromkeys(spec.strategy for spec in MODELS.values()))

every_model = pytest.mark.parametrize("name", MODELS)


def fusion_net(model: ModelSpec | str, *, size: int, classes: int) -> FusionNet:
    network = build_model(model, channels=CHANNELS, image_size=(size, size), classes=classes)
    assert isinstance(network, FusionNet)
    return network


def build(model: ModelSpec | str, *, size: int = 16, classes: int = 2, seed: int = 0) -> FusionNet:
    """The model for small images; equal seeds draw equal weights."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return fusion_net(model, size=size, classes=classes)


def outline(model: ModelSpec | str, *, classes: int = 2) -> FusionNet:
    """The model at its published size, with shapes and without numbers."""
    with torch.device("meta"):
        return fusion_net(model, size=64, classes=classes)


def images(*, size: int = 16, seed: int = 1) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {m: torch.randn(8, channels, size, size, generator=generator) for m, channels in CHANNELS.items()}


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_every_strategy_of_the_table_is_a_model_in_every_embedder() -> None:
    assert set(STRATEGIES) == set(PARAMETERS)
    assert set(MODELS) == {f"{strategy}-{embedder}" for strategy in PARAMETERS for embedder in PUBLISHED}


@every_model
def test_a_model_is_registered_by_its_name(name: str) -> None:
    assert MODELS[name].name == name
    assert find(name) == MODELS[name]


@every_model
def test_parameters_are_those_published(name: str) -> None:
    assert count(outline(name)) == PARAMETERS[MODELS[name].strategy]


@pytest.mark.parametrize("embedder", PUBLISHED)
def test_frozen_experts_leave_41_parameters_to_train(embedder: str) -> None:
    network = outline(f"experts-late-logits-{embedder}")
    network.freeze_experts()
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == 41


@every_model
def test_logits_of_two_classes(name: str) -> None:
    inputs = {modality: torch.empty(3, 4, 64, 64, device="meta") for modality in CHANNELS}
    assert outline(name)(inputs).shape == (3, LOGITS_OF_TWO_CLASSES[MODELS[name].family])


@every_model
def test_logits_of_ten_classes(name: str) -> None:
    inputs = {modality: torch.empty(3, 4, 64, 64, device="meta") for modality in CHANNELS}
    assert outline(name, classes=10)(inputs).shape == (3, 10)


@every_model
def test_every_trainable_parameter_gets_a_gradient(name: str) -> None:
    network = build(name)
    experts = network.experts()
    for expert in experts.values():
        assert_gradients_reach_all(expert)
    network.freeze_experts()
    assert_gradients_reach_all(network)


def assert_gradients_reach_all(network: nn.Module) -> None:
    network.zero_grad()
    network(images()).square().sum().backward()
    trainable = {name: p for name, p in network.named_parameters() if p.requires_grad}
    assert trainable
    without = [name for name, p in trainable.items() if p.grad is None or not p.grad.any()]
    assert not without


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_paired_variants_start_from_the_same_weights(strategy: str) -> None:
    maxpool, strided = (build(f"{strategy}-{embedder}").state_dict() for embedder in ("maxpool", "strided"))
    assert list(maxpool) == list(strided)
    assert all(torch.equal(maxpool[key], strided[key]) for key in maxpool)


def test_other_seeds_start_from_other_weights() -> None:
    name = "compact-late-concat-strided"
    first, other = build(name, seed=1).state_dict(), build(name, seed=2).state_dict()
    assert not any(torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_paired_variants_are_different_functions(strategy: str) -> None:
    maxpool, strided = (build(f"{strategy}-{embedder}") for embedder in ("maxpool", "strided"))
    assert not torch.equal(maxpool(images()), strided(images()))


@pytest.mark.parametrize("embedder", PUBLISHED)
def test_wide_late_and_wide_intermediate_concatenation_are_one_function(embedder: str) -> None:
    intermediate = build(f"wide-intermediate-concat-{embedder}", size=64)
    late = build(f"wide-late-concat-{embedder}", size=64, seed=1)
    assert one_function(intermediate, late, images(size=64))


@pytest.mark.parametrize("embedder", PUBLISHED)
def test_no_other_two_models_are_one_function(embedder: str) -> None:
    specs = [spec for spec in MODELS.values() if spec.embedder == embedder]
    sizes = {spec.strategy: count(outline(spec)) for spec in specs}
    pairs = [pair for pair in combinations(sizes, 2) if sizes[pair[0]] == sizes[pair[1]]]
    # Besides the pair above: the 3 pairs of wide add, hadamard and matmul, experts and compact add and hadamard,
    # and the two modalities of both baselines.
    assert len(pairs) >= 1 + 3 + 2 + 2
    same = set()
    for pair in pairs:
        first, second = (build(f"{strategy}-{embedder}") for strategy in pair)
        if one_function(first, second, images()):
            same.add(frozenset(pair))
    assert same == {frozenset({"wide-intermediate-concat", "wide-late-concat"})}


def one_function(first: nn.Module, second: nn.Module, inputs: dict[str, Tensor]) -> bool:
    """Whether the two return the same bits under the same weights."""
    mine, others = list(first.parameters()), list(second.parameters())
    if [p.shape for p in mine] != [p.shape for p in others]:
        return False
    with torch.no_grad():
        for parameter, other in zip(mine, others, strict=True):
            parameter.copy_(other)
        return torch.equal(first(inputs), second(inputs))


@every_model
def test_a_model_depends_on_its_modalities_alone_and_not_on_their_order(name: str) -> None:
    network, inputs, others = build(name), images(seed=1), images(seed=2)
    logits = network(inputs)
    shuffled = {"thermal": torch.rand(8, 1, 16, 16), "lidar": inputs["lidar"], "rgb": inputs["rgb"]}
    assert torch.equal(network(shuffled), logits)
    depends_on = tuple(m for m in CHANNELS if not torch.equal(network({**inputs, m: others[m]}), logits))
    assert depends_on == MODELS[name].sees(CHANNELS)


@pytest.mark.parametrize("names", [("early", "concat"), ("intermediate", "add"), ("late", "concat")])
def test_a_third_modality_is_data_and_not_code(names: tuple[str, str]) -> None:
    spec = ModelSpec("wide", *names, "strided")
    channels = (
        {"rgb": 3, "lidar": 4, "thermal": 1} if names[0] != "early" else {"rgb": 2, "lidar": 2, "thermal": 2}
    )
    assert spec.sees(channels) == ("rgb", "lidar", "thermal")
    network = build_model(spec, channels=channels, image_size=(16, 8), classes=3)
    inputs = {m: torch.rand(2, width, 16, 8) for m, width in channels.items()}
    assert network(inputs).shape == (2, 3)


def test_a_model_of_some_modalities_is_another_model() -> None:
    pair = ModelSpec("wide", "intermediate", "add", "strided", ("rgb", "thermal"))
    assert pair.name == "wide-intermediate-add-rgb+thermal-strided"
    assert pair.sees({"rgb": 3, "lidar": 4, "thermal": 1}) == ("rgb", "thermal")


def test_a_single_modality_of_any_name_is_found() -> None:
    spec = find("wide-thermal-strided")
    assert (spec.stage, spec.modalities, spec.name) == ("single", ("thermal",), "wide-thermal-strided")
    with pytest.raises(ModelError, match="unknown model 'compact-thermal-strided'"):
        find("compact-thermal-strided")  # a family without baselines of one modality


def test_fusion_needs_two_modalities() -> None:
    with pytest.raises(ModelError, match="fuses modalities; the data have only rgb"):
        find("compact-late-concat-strided").sees({"rgb": 4})


@pytest.fixture
def plugged(registries: None) -> None:  # noqa: ARG001
    """An operator, an embedder, a backbone and a model, as a plug-in registers them."""

    @register_operator("maximum", families=("compact", "tiny"))
    class Maximum(Operator):
        def forward(self, features: list[Tensor]) -> Tensor:  # type: ignore[override]
            return torch.stack(list(features)).amax(dim=0)

    @register_embedder("average")
    class AveragePool(nn.Sequential):
        def __init__(self, in_channels: int, out_channels: int) -> None:
            super().__init__(nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2))

    @register_backbone("tiny")
    class Tiny(nn.Sequential):
        def __init__(self, channels: int, image_size: tuple[int, int]) -> None:
            super().__init__(nn.Conv2d(channels, 6, kernel_size=4, stride=4), nn.ReLU())
            self.out_shape = (6, image_size[0] // 4, image_size[1] // 4)

    @register_model("flat")
    def flat(channels: Mapping[str, int], image_size: tuple[int, int], classes: int) -> nn.Module:
        return Flat(channels["rgb"] * image_size[0] * image_size[1], classes)


class Flat(nn.Module):
    def __init__(self, pixels: int, classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(pixels, classes)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        logits: Tensor = self.layer(inputs["rgb"].flatten(1))
        return logits


@pytest.mark.usefixtures("plugged")
def test_what_plugins_register_becomes_models_of_its_families_and_no_others() -> None:
    shipped = {f"{strategy}-{embedder}" for strategy in PARAMETERS for embedder in ("maxpool", "strided")}
    compact = ("late-concat", "intermediate-concat", "intermediate-add", "intermediate-hadamard")
    assert set(MODELS) - shipped == {
        *(f"compact-{strategy}-average" for strategy in (*compact, "intermediate-maximum")),
        *(f"compact-intermediate-maximum-{embedder}" for embedder in ("maxpool", "strided")),
        "tiny-rgb",
        "tiny-lidar",
        "tiny-intermediate-concat",
        "tiny-intermediate-add",
        "tiny-intermediate-maximum",
        "tiny-late-logits",
        "flat",
    }


@pytest.mark.usefixtures("plugged")
@pytest.mark.parametrize("classes", [2, 3])
def test_models_of_plugins_are_built_by_their_names(classes: int) -> None:
    for name in list(MODELS):
        if any(part in name for part in ("average", "maximum", "tiny", "flat")):
            network = build_model(name, channels=CHANNELS, image_size=(16, 16), classes=classes)
            logits = 1 if classes == 2 and name.startswith("compact") else classes
            assert network(images()).shape == (8, logits), name
            assert isinstance(network, FusionNet) is (name != "flat")


@pytest.mark.usefixtures("plugged")
def test_every_family_can_have_another_embedder() -> None:
    for family, stage in BLUEPRINTS:
        operator, modalities = ("none", ("rgb",)) if stage == "single" else ("concat", ())
        network = build(ModelSpec(family, stage, operator, "average", modalities))
        assert any(isinstance(module, nn.AvgPool2d) for module in network.modules())
        assert network(images()).shape == (8, LOGITS_OF_TWO_CLASSES[family])


@pytest.mark.usefixtures("plugged")
@pytest.mark.parametrize(
    ("register", "name"),
    [
        (register_operator, "add"),
        (register_embedder, "average"),
        (register_backbone, "tiny"),
        (register_model, "flat"),
        (register_model, "compact-late-concat-strided"),
    ],
)
def test_a_name_that_is_taken_is_refused_with_the_file(
    register: Callable[[str], Callable[[type], object]], name: str
) -> None:
    with pytest.raises(PluginError, match=rf"test_zoo\.py: .*{name}.* already.*choose another name"):
        register(name)(Flat)
    with pytest.raises(PluginError, match=r"test_zoo\.py: 'a name' cannot name a"):
        register("a name")(Flat)


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize(
    ("register", "name"),
    [
        (register_model, "field-intermediate-mmtm-blurpool"),
        (register_model, "wide-thermal-maxpool"),
        (register_backbone, "compact"),
        (register_backbone, "field"),
        (register_backbone, "custom"),
        (register_backbone, "resnet50"),
    ],
)
def test_a_name_that_already_stands_for_models_is_refused(
    register: Callable[[str], Callable[[type], object]], name: str
) -> None:
    with pytest.raises(PluginError, match=rf"test_zoo\.py: there is a (model|family) '{name}' already"):
        register(name)(Flat)
    register("resnet-of-mine")(Flat)


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize("name", ["mine.parameters", "operations"])
def test_an_embedder_is_not_named_as_a_control(name: str) -> None:
    with pytest.raises(PluginError, match=f"'{name}' is the name of a control"):
        register_embedder(name)(Flat)


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize("register", [register_operator, register_embedder])
def test_families_that_do_not_exist_are_refused(register: Callable[..., Callable[[type], object]]) -> None:
    with pytest.raises(PluginError, match=r"test_zoo\.py: families='deep'; give a tuple, \('deep',\)"):
        register("mine", families="deep")(Flat)
    register("mine", families=("deep", "compcat"))(Flat)
    with pytest.raises(PluginError, match=r"test_zoo\.py: the .* 'mine' cannot join the family 'compcat'; it can"):
        find("compact-late-concat-strided")


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize("first", ["operator", "model"])
def test_parts_that_make_the_name_of_another_model_are_refused(first: str) -> None:
    if first == "model":
        register_model("compact-intermediate-mine-strided")(lambda *_: nn.Identity())
        register_operator("mine")(Flat)
    else:
        register_operator("mine-other")(Flat)
        register_embedder("third")(Flat)
        register_operator("mine")(Flat)
        register_embedder("other-third")(Flat)
    with pytest.raises(PluginError, match="two models have the name 'compact-intermediate-mine-"):
        list(MODELS)


@pytest.mark.usefixtures("registries")
def test_names_of_embedders_and_modalities_may_have_dashes() -> None:
    for embedder in ("l2-pool", "soft-maxpool"):
        register_embedder(embedder)(Flat)
    for name, modality in {"thermal": "thermal", "rgb-left": "rgb-left"}.items():
        for embedder in ("l2-pool", "soft-maxpool", "maxpool"):
            spec = find(f"field-{name}-{embedder}")
            assert (spec.name, spec.modalities, spec.embedder) == (
                f"field-{name}-{embedder}",
                (modality,),
                embedder,
            )
    with pytest.raises(ModelError, match="unknown model 'field-intermediate-gmuu-l2-pool'"):
        find("field-intermediate-gmuu-l2-pool")


@pytest.mark.slow
def test_what_ships_is_not_added_by_plugins_whatever_is_imported_first() -> None:
    code = (
        "import fusion_models.embedders\nfrom fusion_models import EMBEDDERS, MODELS, OPERATORS\n"
        "print(len(MODELS), len(EMBEDDERS.added), len(OPERATORS.added))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(2 * len(PARAMETERS)), "0", "0"]


def test_an_unknown_model_is_answered_with_all_names() -> None:
    with pytest.raises(ModelError, match=r"unknown model 'resnet'; the models are: .*compact-late-concat-strided"):
        build("resnet")


@pytest.mark.parametrize("size", [(20, 64), (64, 20)])
def test_images_must_be_divisible_as_often_as_they_are_halved(size: tuple[int, int]) -> None:
    with pytest.raises(ModelError, match=f"halves images 3 times: .*multiples of 8, not {size[0]}x{size[1]}"):
        build_model("wide-early-concat-strided", channels=CHANNELS, image_size=size, classes=2)


def test_matrix_products_need_square_images() -> None:
    with pytest.raises(ModelError, match=r"square maps \(C, N, N\), not \(128, 8, 4\)"):
        build_model("wide-intermediate-matmul-strided", channels=CHANNELS, image_size=(64, 32), classes=2)


def test_a_modality_the_data_lack_is_named() -> None:
    with pytest.raises(ModelError, match="needs the modality 'lidar'; the data have rgb, depth"):
        build_model("wide-lidar-strided", channels={"rgb": 4, "depth": 1}, image_size=(16, 16), classes=2)


@pytest.mark.parametrize("classes", [1, 0])
def test_fewer_than_two_classes_are_refused(classes: int) -> None:
    with pytest.raises(ModelError, match=f"at least two classes, not {classes}"):
        build("compact-late-concat-strided", classes=classes)
