from collections.abc import Callable

import pytest
import torch
from torch import nn

from bench.config import STANDARD, Protocol
from bench.training import measurement
from bench.training.measurement import (
    count_parameters,
    count_trainable_parameters,
    training_flops,
    training_memory,
)
from data_utils import Batch
from tests.bench.toys import Toy

FLOAT, LABEL = 4, 8  # bytes of a float32 and of an int64


def images(pairs: int, channels: int, height: int, width: int) -> Batch:
    return Batch({"rgb": torch.zeros(pairs, channels, height, width)}, torch.zeros(pairs, dtype=torch.int64))


def batch(pairs: int, pixels: int) -> Batch:
    return images(pairs, 1, 1, pixels)


def peak_bytes(pixels: int, pairs: int = 4) -> int:
    return training_memory(lambda: Toy(pixels, logits=2), batch(pairs, pixels), STANDARD).peak_bytes


def test_parameters_are_weights_and_biases() -> None:
    model = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2))
    assert count_parameters(model) == (3 * 5 + 5) + (5 * 2 + 2)
    assert count_trainable_parameters(model) == count_parameters(model)
    model[0].requires_grad_(False)
    assert count_parameters(model) == (3 * 5 + 5) + (5 * 2 + 2)
    assert count_trainable_parameters(model) == 5 * 2 + 2


class OneConvolution(nn.Module):
    """A 3x3 convolution that keeps the size, ReLU, and logits of all that makes."""

    def __init__(self, channels: int, width: int, size: int, logits: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, width, kernel_size=3, padding=1)
        self.head = nn.Linear(width * size**2, logits)

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        maps = self.convolution(inputs["rgb"]).relu_()
        logits: torch.Tensor = self.head(maps.flatten(1))
        return logits


def test_operations_of_a_linear_layer_are_two_per_weight_and_pair() -> None:
    pairs, pixels, logits = 4, 10, 3
    # Forward, and the gradient of the weights; the images need none.
    assert training_flops(Toy(pixels, logits), batch(pairs, pixels)) == 2 * (2 * pairs * pixels * logits)


def test_operations_of_a_convolution_are_two_per_weight_pixel_and_pair_and_frozen_ones_run_forward_alone() -> None:
    pairs, channels, size, width, logits = 4, 3, 8, 5, 2
    convolution = 2 * pairs * size**2 * (9 * channels * width)
    head = 2 * pairs * width * size**2 * logits
    model, data = OneConvolution(channels, width, size, logits), images(pairs, channels, size, size)
    # The head passes a gradient back to its input, the convolution has only that of its weights.
    assert training_flops(model, data) == 2 * convolution + 3 * head
    model.convolution.requires_grad_(False)  # forward alone
    assert training_flops(model, data) == convolution + 2 * head


def test_pooling_and_activations_count_nothing() -> None:
    class Idle(Toy):
        def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
            return super().forward({"rgb": nn.functional.max_pool2d(inputs["rgb"].relu() * 2, 2)})

    assert training_flops(Idle(1, logits=2), images(4, 1, 2, 2)) == training_flops(Toy(1, logits=2), batch(4, 1))


def test_counting_leaves_the_model_as_it_was() -> None:
    model = Toy(10)
    before = model.layer.weight.detach().clone()
    training_flops(model, batch(4, 10))
    assert torch.equal(model.layer.weight, before)
    assert model.layer.weight.grad is None


def test_peak_memory_is_what_one_can_count_by_hand() -> None:
    pixels, pairs, logits = 10_000, 4, 2
    parameters = pixels * logits + logits
    weights, gradients, adam_moments = parameters * FLOAT, parameters * FLOAT, 2 * parameters * FLOAT
    images_and_labels = pairs * (pixels * FLOAT + LABEL)
    expected = weights + gradients + adam_moments + images_and_labels
    # Besides that only logits, loss, their gradients and Adam's step counts: a few tensors of a few numbers.
    assert expected <= peak_bytes(pixels, pairs) <= expected + 1_000


def test_peak_memory_of_a_convolution_is_what_one_can_count_by_hand() -> None:
    pairs, channels, size, width, logits = 8, 3, 32, 16, 2
    # At the backward pass of the ReLU there are the maps after it and the gradients after and before it.
    maps = 3 * pairs * width * size**2 * FLOAT
    of_convolution, of_head = 9 * channels * width + width, width * size**2 * logits + logits
    # Weights and Adam's two moments of all, and already the gradients of the head.
    parameters = (3 * (of_convolution + of_head) + of_head) * FLOAT
    images_and_labels = pairs * (channels * size**2 * FLOAT + LABEL)
    expected = maps + parameters + images_and_labels
    measured = training_memory(
        lambda: OneConvolution(channels, width, size, logits), images(pairs, channels, size, size), STANDARD
    ).peak_bytes
    assert expected <= measured <= expected + 1_000


def test_activations_that_wait_for_the_backward_pass_count() -> None:
    class TwoLayers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide, self.head = nn.Linear(1, width), nn.Linear(width, 1)

        def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
            logits: torch.Tensor = self.head(self.wide(inputs["rgb"].flatten(1)).relu())
            return logits

    width, pairs = 1_000, 100
    # At the backward pass of the ReLU there are its output and the gradients of output and input, each as large;
    # the ReLU's input is not kept.
    activations = 3 * pairs * width * FLOAT
    parameters = 3 * width + 1  # two weights and a bias for each of the hidden units, and the head's bias
    # Weights and Adam's moments are there before the backward pass of every step but the first; gradients come.
    least = activations + 3 * parameters * FLOAT
    measured = training_memory(TwoLayers, batch(pairs, 1), STANDARD).peak_bytes
    assert least <= measured <= least + parameters * FLOAT + 10_000


def test_memory_does_not_depend_on_what_was_measured_or_lives_beside() -> None:
    first = peak_bytes(pixels=500)
    others = [torch.zeros(1_000_000), Toy(100_000)]
    peak_bytes(pixels=20_000)
    assert peak_bytes(pixels=500) == first
    assert others


def test_memory_grows_with_the_batch_by_at_least_the_batch() -> None:
    more = peak_bytes(pixels=500, pairs=12) - peak_bytes(pixels=500, pairs=4)
    assert more >= 8 * (500 * FLOAT + LABEL)


def test_frozen_layers_need_neither_gradients_nor_moments() -> None:
    def frozen() -> Toy:
        model = Toy(pixels, logits=2)
        model.layer.weight.requires_grad_(False)
        return model

    pixels = 10_000
    saved = peak_bytes(pixels) - training_memory(frozen, batch(4, pixels), STANDARD).peak_bytes
    assert saved == pytest.approx(3 * pixels * 2 * FLOAT, abs=1_000)  # a gradient and two moments


def test_memory_is_that_of_the_optimizer_that_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    def descent(model: nn.Module, protocol: Protocol) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), lr=protocol.learning_rate)

    pixels = 10_000
    adam = peak_bytes(pixels)
    monkeypatch.setattr(measurement, "make_optimizer", descent)
    assert adam - peak_bytes(pixels) == pytest.approx(2 * 2 * pixels * FLOAT, abs=1_000)  # without two moments


def test_the_method_is_named_and_the_batch_stays_as_it_was() -> None:
    data = batch(4, 10)
    measured = training_memory(lambda: Toy(10), data, STANDARD)
    assert torch.equal(data.inputs["rgb"], torch.zeros(4, 1, 1, 10))
    assert measured.method.startswith("cpu allocator: ")
    assert measured.reserved_bytes is None  # that is CUDA's


def test_memory_on_cuda_is_what_was_requested_whatever_blocks_were_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The allocator before and during the steps, by hand: 40 bytes of others, 300 requested in blocks of 512."""
    calls: list[str] = []
    stats = iter(
        [
            {
                "requested_bytes.all.current": 40,
                "requested_bytes.all.peak": 900,
                "reserved_bytes.all.current": 1024,
            },
            {"requested_bytes.all.current": 40, "requested_bytes.all.peak": 340, "reserved_bytes.all.peak": 3072},
        ]
    )

    def noted(name: str) -> Callable[..., None]:
        return lambda *_: calls.append(name)

    def memory_stats(device: torch.device) -> dict[str, int]:
        calls.append(f"read {device}")
        return next(stats)

    for name in ("synchronize", "empty_cache", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, noted(name))
    monkeypatch.setattr(torch.cuda, "memory_stats", memory_stats)
    measured = measurement._cuda_memory(lambda: calls.append("steps"), torch.device("cuda:1"))
    assert (measured.peak_bytes, measured.reserved_bytes) == (300, 2048)
    assert measured.method.startswith("cuda allocator: peak requested bytes")
    warm_up = ["steps", "synchronize", "empty_cache"]
    assert calls == [*warm_up, "read cuda:1", "reset_peak_memory_stats", "steps", "synchronize", "read cuda:1"]
