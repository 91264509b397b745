import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from bench.config import STANDARD, Protocol
from bench.evaluation import classification_loss
from bench.seeding import epoch_order
from bench.training import DivergedError, EpochResult, History, Observer, Trainer, adam, training_step
from data_utils import Batch
from tests.bench.toys import Toy, toy, toy_batch

PROTOCOL = replace(
    STANDARD, epochs=3, batch_size=4, learning_rate=0.1, schedule="cosine-step", final_learning_rate=0.001
)


def ignore(result: EpochResult) -> None:
    pass


def trainer(
    model: nn.Module,
    *,
    train: Batch | None = None,
    valid: Batch | None = None,
    protocol: Protocol = PROTOCOL,
    seed: int = 51,
    observe: Observer = ignore,
) -> Trainer:
    data = toy_batch(16) if train is None else train
    return Trainer(model, data, data if valid is None else valid, protocol, seed, observe)


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


def test_a_step_follows_the_gradient_and_returns_the_loss_before_it() -> None:
    # One pixel of 1, weight and bias 0: a loss of log 2. Adam's first step has the length of the learning rate.
    model = Toy(pixels=1)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    batch = Batch({"rgb": torch.ones(1, 1, 1, 1)}, torch.tensor([1]))
    loss = training_step(model, adam(model, learning_rate=0.25), batch)
    assert loss.item() == pytest.approx(math.log(2.0))
    assert not loss.requires_grad
    assert [parameter.item() for parameter in model.parameters()] == pytest.approx([0.25, 0.25], rel=1e-4)


def test_train_loss_weighs_pairs_and_not_batches() -> None:
    # Five pairs in batches of 2, 2 and 1, with a learning rate of 0, so that every step sees the same weights.
    still = replace(PROTOCOL, learning_rate=0.0, final_learning_rate=0.0, batch_size=2)
    model, data = toy(), toy_batch(5)
    with torch.no_grad():
        each = [
            classification_loss(model(data[i : i + 1].inputs), data.labels[i : i + 1]).item() for i in range(5)
        ]
    made = train(trainer(model, train=data, protocol=still), epochs=1)
    assert made.history.train_losses == [pytest.approx(sum(each) / 5, rel=1e-6)]
    assert max(each) > 2 * min(each)  # so the mean of the batches' means is another number, whichever is alone
    assert len({round(value, 4) for value in each}) == 5


def test_validation_is_over_the_validation_pairs() -> None:
    still = replace(PROTOCOL, learning_rate=0.0, final_learning_rate=0.0)
    model, valid = toy(), toy_batch(7, seed=1)
    with torch.no_grad():
        expected = classification_loss(model(valid.inputs), valid.labels).item()
    assert train(trainer(model, valid=valid, protocol=still), epochs=1).history.valid("loss") == [
        pytest.approx(expected, rel=1e-6)
    ]


def cosine(progress: float) -> float:
    return 0.001 + (0.1 - 0.001) * (1 + math.cos(math.pi * progress)) / 2


@pytest.mark.parametrize(
    ("schedule", "first_steps", "last"),
    [
        # 16 pairs in batches of 4 are 4 steps an epoch, 12 in all: epochs begin after 0, 4 and 8 of them.
        ("cosine-step", [cosine(0 / 12), cosine(4 / 12), cosine(8 / 12)], 0.001),
        ("cosine-epoch", [cosine(0 / 3), cosine(1 / 3), cosine(2 / 3)], 0.001),
        ("constant", [0.1, 0.1, 0.1], 0.1),
    ],
)
def test_learning_rates_follow_the_schedule(
    schedule: Literal["constant", "cosine-step", "cosine-epoch"], first_steps: list[float], last: float
) -> None:
    made = train(trainer(toy(), protocol=replace(PROTOCOL, schedule=schedule)))
    assert [result.learning_rate for result in made.history.results] == pytest.approx(first_steps)
    assert learning_rate(made) == pytest.approx(last)


@pytest.mark.parametrize(("schedule", "after"), [("cosine-step", cosine(4 / 12)), ("cosine-epoch", cosine(1 / 3))])
def test_within_an_epoch_only_the_stepwise_cosine_falls(
    schedule: Literal["cosine-step", "cosine-epoch"], after: float
) -> None:
    class Remembers(Toy):
        def forward(self, inputs: dict[str, Tensor]) -> Tensor:
            if self.training:
                rates.append(learning_rate(made))
            return super().forward(inputs)

    rates: list[float] = []
    made = trainer(Remembers(), protocol=replace(PROTOCOL, schedule=schedule))
    train(made, epochs=1)
    falling = [cosine(step / 12) for step in range(4)]
    assert rates == pytest.approx(falling if schedule == "cosine-step" else [0.1] * 4)
    assert learning_rate(made) == pytest.approx(after)


def learning_rate(made: Trainer) -> float:
    return float(made._optimizer.param_groups[0]["lr"])


def test_an_uneven_last_batch_is_a_step_of_the_schedule_too() -> None:
    assert learning_rate(train(trainer(toy(), train=toy_batch(13)))) == pytest.approx(0.001)  # 4 + 4 + 4 + 1


def test_drop_last_leaves_out_the_uneven_batch_of_each_epoch() -> None:
    # Five pairs in batches of 2: two batches are used, the pair that comes last in the epoch's order is not.
    still = replace(PROTOCOL, learning_rate=0.0, final_learning_rate=0.0, batch_size=2, drop_last=True)
    model, data = toy(), toy_batch(5)
    made = train(trainer(model, train=data, protocol=still))
    orders = [epoch_order(51, epoch, 5)[:4] for epoch in (1, 2, 3)]
    with torch.no_grad():
        expected = [classification_loss(model(data[o].inputs), data.labels[o]).item() for o in orders]
    assert made.history.train_losses == pytest.approx(expected, rel=1e-6)


def test_drop_last_counts_only_the_steps_it_takes() -> None:
    made = trainer(toy(), train=toy_batch(13), protocol=replace(PROTOCOL, drop_last=True))
    assert learning_rate(train(made)) == pytest.approx(0.001)


def opposite(batch: Batch) -> Batch:
    """The same pairs with wrong labels: the better a model gets at the one, the worse it is at the other."""
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
    still = replace(PROTOCOL, learning_rate=0.0, final_learning_rate=0.0)
    assert train(trainer(toy(), protocol=still)).history.best.epoch == 1


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
    made = trainer(toy())
    with pytest.raises(RuntimeError, match="finish_epoch follows train_epoch"):
        made.finish_epoch()
    train(made, epochs=1)
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
    return weights(model), train(trainer(model, seed=seed)).history.train_losses


def test_the_same_seed_gives_the_same_bits_whatever_was_drawn_before() -> None:
    first = trained(51)
    torch.rand(7)
    second = trained(51)
    assert first[1] == second[1]
    assert equal(first[0], second[0])


def test_another_seed_trains_in_another_order() -> None:
    assert trained(51)[1] != trained(52)[1]


def test_every_epoch_uses_every_pair_once_in_an_order_of_its_own() -> None:
    class Remembers(Toy):
        def forward(self, inputs: dict[str, Tensor]) -> Tensor:
            if self.training:
                seen.extend(inputs["rgb"][:, 0, 0, 0].tolist())
            return super().forward(inputs)

    seen: list[float] = []
    data = toy_batch(16)
    train(trainer(Remembers(), train=data), epochs=2)
    first, second = seen[:16], seen[16:]
    assert sorted(first) == sorted(second) == sorted(data.inputs["rgb"][:, 0, 0, 0].tolist())
    assert first != second


def test_models_train_in_training_mode_and_validate_in_the_other() -> None:
    class Remembers(Toy):
        def forward(self, inputs: dict[str, Tensor]) -> Tensor:
            modes.append(self.training)
            return super().forward(inputs)

    modes: list[bool] = []
    train(trainer(Remembers()), epochs=2)
    assert modes == [True, True, True, True, False] * 2


def test_the_observer_is_told_of_every_epoch_once() -> None:
    seen: list[EpochResult] = []
    made = train(trainer(toy(), observe=seen.append))
    assert [(result.epoch, result.epochs) for result in seen] == [(1, 3), (2, 3), (3, 3)]
    assert seen == made.history.results
    assert all(result.seconds > 0 for result in seen)
