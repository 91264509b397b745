from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.config import SMOKE, OptionError
from bench.costs import loops
from bench.costs.race import (
    EXACT_TOLERANCE,
    PROTOCOL,
    ROUNDING_TOLERANCE,
    exact_difference,
    models,
    race,
    target,
)
from bench.training.runs import run
from fusion_models import find_model
from tests.bench.marks import needs_cuda
from tests.bench.samples import MODEL, SMALL, run_config, small_dataset

# Batches of 16, 80 pairs of which 64 train: 4 steps, 3 of them timed; the first of two epochs warms up.
SHORT = replace(PROTOCOL, pairs=80, epochs=2, batch_size=16)


def test_models_are_those_of_three_families_in_both_embedders() -> None:
    strategies = {spec.strategy for spec in models()}
    assert len(models()) == 2 * len(strategies) == 22
    assert {spec.family for spec in models()} == {"compact", "deep", "wide"}
    assert all(len(spec.sees({"rgb": 4, "lidar": 4})) == 2 for spec in models())


def test_the_protocol_leaves_epochs_to_time_in_every_profile() -> None:
    assert SMOKE.shorten(PROTOCOL, simulated=True).epochs >= 2


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_cuda)])
def test_a_race_trains_both_loops_alike(device: str, tmp_path: Path) -> None:
    config = replace(run_config(tmp_path, SHORT), device=device)
    record = race(find_model(MODEL), small_dataset(), 51, config)
    assert (record.model, record.steps, record.target) == (MODEL, 3, target(torch.device(device)))
    assert len(record.reference_seconds) == len(record.engine_seconds) == 1
    assert min(*record.reference_seconds, *record.engine_seconds) > 0
    assert len(record.reference_losses) == len(record.engine_losses) == 2
    assert record.exact_difference <= 1e-9 < EXACT_TOLERANCE
    assert record.engine_losses[0] == pytest.approx(record.reference_losses[0], rel=ROUNDING_TOLERANCE)
    assert (record.conditions, record.profile) == (["data: 80 pairs of shapes in batches of 16"], "smoke")
    assert not any(tmp_path.iterdir())
    # Ours is the loop of all trainings.
    trained = run(MODEL, small_dataset(), 51, SHORT, device)
    assert record.engine_losses == trained.train_losses


def test_the_reference_trains_as_a_notebook_in_deterministic_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    class Reference:
        def steps(self) -> Iterator[tuple[bool, bool]]:
            while True:
                yield torch.are_deterministic_algorithms_enabled(), torch.empty(3).isnan().all().item()  # type: ignore[misc]

    monkeypatch.setattr(loops, "_references", [Reference()])
    monkeypatch.setattr(loops, "timed", lambda steps, _: next(steps))
    assert loops._reference_epoch("cpu") == (True, True)


def test_our_process_keeps_freed_memory_before_it_reads_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bool] = []
    monkeypatch.setattr(loops, "keep_freed_memory", lambda: kept.append(True))
    with pytest.raises(EOFError):
        loops._start_ours(b"", SMALL, 51, "cpu")
    assert kept == [True]


def test_a_race_needs_a_step_to_warm_up_and_one_to_time(tmp_path: Path) -> None:
    config = run_config(tmp_path, replace(SHORT, batch_size=64))
    with pytest.raises(OptionError, match="two steps per epoch; 64 training pairs in batches of 64 are 1"):
        race(find_model(MODEL), small_dataset(), 51, config)


def test_the_exact_difference_notices_another_computation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.costs.reference.epoch_order", lambda *_: torch.arange(20))
    config = run_config(tmp_path, SMALL)
    assert exact_difference(find_model(MODEL), small_dataset(), 51, config) > 100 * EXACT_TOLERANCE


@pytest.mark.parametrize(
    ("device", "capability", "least"),
    [("cpu", None, 1.7), ("cuda", (9, 0), 10.0), ("cuda", (10, 0), 10.0), ("cuda", (7, 5), None)],
)
def test_targets_are_those_of_named_devices(
    device: str, capability: tuple[int, int] | None, least: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert target(torch.device(device)) == least
