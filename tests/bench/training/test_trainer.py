import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from bench.config import STANDARD, Protocol
from bench.metrics import classification_loss
from bench.training.runs import silent
from bench.training.seeding import epoch_order
from bench.training.steps import EagerSteps
from bench.training.trainer import (
    TARGET_ACCURACY,
    DivergedError,
    EpochResult,
    History,
    Observer,
    Trainer,
    learning_rates,
)
from data_utils import Batch
from tests.bench.toys import Toy, toy, toy_batch

PROTOCOL = replace(
    STANDARD, epochs=3, batch_size=4, learning_rate=0.1, schedule="cosine-step", final_learning_rate=0.001
)


STILL = replace(PROTOCOL, learning_rate=0.0, final_learning_rate=0.0)
"""Every step sees the same weights."""


def trainer(
    model: nn.Module,
    *,
    train: Batch = toy_batch(16),  # noqa: B008 - nothing changes it
    valid: Batch | None = None,
    protocol: Protocol = PROTOCOL,
    seed: int = 51,
    observe: Observer = silent,
) -> Trainer:
    return Trainer(model, train, train if valid is None else valid, protocol, seed, observe)


def train(made: Trainer, epochs: int = PROTOCOL.epochs) -> Trainer:
    for _ in range(epochs):
        made.train_epoch()
        made.finish_epoch()
    return made


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first | second)


def test_the_loss_falls() -> None:
    history = train(trainer(toy())).history
    assert len(history.train_losses) == 3
    assert all(later < earlier for earlier, later in pairwise(history.train_losses))
    assert all(later < earlier for earlier, later in pairwise(history.valid("loss")))


def loss_of(model: nn.Module, batch: Batch) -> float:
    with torch.no_grad():
        return classification_loss(model(batch.inputs), batch.labels).item()


def test_train_loss_weighs_pairs_and_not_batches() -> None:
    # Five pairs in batches of 2, 2 and 1.
    model, data = toy(), toy_batch(5)
    each = [loss_of(model, data[i : i + 1]) for i in range(5)]
    made = train(trainer(model, train=data, protocol=replace(STILL, batch_size=2)), epochs=1)
    assert made.history.train_losses == [pytest.approx(sum(each) / 5, rel=1e-6)]
    assert max(each) > 2 * min(each)  # so the mean of the batches' means is another number, whichever is alone
    assert len({round(value, 4) for value in each}) == 5


def test_validation_is_over_the_validation_pairs() -> None:
    model, valid = toy(), toy_batch(7, seed=1)
    history = train(trainer(model, valid=valid, protocol=STILL), epochs=1).history
    assert history.valid("loss") == [pytest.approx(loss_of(model, valid), rel=1e-6)]


def cosine(progress: float) -> float:
    return 0.001 + (0.1 - 0.001) * (1 + math.cos(math.pi * progress)) / 2


SCHEDULES = [
    # 16 pairs in batches of 4 are 4 steps per epoch, 12 in all.
    ("cosine-step", [cosine(step / 12) for step in range(12)]),
    ("cosine-epoch", [cosine(epoch / 3) for epoch in range(3) for _ in range(4)]),
    ("constant", [0.1] * 12),
]


@pytest.mark.parametrize(("schedule", "rates"), SCHEDULES)
def test_learning_rates_follow_the_schedule(
    schedule: Literal["constant", "cosine-step", "cosine-epoch"], rates: list[float]
) -> None:
    assert learning_rates(replace(PROTOCOL, schedule=schedule), 4) == pytest.approx(rates)


def test_a_cosine_is_one_step_from_its_end_at_the_last_step() -> None:
    assert learning_rates(PROTOCOL, 4)[-1] == pytest.approx(cosine(11 / 12))
    assert cosine(12 / 12) == pytest.approx(PROTOCOL.final_learning_rate)


@pytest.mark.parametrize(("schedule", "rates"), SCHEDULES)
def test_every_step_is_taken_with_its_own_rate(
    schedule: Literal["constant", "cosine-step", "cosine-epoch"], rates: list[float]
) -> None:
    protocol = replace(PROTOCOL, schedule=schedule)
    assert rates_of_steps(protocol, toy_batch(16)) == pytest.approx(rates)
    history = train(trainer(toy(), protocol=protocol)).history
    assert [result.learning_rate for result in history.results] == pytest.approx(rates[::4])


def rates_of_steps(protocol: Protocol, data: Batch) -> list[float]:
    """The optimizer's learning rate at each step of a training."""

    def read(model: Toy, _: object) -> None:
        if model.training:
            assert isinstance(made._steps, EagerSteps)
            (group,) = made._steps.optimizer.param_groups
            rates.append(float(group["lr"]))

    rates: list[float] = []
    made = trainer(watched(read), train=data, protocol=protocol)
    train(made)
    return rates


def watched(see: Callable[[Toy, Mapping[str, Tensor]], None]) -> Toy:
    """A toy that shows itself and its inputs at each call."""
    model = toy()
    model.register_forward_pre_hook(lambda _, arguments: see(model, arguments[0]))
    return model


def test_an_uneven_last_batch_is_a_step_of_the_schedule_too() -> None:
    assert rates_of_steps(PROTOCOL, toy_batch(13)) == pytest.approx([cosine(step / 12) for step in range(12)])


def test_drop_last_counts_only_the_steps_it_takes() -> None:
    rates = rates_of_steps(replace(PROTOCOL, drop_last=True), toy_batch(13))  # 4 + 4 + 4, and 1 left out
    assert rates == pytest.approx([cosine(step / 9) for step in range(9)])


def test_drop_last_leaves_out_the_uneven_batch_of_each_epoch() -> None:
    # Five pairs in batches of 2: two batches are used, the pair that comes last in the epoch's order is not.
    model, data = toy(), toy_batch(5)
    made = train(trainer(model, train=data, protocol=replace(STILL, batch_size=2, drop_last=True)))
    expected = [loss_of(model, data[epoch_order(51, epoch, 5)[:4]]) for epoch in (1, 2, 3)]
    assert made.history.train_losses == pytest.approx(expected, rel=1e-6)


def opposite(batch: Batch) -> Batch:
    """The same pairs with wrong labels: a model that gets better at one gets worse at the other."""
    return Batch(batch.inputs, 1 - batch.labels)


@pytest.mark.parametrize(("valid", "best"), [(toy_batch(16), 3), (opposite(toy_batch(16)), 1)])
def test_restore_best_gives_the_weights_of_the_best_epoch(valid: Batch, best: int) -> None:
    model = toy()
    after: list[dict[str, Tensor]] = []
    made = train(trainer(model, valid=valid, observe=lambda _: after.append(weights(model))))
    assert made.history.best.epoch == best
    assert equal(weights(model), after[-1])
    made.restore_best()
    assert equal(weights(model), after[best - 1])
    assert not equal(after[0], after[-1])


def test_the_first_of_equally_good_epochs_is_the_best() -> None:
    assert train(trainer(toy(), protocol=STILL)).history.best.epoch == 1


def result(epoch: int, loss: float) -> EpochResult:
    return EpochResult(
        epoch=epoch,
        epochs=3,
        train_loss=loss + 1,
        valid={"loss": loss, "accuracy": loss / 10},
        learning_rate=0.1,
        seconds=float(epoch),
    )


def test_a_history_lists_its_epochs() -> None:
    history = History([result(1, 5.0), result(2, 3.0), result(3, 4.0)])
    assert history.best.epoch == 2
    assert history.train_losses == [6.0, 4.0, 5.0]
    assert history.valid("accuracy") == [0.5, 0.3, 0.4]
    assert history.epoch_seconds == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("accuracies", "seconds"),
    [
        ([0.5, 0.9, 0.96, 0.99], 10.0 + 1.0 + 2.0 + 3.0),
        ([152 / 160, 0.5], 10.0 + 1.0),  # reaching the target is enough, also if it is lost again
        ([0.5, 151 / 160], None),
        ([], None),
    ],
)
def test_the_time_to_the_target_is_that_up_to_the_first_epoch_with_it(
    accuracies: list[float], seconds: float | None
) -> None:
    history = History([result(epoch, 10 * accuracy) for epoch, accuracy in enumerate(accuracies, start=1)])
    assert TARGET_ACCURACY == 0.95
    assert history.seconds_to_target(before=10.0) == seconds


def broken_weights(model: Toy) -> Batch:
    nn.init.constant_(model.layer.weight, math.nan)
    return toy_batch(4)


def broken_validation(model: Toy) -> Batch:  # noqa: ARG001 - one of the ways to break it
    return Batch({"rgb": torch.full((2, 1, 2, 2), math.inf)}, torch.tensor([0, 1]))


@pytest.mark.parametrize("break_it", [broken_weights, broken_validation])
def test_a_loss_that_is_not_finite_stops_and_is_kept(break_it: Callable[[Toy], Batch]) -> None:
    model, seen = toy(), list[int]()
    made = trainer(model, valid=break_it(model), observe=lambda result: seen.append(result.epoch))
    made.train_epoch()
    with pytest.raises(DivergedError, match="not finite after epoch 1 "):
        made.finish_epoch()
    assert seen == [1]
    assert len(made.history.results) == 1


def test_finishing_follows_training() -> None:
    for made in (trainer(toy()), train(trainer(toy()), epochs=1)):
        with pytest.raises(RuntimeError, match="finish_epoch follows train_epoch"):
            made.finish_epoch()


def test_frozen_parameters_stay_as_they_are() -> None:
    model = toy()
    model.layer.weight.requires_grad_(False)
    before = weights(model)
    train(trainer(model))
    after = weights(model)
    assert torch.equal(before["layer.weight"], after["layer.weight"])
    assert not torch.equal(before["layer.bias"], after["layer.bias"])


def trained(seed: int) -> tuple[dict[str, Tensor], list[float]]:
    model = toy()
    losses = train(trainer(model, seed=seed)).history.train_losses
    return weights(model), losses


def test_the_same_seed_gives_the_same_bits_whatever_was_drawn_before_and_another_does_not() -> None:
    first = trained(51)
    torch.rand(7)
    second = trained(51)
    assert first[1] == second[1] != trained(52)[1]
    assert equal(first[0], second[0])


def test_every_epoch_uses_every_pair_once_in_an_order_of_its_own() -> None:
    def see(model: Toy, inputs: Mapping[str, Tensor]) -> None:
        if model.training:
            seen.extend(inputs["rgb"][:, 0, 0, 0].tolist())

    seen: list[float] = []
    data = toy_batch(16)
    train(trainer(watched(see), train=data), epochs=2)
    first, second = seen[:16], seen[16:]
    assert sorted(first) == sorted(second) == sorted(data.inputs["rgb"][:, 0, 0, 0].tolist())
    assert first != second


def test_models_train_in_training_mode_and_validate_in_the_other() -> None:
    modes: list[bool] = []
    train(trainer(watched(lambda model, _: modes.append(model.training))), epochs=2)
    assert modes == [True, True, True, True, False] * 2


def test_the_observer_gets_every_epoch_once() -> None:
    seen: list[EpochResult] = []
    made = train(trainer(toy(), observe=seen.append))
    assert [(result.epoch, result.epochs) for result in seen] == [(1, 3), (2, 3), (3, 3)]
    assert seen == made.history.results
    assert all(result.seconds > 0 for result in seen)
