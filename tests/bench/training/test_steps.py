import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import nn

from bench.config import STANDARD
from bench.training.steps import EagerSteps, make_optimizer, set_learning_rate, timed, training_step
from data_utils import Batch
from tests.bench.toys import Toy, toy, toy_batch


def adam(model: nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    return make_optimizer(
        model, replace(STANDARD, learning_rate=learning_rate, final_learning_rate=min(learning_rate, 1e-6))
    )


def test_a_step_follows_the_gradient_and_returns_the_loss_before_it() -> None:
    # One pixel of 1, weight and bias 0: a loss of log 2. Adam's first step has the length of the learning rate.
    model = Toy(pixels=1)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    batch = Batch({"rgb": torch.ones(1, 1, 1, 1)}, torch.tensor([1]))
    loss = training_step(model, adam(model, learning_rate=0.25), batch, STANDARD)
    assert loss.item() == pytest.approx(math.log(2.0))
    assert not loss.requires_grad
    assert [parameter.item() for parameter in model.parameters()] == pytest.approx([0.25, 0.25], rel=1e-4)


def weights_after(optimizer: torch.optim.Optimizer, model: Toy, rates: list[float]) -> torch.Tensor:
    for rate in rates:
        set_learning_rate(optimizer, rate)
        training_step(model, optimizer, toy_batch(8), STANDARD)
    return model.layer.weight.detach()


def test_a_rate_in_a_tensor_trains_as_a_number_does() -> None:
    rates = [0.1, 0.03, 0.2]
    one, other = toy(), toy()
    by_tensor = torch.optim.Adam(other.parameters(), lr=torch.tensor(1.0), fused=True)
    rate = by_tensor.param_groups[0]["lr"]
    first, second = weights_after(adam(one, 1.0), one, rates), weights_after(by_tensor, other, rates)
    torch.testing.assert_close(first, second)
    assert by_tensor.param_groups[0]["lr"] is rate  # where a graph reads it
    assert rate.item() == pytest.approx(0.2)
    assert not torch.allclose(first, weights_after(adam(toy(), 1.0), toy(), rates[:2]))


def test_an_epoch_takes_every_batch_and_sums_the_losses_of_pairs() -> None:
    model, data = toy(), toy_batch(5)
    eager = EagerSteps(model, adam(model, 0.0), data, replace(STANDARD, batch_size=2))
    expected = [
        nn.functional.binary_cross_entropy_with_logits(
            model(data[i : i + 1].inputs)[:, 0], data.labels[i : i + 1].float()
        ).item()
        for i in range(5)
    ]
    order = torch.tensor([4, 2, 0, 1, 3])
    sums = [loss_sum.item() for loss_sum in eager.epoch(order, [0.0, 0.0, 0.0])]
    sorted_losses = [expected[i] for i in order]
    assert sums == pytest.approx([sum(sorted_losses[:2]), sum(sorted_losses[:4]), sum(sorted_losses)])


@pytest.mark.parametrize("rates", [[0.1], [0.1, 0.1, 0.1]])
def test_every_step_needs_a_rate(rates: list[float]) -> None:
    model = toy()
    eager = EagerSteps(model, adam(model, 0.1), toy_batch(4), replace(STANDARD, batch_size=2))
    with pytest.raises(ValueError, match="zip"):
        list(eager.epoch(torch.arange(4), rates))


def test_the_first_step_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    def steps() -> Iterator[str]:
        for step in ("first", "second", "third"):
            events.append(step)
            yield step

    def clock() -> float:
        events.append("clock")
        return float(len(events))

    events: list[str] = []
    monkeypatch.setattr("time.perf_counter", clock)
    assert timed(steps(), torch.device("cpu")) == ("third", 5.0 - 2.0)
    assert events == ["first", "clock", "second", "third", "clock"]
