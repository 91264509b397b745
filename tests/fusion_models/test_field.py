"""The family in which every operator exists in every embedder, and the controls of any family."""

import pytest
import torch
from torch import nn

from bench.training.measurement import training_flops
from data_utils import Batch
from fusion_models import (
    BLUEPRINTS,
    FIELD_MODELS,
    MODELS,
    FusionNet,
    ModelError,
    ModelSpec,
    build_model,
    find_model,
)
from tests.fusion_models import test_embedders
from tests.fusion_models.operators.samples import COUNTS
from tests.fusion_models.test_zoo import CHANNELS, assert_gradients_reach_all, build, count, images, outline

OPERATORS = BLUEPRINTS["field", "intermediate"].operators
BETWEEN_STAGES = ("mmtm", "cen", "mbt")
STRATEGIES = (
    "field-rgb",
    "field-lidar",
    "field-early-concat",
    *(f"field-intermediate-{operator}" for operator in OPERATORS),
    "field-late-mean",
    "field-late-product",
)
THREE = {"rgb": 3, "lidar": 4, "thermal": 1}

every_strategy = pytest.mark.parametrize("strategy", STRATEGIES)


def test_every_operator_exists_in_every_embedder_and_outside_the_standard_study() -> None:
    names = {f"{strategy}-{embedder}" for strategy in STRATEGIES for embedder in test_embedders.PARAMETERS}
    assert set(FIELD_MODELS) == names
    assert len(names) == (17 + 2) * 9
    assert not names & set(MODELS)
    assert find_model("field-intermediate-mmtm-blurpool") == FIELD_MODELS["field-intermediate-mmtm-blurpool"]
    assert find_model("field-thermal-aps").modalities == ("thermal",)


def expected_parameters(spec: ModelSpec) -> int:
    block = test_embedders.PARAMETERS[spec.embedder]
    stem, last = block(4, 16) + block(16, 32), block(32, 64)
    head = 64 * 8 * 8 * 32 + 32 + 32 * 2 + 2
    match spec.stage:
        case "single":
            return stem + last + head
        case "early":
            return block(8, 16) + block(16, 32) + last + head
        case "late":
            return 2 * (stem + last + head)
    operator = COUNTS[spec.operator](2, 32)
    operator += COUNTS[spec.operator](2, 16) if spec.operator in BETWEEN_STAGES else 0
    return 2 * stem + operator + (block(64, 64) if spec.operator == "concat" else last) + head


def test_parameters_are_those_of_the_formulas() -> None:
    others = ("convpool", "spd", "patchify")  # the other six have those of a 3x3 convolution
    specs = [spec for spec in FIELD_MODELS.values() if spec.embedder in others or spec.operator in ("add", "none")]
    counts = {spec.name: count(outline(spec)) for spec in specs}
    assert counts == {spec.name: expected_parameters(spec) for spec in specs}


@every_strategy
def test_every_parameter_gets_a_gradient_and_every_modality_counts(strategy: str) -> None:
    network, inputs = build(f"{strategy}-patchify"), images()
    assert_gradients_reach_all(network)
    network.eval()
    logits = network(inputs)
    assert logits.shape == (8, 2)
    others = images(seed=2)
    depends_on = tuple(m for m in CHANNELS if not torch.equal(network({**inputs, m: others[m]}), logits))
    assert depends_on == find_model(f"{strategy}-patchify").sees(CHANNELS)


@pytest.mark.parametrize("embedder", test_embedders.PARAMETERS)
def test_every_embedder_trains_in_every_stage(embedder: str) -> None:
    for strategy in ("field-rgb", "field-early-concat", "field-intermediate-concat", "field-late-mean"):
        assert_gradients_reach_all(build(f"{strategy}-{embedder}"))


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_third_modality_is_data_and_not_code(operator: str) -> None:
    with torch.device("meta"):
        network = build_model(
            f"field-intermediate-{operator}-strided", channels=THREE, image_size=(64, 64), classes=3
        )
    inputs = {m: torch.empty(2, width, 64, 64, device="meta") for m, width in THREE.items()}
    assert network(inputs).shape == (2, 3)


def test_a_fourth_modality_is_too_many_for_tensor_fusion() -> None:
    message = "field-intermediate-tensor-strided: TensorFusion would multiply 4 modalities to 1185921 features"
    with pytest.raises(ModelError, match=message):
        build_model(
            "field-intermediate-tensor-strided", channels={**THREE, "radar": 2}, image_size=(64, 64), classes=2
        )


@pytest.mark.parametrize("operator", OPERATORS)
def test_all_operators_start_from_the_same_stems(operator: str) -> None:
    ours, others = (build(f"field-intermediate-{name}-strided").stems.state_dict() for name in (operator, "add"))
    assert list(ours) == list(others)
    assert all(torch.equal(ours[key], others[key]) for key in ours)


@pytest.mark.parametrize("operator", OPERATORS)
def test_some_operators_act_after_each_of_the_two_stages(operator: str) -> None:
    exchanges = build(f"field-intermediate-{operator}-strided").exchanges
    assert len(exchanges) == (2 if operator in BETWEEN_STAGES else 0)


def test_late_fusion_combines_the_decisions_of_one_classifier_per_modality() -> None:
    mean, product = (build(f"field-late-{operator}-strided") for operator in ("mean", "product"))
    inputs = images()
    logits = [stem(inputs[modality]) for modality, stem in mean.stems.items()]
    torch.testing.assert_close(mean(inputs), (logits[0] + logits[1]) / 2)
    first, second = (x.softmax(dim=1) for x in logits)
    agreed = first * second
    torch.testing.assert_close(product(inputs).softmax(dim=1), agreed / agreed.sum(dim=1, keepdim=True))
    assert count(mean) == 2 * count(build("field-rgb-strided"))
    assert not mean.experts()


def operations(name: str) -> int:
    inputs = {m: torch.empty(1, width, 64, 64) for m, width in CHANNELS.items()}
    return training_flops(outline(name), Batch(inputs, torch.zeros(1, dtype=torch.long)))


@pytest.mark.parametrize(
    ("model", "other"),
    [
        ("field-intermediate-add-convpool", "field-intermediate-add-maxpool"),
        ("field-late-mean-patchify", "field-late-mean-maxpool"),
        ("field-rgb-strided", "field-rgb-maxpool"),
        ("field-intermediate-gmu-maxpool", "field-intermediate-concat-maxpool"),
        ("compact-late-concat-strided", "compact-late-concat-maxpool"),
    ],
)
def test_controls_have_the_parameters_or_the_operations_of_another_model(model: str, other: str) -> None:
    assert count(outline(f"{model}.parameters")) == pytest.approx(count(outline(other)), rel=0.02)
    assert operations(f"{model}.operations") == pytest.approx(operations(other), rel=0.04)


def test_a_control_that_needs_no_other_widths_keeps_them() -> None:
    same = outline("field-intermediate-add-strided.parameters")
    shapes = [p.shape for p in same.parameters()]
    assert shapes == [p.shape for p in outline("field-intermediate-add-strided").parameters()]


def test_a_control_is_a_model_of_its_strategy() -> None:
    spec = find_model("field-intermediate-add-strided.operations")
    assert (spec.strategy, spec.embedder, spec.block) == (
        "field-intermediate-add",
        "strided.operations",
        "strided",
    )
    assert spec.name == "field-intermediate-add-strided.operations"
    network = build(spec)
    assert isinstance(network, FusionNet)
    assert_gradients_reach_all(network)
    widths = [part.out_channels for part in network.modules() if isinstance(part, nn.Conv2d)]
    assert all(width > before for width, before in zip(widths, (16, 32, 16, 32, 64), strict=True))


@pytest.mark.parametrize("name", ["field-intermediate-concat-maxpool.parameters", "field-rgb-maxpool.operations"])
def test_a_model_is_no_control_of_itself(name: str) -> None:
    with pytest.raises(ModelError, match=r"would be matched with itself; its name without \.\w+ is enough"):
        build(name)


@pytest.mark.parametrize(
    "name",
    ["field-intermediate-add-strided.memory", "nothing.parameters", "field-rgb-strided.parameters.operations"],
)
def test_unknown_controls_are_unknown_models(name: str) -> None:
    with pytest.raises(ModelError, match="unknown model"):
        find_model(name)
