from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models

from fusion_models import (
    BACKBONES,
    MODELS,
    FusionNet,
    ModelError,
    build_model,
    find_model,
    register_backbone,
    torchvision_backbone,
)
from fusion_models.zoo import TORCHVISION
from tests.fusion_models.test_determinism import RAISING, operations
from tests.fusion_models.test_zoo import assert_gradients_reach_all, count

CHANNELS = {"rgb": 4, "lidar": 1}
RESNET18 = 11_176_512  # without its classifier, for three channels
FIRST = 64 * 7 * 7  # weights of its first convolution per channel


def outline(name: str, size: int = 64, channels: Mapping[str, int] = CHANNELS) -> FusionNet:
    with torch.device("meta"):
        network = build_model(name, channels=channels, image_size=(size, size), classes=3)
    assert isinstance(network, FusionNet)
    return network


def logits(network: FusionNet, size: int = 64, channels: Mapping[str, int] = CHANNELS) -> Tensor:
    result: Tensor = network({m: torch.empty(2, c, size, size, device="meta") for m, c in channels.items()})
    return result


def test_backbones_are_registered_as_those_of_plugins_are_and_not_in_the_standard_study() -> None:
    assert list(BACKBONES) == list(TORCHVISION)
    assert BACKBONES.added == {}
    assert not any(name.startswith(tuple(TORCHVISION)) for name in MODELS)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("resnet-rgb", RESNET18 + FIRST + 512 * 3 + 3),
        ("resnet-late-mean", 2 * RESNET18 + (1 - 2) * FIRST + 2 * (512 * 3 + 3)),
        ("resnet-late-logits", 2 * RESNET18 + (1 - 2) * FIRST + 2 * (512 * 3 + 3) + 6 * 3 + 3),
        ("resnet-intermediate-concat", 2 * RESNET18 + (1 - 2) * FIRST + 1024 * 3 + 3),
        # Layers 3 and 4 are shared: 2,099,712 and 8,393,728 parameters.
        ("resnet-layer2-add", RESNET18 + (RESNET18 - 2_099_712 - 8_393_728) - FIRST + 512 * 3 + 3),
    ],
)
def test_parameters_and_logits(name: str, parameters: int) -> None:
    network = outline(name)
    assert count(network) == parameters
    assert logits(network).shape == (2, 3)


@pytest.mark.parametrize("name", ["resnet-layer2-add", "mobilenet-late-mean"])
def test_images_of_224_pixels(name: str) -> None:
    small, large = outline(name), outline(name, 224)
    assert count(small) == count(large)
    assert logits(large, 224).shape == (2, 3)


@pytest.mark.parametrize("name", ["convnext-rgb", "efficientnet_b0-rgb", "mobilenet_v2-features2-concat"])
def test_other_kinds_of_networks(name: str) -> None:
    assert logits(outline(name)).shape == (2, 3)


def test_three_modalities_are_fused_after_a_stage() -> None:
    channels = {**CHANNELS, "thermal": 1}
    network = outline("resnet-layer1-gmu", channels=channels)
    assert logits(network, channels=channels).shape == (2, 3)
    assert [len(stem) for stem in network.stems.values()] == [1, 1, 1]  # type: ignore[arg-type]


def test_operators_exchange_features_after_each_stage() -> None:
    assert len(outline("resnet-layer3-mmtm").exchanges) == 3
    assert len(outline("resnet-intermediate-mmtm").exchanges) == 4


@pytest.mark.parametrize("name", ["resnet-layer2-concat", "mobilenet-late-mean"])
def test_every_parameter_gets_a_gradient(name: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_model(name, channels={"rgb": 4, "lidar": 4}, image_size=(16, 16), classes=3)
    assert_gradients_reach_all(network)


def test_no_operation_raises_on_cuda_in_deterministic_mode() -> None:
    for name in ("resnet18", "mobilenet_v3_small"):
        stages = torchvision_backbone(name, 3, (32, 32))
        assert not operations(stages, torch.randn(2, 3, 32, 32)) & set(RAISING)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[models.ResNet, Path]:
    """A network of torchvision, and the file of its weights, as published ones are."""
    network, path = models.resnet18(weights=None).eval(), tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(network.state_dict(), path)
    return network, path


Published = tuple[models.ResNet, Path]


def test_weights_of_a_file_give_the_features_of_torchvision(published: Published, tmp_path: Path) -> None:
    (network, path), x = published, torch.randn(2, 3, 64, 64)
    save_file(network.state_dict(), tmp_path / "resnet18.safetensors")
    for file in (path, tmp_path / "resnet18.safetensors"):
        stages = torchvision_backbone("resnet18", 3, (64, 64), weights=file).eval()
        features = stages(x)
        assert features.shape == (2, *stages.out_shape)  # type: ignore[misc]
        torch.testing.assert_close(network.fc(features.mean(dim=(2, 3))), network(x))


@pytest.mark.parametrize("channels", [1, 4])
def test_the_first_convolution_is_repeated_over_the_channels(channels: int, published: Published) -> None:
    network, path = published
    stages = torchvision_backbone("resnet18", channels, (32, 32), weights=path)
    ours, first = stages.get_parameter("layer1.0.weight"), network.conv1.weight
    assert ours.shape[1] == channels
    assert all(torch.equal(ours[:, c], first[:, c % 3] * (3 / channels)) for c in range(channels))


def test_files_that_are_not_the_weights_are_named(published: Published, tmp_path: Path) -> None:
    def load(path: Path, name: str = "resnet18") -> None:
        torchvision_backbone(name, 4, (32, 32), weights=path)

    with pytest.raises(ModelError, match=r"absent\.pth do not exist; give the path of a file"):
        load(tmp_path / "absent.pth")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(ModelError, match=r"text\.pth are not a file of weights that can be read"):
        load(tmp_path / "text.pth")
    with pytest.raises(ModelError, match=r"resnet18\.pth are not those of resnet34: layer1.* is missing or has"):
        load(published[1], "resnet34")
    with pytest.raises(ModelError, match=r"are not those of mobilenet_v2: they have no features.0.0.weight"):
        load(published[1], "mobilenet_v2")


@pytest.mark.usefixtures("registries")
def test_a_plugin_gives_a_backbone_the_weights_of_a_file(published: Published) -> None:
    network, path = published

    @register_backbone("pretrained")
    def pretrained(channels: int, image_size: tuple[int, int]) -> nn.Module:
        return torchvision_backbone("resnet18", channels, image_size, weights=path)

    built = build_model("pretrained-layer2-add", channels={"rgb": 3, "lidar": 4}, image_size=(32, 32), classes=2)
    assert isinstance(built, FusionNet)
    weights = [stem.get_parameter("0.0.weight") for stem in built.stems.values()]
    assert torch.equal(weights[0], network.conv1.weight)
    assert torch.equal(weights[1][:, 1], network.conv1.weight[:, 1] * 3 / 4)
    assert torch.equal(built.trunk.get_parameter("1.1.conv2.weight"), network.layer4[1].conv2.weight)


@pytest.mark.usefixtures("registries")
def test_the_whole_of_other_backbones_is_one_stage() -> None:
    @register_backbone("tiny")
    def tiny(channels: int, image_size: tuple[int, int]) -> nn.Module:
        made = nn.Sequential(nn.Conv2d(channels, 6, kernel_size=4, stride=4), nn.ReLU())
        made.out_shape = (6, image_size[0] // 4, image_size[1] // 4)  # type: ignore[assignment]
        return made

    network = outline("tiny-intermediate-mmtm")
    assert len(network.exchanges) == 1
    assert logits(network).shape == logits(outline("tiny-late-mean")).shape == (2, 3)
    with pytest.raises(ModelError, match=r"the backbone tiny has no stage 'layer1'; it has intermediate .*, late"):
        outline("tiny-layer1-add")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "vit_b_16-late-mean",
            "unknown model 'vit_b_16-late-mean'.* torchvision's resnet, convnext, efficientnet, mob",
        ),
        ("resnet19-rgb", "torchvision's resnet19 cannot be a backbone; these can: .*resnet18"),
        (
            "resnet-layer9-add",
            "the backbone resnet has no stage 'layer9'; it has layer1, layer2, layer3, intermediate",
        ),
        ("resnet-early-concat", "the backbone resnet has no stage 'early'"),
        ("resnet-late-add", "unknown model"),
        ("resnet-layer2-divide", "unknown model"),
    ],
)
def test_what_does_not_exist_is_refused(name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        outline(name)


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tiny-net-depth", ("tiny-net", "single", "none", ("depth",))),
        ("tiny-net-my-cam", ("tiny-net", "single", "none", ("my-cam",))),
        ("tiny-net-late-mean", ("tiny-net", "late", "mean", ())),
        ("tiny-depth", ("tiny", "single", "none", ("depth",))),
        ("resnet-my-cam", ("resnet", "single", "none", ("my-cam",))),
        ("resnet-layered-cam", ("resnet", "single", "none", ("layered-cam",))),
    ],
)
def test_backbones_and_modalities_may_have_a_dash_in_their_names(
    name: str, expected: tuple[str, str, str, tuple[str, ...]]
) -> None:
    for backbone in ("tiny", "tiny-net"):
        register_backbone(backbone)(nn.Identity)
    spec = find_model(name)
    assert (spec.family, spec.stage, spec.operator, spec.modalities) == expected
    assert spec.name == name


@pytest.mark.parametrize("name", ["tiny-net", "resnet-", "resnet-late-"])
def test_names_without_a_modality_or_an_operator_are_unknown(name: str) -> None:
    with pytest.raises(ModelError, match="unknown model"):
        find_model(name)


def test_names_are_those_of_networks_stages_and_operators() -> None:
    spec = find_model("resnet50-layer3-crossattention")
    assert (spec.family, spec.stage, spec.operator, spec.embedder) == ("resnet50", "layer3", "crossattention", "")
    assert find_model("resnet-thermal").modalities == ("thermal",)
