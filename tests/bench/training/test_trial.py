import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.config import STANDARD
from bench.training.preparation import prepare
from bench.training.runs import build_seeded, run
from bench.training.trial import try_model
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
    def one(*_: object) -> nn.Module:
        return Returns(lambda x: x)

    assert run(one, dataset, protocol=SMALL).status == "completed"
    spec = ModelSpec("custom", "custom", "", "", custom="one", build=one)
    sentence = "(4, 1) for 4 pairs of 3 classes; it must return logits of shape (4, 3)"
    with pytest.raises(PluginError, match=re.escape(sentence)):
        try_model(spec, one, prepare(dataset, SMALL, 51, "cpu").train, 3, STANDARD)


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
        "intermediate-broken-strided": "IndexError",
        "late-concat-same-size": "RuntimeError",
        "intermediate-broken-same-size": "IndexError",  # two parts of one file, which is named once
    }
    for model, error in faults.items():
        with pytest.raises(
            PluginError, match=rf"^[^,]*test_trial\.py: the model 'compact-{model}' raises {error}: "
        ):
            run(f"compact-{model}", dataset, protocol=SMALL)


def test_models_that_ship_here_are_not_tried(dataset: PairedDataset) -> None:
    def never() -> nn.Module:
        raise AssertionError

    try_model(find_model(MODEL), never, prepare(dataset, SMALL, 51, "cpu").train, 2, STANDARD)


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
