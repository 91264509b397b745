import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.config import STANDARD
from bench.registry import register_metric
from bench.training.preparation import prepare
from bench.training.runs import build_seeded, run
from bench.training.trial import files_of_plugins, try_model
from data_utils import PairedDataset
from fusion_models import (
    FusionNet,
    ModelError,
    ModelSpec,
    Operator,
    find_model,
    register_embedder,
    register_operator,
)
from fusiongauge import PluginError
from tests.bench.samples import MODEL, SMALL

Channels = Mapping[str, int]


class Returns(nn.Module):
    """Logits of the given shape."""

    def __init__(self, logits: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.logits = logits

    def forward(self, inputs: Mapping[str, Tensor]) -> Any:
        return self.logits(inputs["rgb"].mean(dim=(1, 2, 3))[:, None] * self.weight)


OTHER_DRAWS = np.random.default_rng(0)  # which no seed of a run sets
SHARED = nn.Parameter(torch.ones(1))
ALWAYS = Returns(lambda x: x)


class WritesIntoInputs(Returns):
    def __init__(self) -> None:
        super().__init__(lambda x: x)

    def forward(self, inputs: Mapping[str, Tensor]) -> Any:
        return super().forward({"rgb": inputs["rgb"].mul_(0.5)})


def counting() -> Callable[[Tensor], Tensor]:
    calls: list[int] = []

    def logits(x: Tensor) -> Tensor:
        calls.append(1)
        return x / len(calls)

    return logits


def in_a_list() -> Callable[[Tensor], Tensor]:
    layers = [nn.Linear(1, 2)]
    return lambda x: layers[0](x)


def with_weight(weight: float) -> nn.Module:
    model = Returns(lambda x: x)
    nn.init.constant_(model.weight, weight)
    return model


def remembering() -> Callable[[Tensor], Tensor]:
    """The second training step goes back into the graph of the first; evaluations change nothing."""
    seen: list[Tensor] = []

    def logits(x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            seen.append(x)
        return x + sum(seen[-2:-1], torch.zeros(1))[:1]

    return logits


def raises() -> nn.Module:
    raise KeyError("thermal")


SHAPES = "for 4 pairs of 2 classes; it must return logits of shape (4, 2) or (4, 1)"


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (raises, "raises KeyError: 'thermal'"),
        (lambda: Returns(lambda x: x).requires_grad_(False), "has no trainable parameter"),
        (nn.Flatten, "has no trainable parameter"),
        (lambda: Returns(lambda x: x.detach()), "returns logits that depend on no trainable parameter"),
        (lambda: Returns(lambda x: x.expand(-1, 3)), f"returns (4, 3) {SHAPES}"),
        (lambda: Returns(lambda x: x[:, 0]), f"returns (4,) {SHAPES}"),
        (lambda: Returns(lambda x: (x, x)), f"returns tuple {SHAPES}"),
        (
            lambda: Returns(lambda x: x if torch.is_grad_enabled() else x[:, 0]),
            f"returns (4,) in evaluation mode {SHAPES}",
        ),
        (lambda: Returns(lambda x: x + OTHER_DRAWS.random()), "returns other logits when it is called again"),
        (lambda: Returns(counting()), "returns other logits when it is called again"),
        (WritesIntoInputs, "returns other logits when it is called again"),
        (lambda: Returns(lambda x: x * SHARED), "uses a parameter of shape (1,) that is not one of its own"),
        (lambda: Returns(in_a_list()), "uses a parameter of shape (2, 1) that is not one of its own"),
        (lambda: ALWAYS, "has the same layers each time it is built"),
        (lambda: with_weight(float(OTHER_DRAWS.random())), "has other initial weights when it is built again"),
        (
            lambda: Returns(remembering()),
            "raises RuntimeError: Trying to backward through the graph a second time",
        ),
        (lambda: nn.LazyLinear(2), "raises ValueError: Attempted to use an uninitialized parameter"),
        (lambda: None, "raises TypeError: its function returns a NoneType instead of a torch.nn.Module"),
        # It changes what the backward pass needs.
        (lambda: Returns(lambda x: x.relu_().sqrt_().exp().mul_(x)), "raises RuntimeError: one of the variables"),
    ],
)
def test_a_faulty_model_ends_in_a_sentence_with_its_name_and_file(
    make: Callable[[], Any], fault: str, dataset: PairedDataset
) -> None:
    def faulty(*_: object) -> Any:
        return make()

    epochs: list[object] = []
    with pytest.raises(PluginError, match=rf"test_trial\.py: the model 'faulty' {re.escape(fault)}"):
        run(faulty, dataset, protocol=SMALL, observe=epochs.append)
    assert not epochs


def test_one_logit_is_for_two_classes_alone(dataset: PairedDataset) -> None:
    notes: list[str] = []

    def one(*_: object) -> nn.Module:
        return Returns(lambda x: x)

    assert run(one, dataset, protocol=SMALL).status == "completed"
    spec = ModelSpec("custom", "custom", "", "", custom="one", build=one)
    sentence = "(4, 1) for 4 pairs of 3 classes; it must return logits of shape (4, 3)"
    with pytest.raises(PluginError, match=re.escape(sentence)):
        try_model(spec, one, prepare(dataset, SMALL, 51, "cpu").train, 3, STANDARD, notes.append)


def test_a_model_can_report_that_it_does_not_fit(dataset: PairedDataset) -> None:
    def choosy(channels: Channels, image_size: tuple[int, int], _: int) -> nn.Module:
        raise ModelError(f"choosy needs larger images than {image_size} of {list(channels)}")

    with pytest.raises(ModelError, match=r"choosy needs larger images than \(16, 16\)"):
        run(choosy, dataset, protocol=SMALL)


@pytest.mark.usefixtures("registries")
def test_a_faulty_part_of_a_model_is_named_by_its_file(dataset: PairedDataset) -> None:
    @register_operator("broken")
    class Broken(Operator):
        def forward(self, features: list[Tensor]) -> Tensor:  # type: ignore[override]
            raise IndexError(f"of {len(features)}")

    @register_embedder("same-size")
    class SameSize(nn.Conv2d):
        def __init__(self, in_channels: int, out_channels: int) -> None:
            super().__init__(in_channels, out_channels, 3, padding=1)

    faults = {
        "intermediate-broken-strided": "raises IndexError: of 2",
        "late-concat-same-size": "has a wrong shape: its embedder SameSize makes (25, 16, 16) per pair of (",
        "intermediate-broken-same-size": "has a wrong shape: its embedder",  # two parts of one file, named once
    }
    for model, fault in faults.items():
        sentence = rf"^[^,]*test_trial\.py: the model 'compact-{re.escape(model)}' {re.escape(fault)}"
        with pytest.raises(PluginError, match=sentence):
            run(f"compact-{model}", dataset, protocol=SMALL)
    for model in ("late-concat-same-size.parameters", "intermediate-broken-maxpool.operations"):
        assert files_of_plugins(find_model(f"compact-{model}")) == [__file__]


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize(
    ("out_channels", "exchanged", "fault"),
    [
        (
            7,
            None,
            "its part Sum makes (32, 4, 4) of (32, 4, 4), (32, 4, 4) per pair, and its out_shape is (7, 4, 4)",
        ),
        (16, lambda streams: streams[:1], "its exchange Exchange returns [(16, 8, 8)] per pair for [(16, 8, 8), "),
        (16, torch.stack, "its exchange Exchange returns Tensor per pair"),
        (16, lambda streams: [x[:, :3] for x in streams], "its exchange Exchange returns [(3, 8, 8), (3, 8, 8)]"),
    ],
)
def test_a_part_that_returns_another_shape_than_it_declares_is_named(
    out_channels: int, exchanged: Callable[[list[Tensor]], Any] | None, fault: str, dataset: PairedDataset
) -> None:
    class Exchange(nn.Module):
        def __init__(self, _: object) -> None:
            super().__init__()

        def forward(self, streams: list[Tensor]) -> Any:
            assert exchanged is not None
            return exchanged(streams)

    @register_operator("sum")
    class Sum(nn.Module):
        exchange = Exchange if exchanged else None

        def __init__(self, shapes: list[tuple[int, int, int]]) -> None:
            super().__init__()
            self.out_shape = (out_channels, *shapes[0][1:])

        def forward(self, features: list[Tensor]) -> Tensor:
            return features[0] + features[1]

    with pytest.raises(PluginError, match=re.escape(f"has a wrong shape: {fault}")):
        run("field-intermediate-sum-strided", dataset, protocol=SMALL)


def test_the_last_step_of_an_epoch_is_tried_with_its_size(dataset: PairedDataset) -> None:
    def normalizing(*_: object) -> nn.Module:
        norm = nn.BatchNorm1d(1)
        model = Returns(norm)
        model.norm = norm
        return model

    spec = ModelSpec("custom", "custom", "", "", custom="one", build=normalizing)
    train = prepare(dataset, SMALL, 51, "cpu").train
    one_is_left = replace(STANDARD, batch_size=len(train) - 1)
    with pytest.raises(
        PluginError,
        match=r"ValueError: Expected more than 1 value .*; the last batch .* has one pair, which --set",
    ):
        try_model(spec, normalizing, train, 2, one_is_left, print)
    try_model(spec, normalizing, train, 2, replace(one_is_left, drop_last=True), print)


def test_probabilities_in_place_of_logits_are_noted(dataset: PairedDataset) -> None:
    train = prepare(dataset, SMALL, 51, "cpu").train
    notes: list[str] = []

    def make(logits: Callable[[Tensor], Tensor]) -> None:
        def build(*_: object) -> nn.Module:
            return Returns(logits)

        spec = ModelSpec("custom", "custom", "", "", custom="build", build=build)
        try_model(spec, build, train, 2, STANDARD, notes.append)

    make(lambda x: torch.cat([x, 1 + x], dim=1))
    make(lambda x: torch.cat([x, 1 + x], dim=1).log_softmax(dim=1))
    make(torch.sigmoid)
    assert notes == []
    make(lambda x: torch.cat([x, 1 + x], dim=1).softmax(dim=1))
    assert re.fullmatch(r".*test_trial\.py: the model 'build' returns numbers that add up to 1; .*", notes[0])


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize("every_epoch", [True, False])
def test_a_metric_that_fails_ends_the_run_before_training(every_epoch: bool, dataset: PairedDataset) -> None:
    epochs: list[object] = []
    broken: Any = lambda logits, _: {"value": logits}  # noqa: E731
    register_metric("broken", higher_is_better=True, every_epoch=every_epoch)(broken)
    with pytest.raises(PluginError, match=r"test_trial\.py: the metric 'broken' returns a dict; it must return"):
        run(MODEL, dataset, protocol=SMALL, observe=epochs.append)
    assert not epochs


def test_models_that_ship_here_are_not_tried(dataset: PairedDataset) -> None:
    notes: list[str] = []

    def never() -> nn.Module:
        raise AssertionError

    try_model(find_model(MODEL), never, prepare(dataset, SMALL, 51, "cpu").train, 2, STANDARD, notes.append)


@pytest.mark.parametrize(
    ("batch_size", "remedy"),
    [
        (63, "the last batch of an epoch has one pair, which --set drop_last=true leaves out"),
        (1, "batch_size=32 makes larger"),
    ],
)
def test_a_model_that_ships_here_and_cannot_train_on_one_pair_stops_before_its_training(
    batch_size: int, remedy: str, dataset: PairedDataset
) -> None:
    """Batch normalization cannot normalize maps of one pixel, as those of a backbone have at the end."""
    epochs: list[object] = []
    protocol = replace(SMALL, batch_size=batch_size)
    assert len(prepare(dataset, protocol, 51, "cpu").train) == 64
    fault = f"the model 'mobilenet-rgb' raises ValueError: Expected more than 1 value per channel .*; .*{remedy}"
    with pytest.raises(ModelError, match=f"^{fault}"):
        run("mobilenet-rgb", dataset, protocol=protocol, observe=epochs.append)
    assert not epochs


@pytest.mark.usefixtures("registries")
def test_a_trial_trains_experts_too_and_leaves_the_run_alone(dataset: PairedDataset) -> None:
    @register_embedder("average", families=("experts",))
    class AveragePool(nn.Sequential):
        def __init__(self, in_channels: int, out_channels: int) -> None:
            super().__init__(nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2))

    name = "experts-late-logits-average"
    record = run(name, dataset, protocol=SMALL)
    assert [stage.modality for stage in record.pretraining] == ["rgb", "lidar"]
    assert record.embedder == "average"
    assert isinstance(build_seeded(find_model(name), dataset.info, 51, "cpu"), FusionNet)
