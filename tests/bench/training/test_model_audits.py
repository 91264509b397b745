"""Every audit of models finds what is planted for it, and finds nothing in our metrics and memory."""

import math
from collections.abc import Callable, Mapping
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from bench.config import STANDARD
from bench.metrics import accuracy
from bench.training.evaluation import evaluate, predict
from bench.training.measurement import training_memory
from bench.training.model_audits import SAMPLES, memory_of_others, one_function, samples_left_out, without_gradient
from data_utils import Batch
from tests.bench.toys import Toy, toy_batch


class Layers(nn.Module):
    """Two linear layers, made in the order of their names and used first to last."""

    def __init__(self, *names: str, activation: nn.Module | None = None) -> None:
        super().__init__()
        for name in names:
            self.add_module(name, {"first": nn.Linear(4, 3), "last": nn.Linear(3, 2)}[name])
        self.activation = activation or nn.ReLU()

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        hidden = self.get_submodule("first")(inputs["rgb"].flatten(1))
        logits: Tensor = self.get_submodule("last")(self.activation(hidden))
        return logits


class Tempered(Toy):
    """As published: the scaled logits are overwritten in the next statement."""

    def __init__(self) -> None:
        super().__init__(logits=2)
        self.temperature = nn.Parameter(torch.ones(()))

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        logits = super().forward(inputs)
        scaled = logits / self.temperature
        scaled = logits
        return scaled  # noqa: RET504


class Detached(Toy):
    """Nothing is trained, as the only layer is cut off."""

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        return super().forward(inputs).detach()


def test_one_function_is_found_whatever_the_parts_are_called_and_in_which_order_they_are_made() -> None:
    models = {
        "a": lambda: Layers("first", "last"),
        "b": lambda: Layers("last", "first"),
        "c": lambda: Layers("first", "last", activation=nn.Tanh()),
        "d": lambda: Toy(logits=2),
    }
    assert [finding.subject for finding in one_function(models, toy_batch(4).inputs)] == ["a = b"]


def test_a_parameter_without_gradient_is_found() -> None:
    def frozen() -> nn.Module:
        model = Tempered()
        model.temperature.requires_grad_(False)
        return model

    models = {"tempered": Tempered, "frozen": frozen, "detached": Detached, "toy": Toy}
    findings = [*without_gradient(models, toy_batch(4))]
    assert [(finding.subject, finding.message.split(";")[0]) for finding in findings] == [
        ("tempered", "1 of 3 parameters do not affect the loss (temperature)"),
        ("detached", "2 of 2 parameters do not affect the loss (layer.weight, layer.bias)"),
    ]


Evaluate = Callable[[nn.Module, Batch], Mapping[str, float]]
BATCH_SIZE = 32
LEFT = SAMPLES % BATCH_SIZE


def drop_last(model: nn.Module, batch: Batch) -> dict[str, float]:
    return evaluate(model, batch[: len(batch) - len(batch) % BATCH_SIZE], every_epoch=True)


def literal_denominator(model: nn.Module, batch: Batch) -> dict[str, float]:
    return {"accuracy": accuracy(predict(model, batch), batch.labels) * len(batch) / 384}


def mean_of_means(model: nn.Module, batch: Batch) -> dict[str, float]:
    parts = [batch[start : start + BATCH_SIZE] for start in range(0, len(batch), BATCH_SIZE)]
    return {"accuracy": math.fsum(accuracy(predict(model, part), part.labels) for part in parts) / len(parts)}


def test_our_metrics_are_of_all_samples() -> None:
    assert not [*samples_left_out(partial(evaluate, every_epoch=True))]


def test_samples_left_out_are_found() -> None:
    findings = samples_left_out(drop_last)
    assert LEFT == 1
    message = f"{LEFT} of {SAMPLES} samples do not count (number {SAMPLES - LEFT}, counted from 0)"
    left_out = [finding.subject for finding in findings if finding.message.startswith(message)]
    assert left_out == ["loss", "accuracy", "balanced_accuracy"]


@pytest.mark.parametrize("wrong", [literal_denominator, mean_of_means])
def test_a_wrong_denominator_is_found(wrong: Evaluate) -> None:
    (finding,) = samples_left_out(wrong)
    assert finding.subject == "accuracy"
    assert "if each is repeated; divide by the number of samples" in finding.message


def test_memory_of_others_is_found() -> None:
    built: list[nn.Module] = []

    def build() -> nn.Module:
        built.append(Toy())
        return built[-1]

    def all_there_is(build: Callable[[], nn.Module], batch: Batch) -> int:
        model = build()
        total = sum(parameter.nbytes for other in built for parameter in other.parameters())
        built.remove(model)
        return total + batch.labels.nbytes

    (finding,) = memory_of_others(all_there_is, build, toy_batch(2))
    own, batch = 4 * (4 + 1), 2 * 8  # bytes
    assert finding.subject == "Toy"
    assert finding.message.startswith(
        f"its peak is {own + batch} bytes alone and {4 * own + batch} beside 3 more;"
    )


def test_our_memory_is_of_one_model() -> None:
    peak_bytes = lambda build, batch: training_memory(build, batch, STANDARD).peak_bytes  # noqa: E731
    assert not [*memory_of_others(peak_bytes, lambda: Toy(logits=2), toy_batch(4))]
