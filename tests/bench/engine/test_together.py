from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from bench.engine.together import SideBySide, compare, seeds_table, train_epoch_together
from bench.engine.training import Trainer
from bench.runs import silent
from fusion_models import find_model
from tests.bench.samples import MODEL, SMALL, run_config, small_dataset
from tests.bench.toys import toy, toy_batch

PROTOCOL = replace(SMALL, batch_size=4, epochs=2, learning_rate=0.1)


def trainers() -> list[Trainer]:
    """Three with data of their own, of 4, 1 and 3 steps an epoch."""
    return [
        Trainer(toy(seed=seed), toy_batch(pairs, seed=seed), toy_batch(4), PROTOCOL, seed, silent)
        for seed, pairs in ((1, 16), (2, 4), (3, 11))
    ]


def test_together_each_trains_as_alone() -> None:
    alone, together = trainers(), trainers()
    for _ in range(PROTOCOL.epochs):
        for trainer in alone:
            trainer.train_epoch()
        train_epoch_together(together)
        for trainer in (*alone, *together):
            trainer.finish_epoch()
    for one, other in zip(alone, together, strict=True):
        assert one.history.train_losses == other.history.train_losses
        assert one.history.valid("loss") == other.history.valid("loss")
        assert all(map(torch.equal, one.model.parameters(), other.model.parameters()))
    assert len({tuple(trainer.history.train_losses) for trainer in together}) == 3


def test_steps_are_taken_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    made = trainers()
    taken: list[int] = []

    def steps_of(number: int) -> Iterator[torch.Tensor]:
        for _ in range(made[number].steps_per_epoch):
            taken.append(number)
            yield torch.zeros(())

    for number, trainer in enumerate(made):
        monkeypatch.setattr(trainer, "steps", partial(steps_of, number))
    train_epoch_together(made)
    assert taken == [0, 1, 2, 0, 2, 0, 2, 0]


def test_a_comparison_is_of_the_same_seeds(tmp_path: Path) -> None:
    found = compare(find_model(MODEL), small_dataset(), (51, 52), run_config(tmp_path))
    assert (found.model, found.seeds) == (MODEL, 2)
    assert len(found.alone_seconds) == len(found.together_seconds) == 1
    assert found.loss_difference == 0.0


def test_gain_is_how_many_times_longer_one_after_the_other_takes() -> None:
    found = SideBySide(MODEL, 4, [3.0, 8.0, 4.0], [1.0, 2.0, 9.0], 0.0)
    assert found.gain == 2.0
    table = seeds_table([found], ["a machine"])
    assert table.rows == [[MODEL, "4", "4000.0", "2000.0", "2.00"]]
    assert list(table.data.gain) == [2.0]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="streams need a CUDA device")
@pytest.mark.parametrize("model", [MODEL, "wide-intermediate-concat-maxpool"])
def test_on_streams_each_trains_as_alone(model: str, tmp_path: Path) -> None:
    config = replace(run_config(tmp_path), device="cuda")
    assert compare(find_model(model), small_dataset(), range(51, 59), config).loss_difference <= 1e-6
