import copy
from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from bench.config import STANDARD, Protocol
from bench.costs.reference import EpochOrder, ReferenceLoop, as_published, samples
from bench.training.runs import silent
from bench.training.seeding import epoch_order
from bench.training.trainer import Trainer
from data_utils import Batch
from fusion_models import EMBEDDERS, build_model
from tests.bench.toys import Toy, doubles, toy, toy_batch

PROTOCOL = replace(STANDARD, epochs=3, batch_size=4, learning_rate=0.1, final_learning_rate=0.001)


def reference_losses(protocol: Protocol, data: Batch, seed: int = 51) -> list[float]:
    loop = ReferenceLoop(toy().double(), samples(data), protocol, seed, "cpu")
    return [loop.train_epoch() for _ in range(protocol.epochs)]


def our_losses(protocol: Protocol, data: Batch) -> list[float]:
    trainer = Trainer(toy().double(), data, data, protocol, 51, silent)
    for _ in range(protocol.epochs):
        trainer.train_epoch()
        trainer.finish_epoch()
    return trainer.history.train_losses


@pytest.mark.parametrize("schedule", ["constant", "cosine-step", "cosine-epoch"])
@pytest.mark.parametrize("drop_last", [False, True])
def test_both_loops_are_one_computation(
    schedule: Literal["constant", "cosine-step", "cosine-epoch"], drop_last: bool
) -> None:
    protocol = replace(PROTOCOL, schedule=schedule, drop_last=drop_last)
    data = doubles(toy_batch(13))
    assert our_losses(protocol, data) == pytest.approx(reference_losses(protocol, data), rel=1e-12)


@pytest.mark.parametrize(
    "change", [{"learning_rate": 0.11}, {"schedule": "constant"}, {"drop_last": True}, {"batch_size": 5}]
)
def test_the_comparison_notices_another_computation(change: dict[str, float]) -> None:
    data = doubles(toy_batch(13))
    other = our_losses(replace(PROTOCOL, **change), data)  # type: ignore[arg-type]
    assert other != pytest.approx(reference_losses(PROTOCOL, data), rel=1e-3)


def test_another_seed_is_another_order() -> None:
    data = doubles(toy_batch(13))
    assert reference_losses(PROTOCOL, data) != pytest.approx(reference_losses(PROTOCOL, data, seed=52), rel=1e-3)


def test_each_iteration_is_the_order_of_the_next_epoch() -> None:
    order = EpochOrder(51, 7)
    assert len(order) == 7
    assert [list(order), list(order)] == [epoch_order(51, epoch, 7).tolist() for epoch in (1, 2)]


def test_samples_are_single_and_contiguous() -> None:
    images = torch.arange(24.0).view(2, 3, 2, 2).contiguous(memory_format=torch.channels_last)
    first, (inputs, label) = samples(Batch({"rgb": images}, torch.tensor([1, 0])))
    assert first[1].item() == 1
    assert inputs["rgb"].is_contiguous()
    assert inputs["rgb"].tolist() == images[1].tolist()
    assert label.item() == 0


def test_a_sample_shares_no_memory_with_others() -> None:
    one_channel = torch.zeros(3, 1, 2, 2).contiguous(memory_format=torch.channels_last)
    for inputs, label in samples(Batch({"depth": one_channel}, torch.tensor([1, 0, 1]))):
        assert inputs["depth"].untyped_storage().nbytes() == 4 * 4
        assert label.untyped_storage().nbytes() == 8


def test_the_model_gets_contiguous_batches() -> None:
    class Checks(Toy):
        def forward(self, inputs: dict[str, Tensor]) -> Tensor:
            shapes.append(tuple(inputs["rgb"].shape))
            assert inputs["rgb"].is_contiguous()
            assert self.training
            return super().forward(inputs)

    shapes: list[tuple[int, ...]] = []
    ReferenceLoop(Checks().eval(), samples(toy_batch(9)), PROTOCOL, 51, "cpu").train_epoch()
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
