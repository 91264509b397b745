import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bench.probes.features import (
    SHIFTS_PX,
    linear_cka,
    measure,
    receptive_field_px,
    shift_consistency,
    zero_gradients,
)
from bench.probes.subject import Subject, load_subject
from bench.training.runs import run
from data_utils import Batch, PairedDataset
from fusion_models import FusionNet
from fusion_models.embedders import Strided
from fusion_models.operators import PassThrough
from tests.bench.samples import SMALL, record, run_config
from tests.bench.toys import Echo


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def trained(model: str, seed: int, dataset: PairedDataset, folder: Path) -> Subject:
    return load_subject(run(model, dataset, seed, SMALL, results_dir=folder), dataset, run_config(folder))


def test_shift_consistency_is_the_share_of_equal_predictions() -> None:
    first = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    second = torch.tensor([[0.7, 0.3], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
    assert shift_consistency(first, second) == 0.75
    assert shift_consistency(torch.tensor([[2.0], [-1.0]]), torch.tensor([[1.0], [3.0]])) == 0.5  # one logit


class OnePixel(nn.Module):
    """Uses one pixel of the image; with ``weight`` 0 it always predicts the same. Has no parts of a FusionNet."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.last = nn.Linear(1, 1)
        nn.init.constant_(self.last.weight, weight)
        nn.init.constant_(self.last.bias, -0.1)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        logits: Tensor = self.last(inputs["rgb"][:, :1, 8, 8])
        return logits


def checkered(dataset: PairedDataset) -> PairedDataset:
    """The same data with images in which one step to any side turns black into white."""
    board = (torch.arange(16)[:, None] + torch.arange(16)) % 2 * 255
    rgb = dataset.inputs["rgb"].clone()
    rgb[:, :3] = board.to(torch.uint8)
    return replace(dataset, inputs={**dataset.inputs, "rgb": rgb})


def consistency(weight: float, dataset: PairedDataset) -> list[float]:
    subject = Subject(OnePixel(weight), record(), dataset, SMALL, "cpu")
    probes = measure(subject, [subject])
    assert {probe.probe for probe in probes} == {"shift-consistency"}  # without convolutions
    return [probe.value for probe in probes]


def test_a_constant_model_is_consistent_and_one_that_uses_one_pixel_is_not(dataset: PairedDataset) -> None:
    assert consistency(0.0, checkered(dataset)) == [1.0] * len(SHIFTS_PX)
    assert max(consistency(1.0, checkered(dataset))) < 0.9


def test_cka_agrees_with_its_formula_on_features() -> None:
    x, y = randn(20, 3), randn(20, 5, seed=1)
    a, b = (z - z.mean(dim=0) for z in (x, y))
    expected = (b.T @ a).norm() ** 2 / ((a.T @ a).norm() * (b.T @ b).norm())
    assert linear_cka(x, y) == pytest.approx(expected.item())
    assert linear_cka(x.float(), y.float().reshape(20, 5, 1, 1)) == pytest.approx(expected.item(), rel=1e-5)


def test_cka_of_hand_made_features() -> None:
    x = torch.tensor([[1.0, 0], [-1, 0], [0, 0], [0, 0]])
    y = torch.tensor([[0.0, 0], [0, 0], [0, 1], [0, -1]])
    assert linear_cka(x, x) == pytest.approx(1)
    assert linear_cka(x, y) == pytest.approx(0)
    # |Y'X|^2 = 4, |X'X| = 2, |Z'Z| = sqrt(8)
    assert linear_cka(x, x + y) == pytest.approx(4 / (2 * math.sqrt(8)))


def test_cka_does_not_change_with_rotation_scale_and_place_but_with_other_maps() -> None:
    x, y = randn(20, 4), randn(20, 4, seed=1)
    rotation, _ = torch.linalg.qr(randn(4, 4, seed=2))
    before = linear_cka(x, y)
    assert linear_cka(x @ rotation * 7 + 3, y) == pytest.approx(before)
    assert linear_cka(x, x @ rotation) == pytest.approx(1)
    stretched = x * torch.tensor([100.0, 1, 1, 1])
    assert abs(linear_cka(stretched, y) - before) > 0.01
    assert linear_cka(stretched, x) < 0.9


def test_features_that_are_the_same_for_all_have_no_cka() -> None:
    assert math.isnan(linear_cka(torch.ones(5, 3), randn(5, 3)))


class Known(nn.Module):
    """A 1x1 convolution, then a module with known gradients, then the sum."""

    def __init__(self, after: nn.Module) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 1, kernel_size=1)
        nn.init.ones_(self.convolution.weight)
        nn.init.zeros_(self.convolution.bias)  # type: ignore[arg-type]
        self.after = after

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        return self.after(self.convolution(inputs["rgb"])).sum(dim=(2, 3))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("after", "share"),
    [
        (nn.Identity(), 0.0),
        (nn.ReLU(inplace=True), 0.5),  # two of four pixels are negative
        (nn.MaxPool2d(2), 0.75),  # one of four passes
        (nn.Sequential(nn.MaxPool2d(2), nn.ReLU(inplace=True)), 0.75),
    ],
)
def test_zero_gradients_of_known_networks(after: nn.Module, share: float) -> None:
    pixels = torch.tensor([[[[1.0, -1.0], [2.0, -2.0]]]])
    assert zero_gradients(Known(after), Batch({"rgb": pixels}, torch.tensor([1]))) == {"convolution": share}


def test_no_hook_stays_and_no_gradient_is_left_behind() -> None:
    network, batch = Known(nn.ReLU()), Batch({"rgb": torch.ones(1, 1, 2, 2)}, torch.tensor([1]))
    zero_gradients(network, batch)
    assert not network.convolution._forward_hooks
    assert network.convolution.weight.grad is None


def stage(middle: float = 1.0) -> nn.Module:
    """A strided embedder whose weights are one, but for the middle one."""
    made = Strided(1, 1)
    for part in made.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)  # type: ignore[arg-type]
            part.weight.data[0, 0, 1, 1] = middle
    return made


@pytest.mark.parametrize(
    ("stages", "side"),
    [
        ([stage()], 3),
        ([stage(), stage()], 7),
        ([stage(middle=100)], 1),  # the pixels around it count for too little
        ([nn.Conv2d(1, 1, 3)], None),  # no embedder
    ],
)
def test_the_receptive_field_is_that_of_the_layers(stages: list[nn.Module], side: int | None) -> None:
    network = FusionNet(
        stems={"rgb": nn.Sequential(*stages)},
        operator=PassThrough([(1, 2, 2)]),
        trunk=nn.Sequential(),
        head=nn.Flatten(),
    )
    batch = Batch({"rgb": torch.ones(1, 1, 16, 16)}, torch.tensor([0]))
    assert receptive_field_px(network, batch, "rgb") == side


@pytest.mark.parametrize("model", ["wide-early-concat-maxpool", "wide-late-concat-strided"])
def test_every_probe_finds_something_of_early_and_late_fusion(
    model: str, dataset: PairedDataset, tmp_path: Path
) -> None:
    first, second = (trained(model, seed, dataset, tmp_path) for seed in (51, 52))
    probes = measure(second, [first])
    assert {probe.probe for probe in probes} == {
        "shift-consistency",
        "shift-similarity",
        "seed-similarity",
        "zero-gradients",
        "receptive-field",
    }
    assert all(0 <= probe.value <= (16 if probe.unit == "px" else 1 + 1e-9) for probe in probes)
    layers = {probe.layer for probe in probes if probe.probe == "zero-gradients"}
    stems = {"trunk"} if "early" in model else {"stems.rgb", "stems.lidar"}
    assert layers == {f"{stem}.{number}.0" for stem in stems for number in range(3)}
    assert {probe.other_seed for probe in probes if probe.probe == "seed-similarity"} == {51}
    assert [probe.value for probe in measure(second, [first])] == [probe.value for probe in probes]


def test_a_model_is_as_similar_to_itself_as_can_be(dataset: PairedDataset, tmp_path: Path) -> None:
    subject = trained("wide-late-concat-strided", 51, dataset, tmp_path)
    similar = [probe.value for probe in measure(subject, [subject]) if probe.probe == "seed-similarity"]
    assert similar == pytest.approx([1, 1])


class Convolutions(nn.Module):
    """Any module: one convolution is trained, one is frozen and one has no part in the logits."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.frozen, self.unused = (nn.Conv2d(count, 2, 3) for count in (4, 4, 2))
        self.frozen.requires_grad_(False)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        self.unused(self.used(inputs["rgb"]))
        logits: Tensor = (self.used(inputs["rgb"]) + self.frozen(inputs["lidar"])).relu().mean(dim=(2, 3))
        return logits


def test_any_module_has_the_probes_that_need_no_parts_of_a_network(dataset: PairedDataset) -> None:
    subject = Subject(Convolutions(), record(), dataset, SMALL, "cpu")
    layers = {(probe.probe, probe.layer) for probe in measure(subject, [subject])}
    assert layers == {("shift-consistency", ""), ("zero-gradients", "used")}


def test_all_modalities_are_shifted_each_as_its_kind(dataset: PairedDataset) -> None:
    thermal = dataset.inputs["lidar"][:, :1] + 100
    info = replace(dataset.info, channels={**dataset.info.channels, "thermal": 1})
    bright = dataset.inputs["rgb"].clamp(min=1)  # uint8: no pixel is black
    three = replace(dataset, info=info, inputs={**dataset.inputs, "rgb": bright, "thermal": thermal})
    seen: list[dict[str, Tensor]] = []

    class Collects(Echo):
        def forward(self, inputs: dict[str, Tensor]) -> Tensor:
            seen.append(inputs)
            return inputs["thermal"].mean(dim=(2, 3)) * 0

    measure(Subject(Collects(), record(), three, replace(SMALL, normalized=()), "cpu"))
    clean, shifted = seen[0], seen[5]  # by up to 4 pixels
    assert set(shifted) == {"rgb", "lidar", "thermal"}
    assert all(not torch.equal(values, clean[modality]) for modality, values in shifted.items())
    assert torch.equal(shifted["rgb"][:, 3], clean["rgb"][:, 3])  # alpha
    assert shifted["thermal"].min() > 0  # the nearest pixel enters, as 0 would be a value like others
    entered = shifted["rgb"][:, :3].amax(dim=1, keepdim=True) == 0
    assert entered.any()
    assert (shifted["lidar"][:, 3:][entered] == 0).all()
    ranges = shifted["lidar"][:, :3].norm(dim=1, keepdim=True)[entered]
    torch.testing.assert_close(ranges, torch.full_like(ranges, 50.0))
