from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from bench.costs import together
from bench.costs.together import Lanes, SideBySide, compare, run_together, seeds_table, train_epoch_together
from bench.records.run import COMPLETED, DIVERGED, RunRecord
from bench.training.runs import RunUnderWay, begin, run, silent
from bench.training.seeding import deterministic
from bench.training.trainer import EpochResult, Trainer
from fusion_models import find_model
from tests.bench.marks import needs_cuda
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


TIMED = {"started_at", "epoch_seconds", "train_seconds", "seconds_to_target", "seeds_together", "pretraining"}


def untimed(record: RunRecord) -> dict[str, object]:
    """The record without what depends on the clock, and with the experts' losses alone."""
    fields = {name: value for name, value in record.to_dict().items() if name not in TIMED}
    return fields | {"experts": [(stage.modality, stage.valid_losses) for stage in record.pretraining]}


@pytest.mark.parametrize("model", [MODEL, "experts-late-logits-strided"])
def test_runs_side_by_side_come_to_the_records_of_runs_alone(model: str, tmp_path: Path) -> None:
    spec, dataset, config = find_model(model), small_dataset(), run_config(tmp_path, replace(SMALL, epochs=3))
    seen: list[tuple[int, str, int]] = []

    def observe(seed: int, result: EpochResult) -> None:
        seen.append((seed, result.stage, result.epoch))

    found = run_together(spec, dataset, (51, 52), config, observe)
    for seed, record in zip((51, 52), found, strict=True):
        assert untimed(record) == untimed(run(spec, dataset, seed, config))
        assert record.seeds_together == 2
        assert record.train_seconds is not None
    assert found[0].epoch_seconds == found[1].epoch_seconds
    assert [(seed, epoch) for seed, stage, epoch in seen if not stage] == [
        (seed, epoch) for epoch in (1, 2, 3) for seed in (51, 52)
    ]


def test_a_seed_that_diverges_ends_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, dataset, config = find_model(MODEL), small_dataset(), run_config(tmp_path, replace(SMALL, epochs=3))

    def begin_with_a_broken_one(*arguments: object) -> RunUnderWay:
        begun = begin(*arguments)  # type: ignore[arg-type]
        if begun.seed == 52:
            with torch.no_grad():
                next(begun.network.parameters()).fill_(torch.nan)
        return begun

    monkeypatch.setattr(together, "begin", begin_with_a_broken_one)
    broken, whole = run_together(spec, dataset, (52, 51), config, lambda *_: None)
    assert (broken.status, broken.error) == (
        DIVERGED,
        "the loss is not finite after epoch 1 (training nan, validation nan)",
    )
    assert len(broken.epoch_seconds) == 1
    assert whole.status == COMPLETED
    assert untimed(whole) == untimed(run(spec, dataset, 51, config))


@pytest.mark.parametrize(("one_by_one", "side_by_side", "then"), [(3.0, 2.0, 2.0), (2.0, 3.0, 2.0)])
def test_epochs_are_trained_in_the_way_that_took_less_time(
    one_by_one: float, side_by_side: float, then: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 0.0

    def taking(seconds: float, trainers: list[Trainer]) -> None:
        nonlocal clock
        for trainer in trainers:
            trainer.train_epoch()
        clock += seconds

    monkeypatch.setattr(together, "train_epoch_one_by_one", partial(taking, one_by_one))
    monkeypatch.setattr(together, "train_epoch_together", partial(taking, side_by_side))
    monkeypatch.setattr("bench.costs.together.time.perf_counter", lambda: clock)
    config = run_config(tmp_path, replace(SMALL, epochs=4))
    with deterministic():
        runs = [begin(find_model(MODEL), small_dataset(), seed, config, silent) for seed in (51, 52)]
        lanes = Lanes(runs)
        for _ in range(4):
            lanes.train_epoch()
            lanes.finish_epoch()
    shares = [seconds / 2 for seconds in (one_by_one, side_by_side, then, then)]
    assert [run.record().epoch_seconds for run in runs] == [shares, shares]


@needs_cuda
@pytest.mark.parametrize("model", [MODEL, "wide-intermediate-concat-maxpool"])
def test_on_streams_each_trains_as_alone(model: str, tmp_path: Path) -> None:
    config = replace(run_config(tmp_path), device="cuda")
    assert compare(find_model(model), small_dataset(), range(51, 59), config).loss_difference <= 1e-6


@needs_cuda
def test_on_cuda_runs_side_by_side_come_to_the_weights_of_runs_alone(tmp_path: Path) -> None:
    spec, dataset = find_model(MODEL), small_dataset()
    config = replace(run_config(tmp_path, replace(SMALL, epochs=3)), device="cuda")
    for record in run_together(spec, dataset, (51, 52, 53), config, lambda *_: None):
        assert record.train_losses == pytest.approx(run(spec, dataset, record.seed, config).train_losses, rel=1e-6)
