import copy
from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from bench.config import STANDARD, Protocol
from bench.costs.reference import EpochOrder, ReferenceLoop, as_published, samples
from bench.training.runs import drive, silent
from bench.training.seeding import epoch_order
from bench.training.trainer import Trainer
from data_utils import Batch
from fusion_models import EMBEDDERS, build_model
from tests.bench.toys import Toy, doubles, toy, toy_batch

PROTOCOL = replace(STANDARD, epochs=3, batch_size=4, learning_rate=0.1, final_learning_rate=0.001)


def reference_losses(protocol: Protocol, data: Batch) -> list[float]:
    loop = ReferenceLoop(toy().double(), samples(data), protocol, 51, "cpu")
    return [list(loop.steps())[-1] for _ in range(protocol.epochs)]


def our_losses(protocol: Protocol, data: Batch) -> list[float]:
    trainer = Trainer(toy().double(), data, data, protocol, 51, silent)
    drive(trainer.train_epoch, trainer.finish_epoch, protocol.epochs)
    return trainer.history.train_losses


@pytest.mark.parametrize("schedule", ["constant", "cosine-step", "cosine-epoch"])
@pytest.mark.parametrize("drop_last", [False, True])
def test_both_loops_are_one_computation(
    schedule: Literal["constant", "cosine-step", "cosine-epoch"], drop_last: bool
) -> None:
    protocol = replace(PROTOCOL, schedule=schedule, drop_last=drop_last)
    data = doubles(toy_batch(13))
    assert our_losses(protocol, data) == pytest.approx(reference_losses(protocol, data), rel=1e-12)


def test_both_loops_weigh_classes_alike() -> None:
    data = doubles(toy_batch(13))
    uneven = Batch(data.inputs, (torch.arange(13) % 4 == 0).long())
    weighted = replace(PROTOCOL, class_weights="balanced")
    losses = our_losses(weighted, uneven)
    assert losses == pytest.approx(reference_losses(weighted, uneven), rel=1e-6)  # weights are float32
    assert losses != pytest.approx(reference_losses(PROTOCOL, uneven), rel=1e-3)


@pytest.mark.parametrize(
    "change", [{"learning_rate": 0.11}, {"schedule": "constant"}, {"drop_last": True}, {"batch_size": 5}]
)
def test_the_comparison_notices_another_computation(change: dict[str, float]) -> None:
    data = doubles(toy_batch(13))
    other = our_losses(replace(PROTOCOL, **change), data)  # type: ignore[arg-type]
    assert other != pytest.approx(reference_losses(PROTOCOL, data), rel=1e-3)


def test_each_iteration_is_the_order_of_the_next_epoch() -> None:
    order = EpochOrder(51, 7)
    assert len(order) == 7
    assert [list(order), list(order)] == [epoch_order(51, epoch, 7).tolist() for epoch in (1, 2)]
    assert list(EpochOrder(52, 7)) != list(EpochOrder(51, 7))


@pytest.mark.parametrize("channels", [3, 1])  # one channel is contiguous in either layout
def test_samples_are_single_and_contiguous_and_share_no_memory(channels: int) -> None:
    images = torch.arange(8.0 * channels).view(2, channels, 2, 2).contiguous(memory_format=torch.channels_last)
    pairs = samples(Batch({"rgb": images}, torch.tensor([1, 0])))
    assert [label.item() for _, label in pairs] == [1, 0]
    for (inputs, label), image in zip(pairs, images, strict=True):
        assert inputs["rgb"].is_contiguous()
        assert torch.equal(inputs["rgb"], image)
        assert inputs["rgb"].untyped_storage().nbytes() == 4 * 4 * channels
        assert label.untyped_storage().nbytes() == 8


def test_the_model_gets_contiguous_batches() -> None:
    class Checks(Toy):
        def forward(self, inputs: dict[str, Tensor]) -> Tensor:
            shapes.append(tuple(inputs["rgb"].shape))
            assert inputs["rgb"].is_contiguous()
            assert self.training
            return super().forward(inputs)

    shapes: list[tuple[int, ...]] = []
    list(ReferenceLoop(Checks().eval(), samples(toy_batch(9)), PROTOCOL, 51, "cpu").steps())
    assert shapes == [(4, 1, 2, 2), (4, 1, 2, 2), (1, 1, 2, 2)]


def test_each_step_yields_the_mean_loss_so_far() -> None:
    # Nothing is learned at a rate of zero, so a step's loss is that of its pairs whenever it is taken.
    still, data = replace(PROTOCOL, learning_rate=0.0, final_learning_rate=0.0), toy_batch(9)
    means = list(ReferenceLoop(toy(), samples(data), still, 51, "cpu").steps())
    logits, order = toy()(data.inputs).squeeze(1), epoch_order(51, 1, 9)
    losses = binary_cross_entropy_with_logits(logits, data.labels.float(), reduction="none")[order]
    assert means == pytest.approx([losses[:pairs].mean().item() for pairs in (4, 8, 9)])


def test_published_layers_are_the_same_function_with_the_same_gradients() -> None:
    images = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    for embedder in EMBEDDERS.values():
        ours = embedder.make(4, 3)
        published = as_published(copy.deepcopy(ours))
        assert torch.equal(published(images), ours(images))
        for model in (ours, published):
            model(images).square().sum().backward()
        for one, other in zip(ours.parameters(), published.parameters(), strict=True):
            assert one.grad is not None
            assert other.grad is not None
            assert torch.equal(one.grad, other.grad)


def test_published_layers_have_relu_before_the_pool_and_not_in_place() -> None:
    name, channels = "compact-intermediate-concat-maxpool", {"rgb": 4, "lidar": 4}
    model = as_published(build_model(name, channels=channels, image_size=(64, 64), classes=2))
    layers = " ".join(type(module).__name__ for module in model.modules())
    assert layers.count("Conv2d ReLU MaxPool2d") == layers.count("Conv2d") == 5
    assert not any(module.inplace for module in model.modules() if isinstance(module, nn.ReLU))
    assert all(weights.is_contiguous() for weights in model.parameters())
