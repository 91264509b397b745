import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.config import SMOKE
from bench.costs.race import (
    EXACT_TOLERANCE,
    PROTOCOL,
    ROUNDING_TOLERANCE,
    ROWS,
    Race,
    exact_difference,
    race,
    race_table,
    relative_differences,
    target,
    write_json,
)
from fusion_models import find_model
from tests.bench.marks import needs_cuda
from tests.bench.samples import MODEL, SMALL, run_config, small_dataset


def made(model: str = MODEL, **changes: object) -> Race:
    """10 steps, ours in 2, 1 and 2 s: ratios of 2, 2 and 3, 2, 3 and 4 to a process, 1.5, 1.5 and 1 of loops."""
    values = {
        "model": model,
        "steps": 10,
        "reference_seconds": [4.0, 2.0, 6.0],
        "process_seconds": [4.0, 3.0, 8.0],
        "loop_seconds": [3.0, 1.5, 2.0],
        "engine_seconds": [2.0, 1.0, 2.0],
        "reference_losses": [0.5, 0.4, 0.2, 0.1],
        "engine_losses": [0.5, 0.4, 0.2, 0.101],
        "exact_difference": 1e-15,
    }
    return Race(**{**values, **changes})  # type: ignore[arg-type]


def test_a_ratio_is_of_neighboring_epochs() -> None:
    assert made().ratios == [2.0, 2.0, 3.0]
    assert made().ratio == 2.0
    assert made().ratio_to_process == 3.0
    assert made().ratio_of_loops == 1.5


def test_differences_are_relative_to_the_reference() -> None:
    assert relative_differences([2.0, -4.0], [2.0, -3.0]) == [0.0, 0.25]
    assert made().loss_differences == pytest.approx([0, 0, 0, 0.01])


def test_rows_are_those_of_three_families_in_both_embedders() -> None:
    strategies = {spec.strategy for spec in ROWS}
    assert len(ROWS) == 2 * len(strategies) == 22
    assert {spec.family for spec in ROWS} == {"compact", "deep", "wide"}
    assert all(len(spec.modalities) == 2 for spec in ROWS)


def test_the_protocol_leaves_epochs_to_time_in_every_profile() -> None:
    shortest = SMOKE.shorten(PROTOCOL, simulated=True)
    assert shortest.epochs >= 2


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_cuda)])
def test_a_race_trains_both_loops_alike(device: str, tmp_path: Path) -> None:
    # Batches of 16, 80 pairs of which 64 train: 4 steps, 3 of them timed; the first of two epochs warms up.
    config = run_config(tmp_path, replace(PROTOCOL, pairs=80, epochs=2, batch_size=16))
    found = race(find_model(MODEL), small_dataset(), 51, replace(config, device=device))
    assert (found.model, found.steps) == (MODEL, 3)
    assert len(found.reference_seconds) == len(found.process_seconds) == 1
    assert len(found.loop_seconds) == len(found.engine_seconds) == 1
    assert min(*found.reference_seconds, *found.process_seconds) > 0
    assert min(*found.loop_seconds, *found.engine_seconds) > 0
    assert len(found.reference_losses) == len(found.engine_losses) == 2
    assert found.exact_difference <= 1e-9 < EXACT_TOLERANCE
    assert found.loss_differences[0] <= ROUNDING_TOLERANCE
    assert not any(tmp_path.iterdir())


def test_a_race_needs_a_step_to_warm_up_and_one_to_time(tmp_path: Path) -> None:
    config = run_config(tmp_path, replace(PROTOCOL, pairs=80, epochs=2, batch_size=64))
    with pytest.raises(ValueError, match="two steps an epoch"):
        race(find_model(MODEL), small_dataset(), 51, config)


def test_the_exact_difference_notices_another_computation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = run_config(tmp_path, SMALL)
    monkeypatch.setattr("bench.costs.reference.epoch_order", lambda *_: torch.arange(20))
    assert exact_difference(find_model(MODEL), small_dataset(), 51, config) > 100 * EXACT_TOLERANCE


def test_the_table_has_a_line_a_model_and_the_geometric_mean() -> None:
    twice, eight_times = made(), made("other", engine_seconds=[0.5, 0.25, 0.75])
    table = race_table([twice, eight_times], 1.7, ["a machine"])
    assert table.name == "engine"
    assert table.rows[0] == [MODEL, "400.00", "200.00", "2.00", "2.00 to 3.00", "3.00", "1.50", "1e-15", "1e-02"]
    # sqrt(2 * 8), sqrt(3 * 32/3), sqrt(1.5 * 6)
    means = "geometric means: ratio 4.00, own process 5.66, loop alone 3.00"
    assert table.notes[0] == f"{means}; aimed at: at least 1.7 of the first two"
    assert table.conditions == ["a machine"]
    assert list(table.data.reference_step_seconds) == [0.4, 0.4]
    assert "aimed" not in race_table([twice], None, []).notes[0]


def test_the_file_holds_everything_raw(tmp_path: Path) -> None:
    write_json(tmp_path / "engine.json", [made()], 1.7, run_config(tmp_path))
    content = json.loads((tmp_path / "engine.json").read_text())
    means = {"ratio": 2.0, "ratio_to_process": 3.0, "ratio_of_loops": 1.5}
    assert content["geometric_means"] == pytest.approx(means)
    assert content["target"] == 1.7
    assert content["protocol"]["batch_size"] == SMALL.batch_size
    assert content["environment"]["threads"] == torch.get_num_threads()
    assert content["models"][0]["ratios"] == [2.0, 2.0, 3.0]
    assert content["models"][0]["engine_seconds"] == [2.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("device", "capability", "least"),
    [("cpu", None, 1.7), ("cuda", (9, 0), 10.0), ("cuda", (10, 0), 10.0), ("cuda", (7, 5), None)],
)
def test_targets_are_those_of_named_devices(
    device: str, capability: tuple[int, int] | None, least: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert target(torch.device(device)) == least
