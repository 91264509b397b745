import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.config import SMOKE
from bench.engine.race import (
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
from tests.bench.samples import MODEL, SMALL, run_config, small_dataset


def made(model: str = MODEL, **changes: object) -> Race:
    """Epochs of 10 steps, ours of 2, 1 and 2 s: ratios of 2, 2 and 3, and of 1.5, 1.5 and 1 in one process."""
    values = {
        "model": model,
        "steps": 10,
        "reference_seconds": [4.0, 2.0, 6.0],
        "beside_seconds": [3.0, 1.5, 2.0],
        "engine_seconds": [2.0, 1.0, 2.0],
        "reference_losses": [0.5, 0.4, 0.2, 0.1],
        "engine_losses": [0.5, 0.4, 0.2, 0.101],
        "exact_difference": 1e-15,
    }
    return Race(**{**values, **changes})  # type: ignore[arg-type]


def test_a_ratio_is_of_neighboring_epochs() -> None:
    assert made().ratios == [2.0, 2.0, 3.0]
    assert made().ratio == 2.0
    assert made().ratio_beside == 1.5


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


def test_a_race_trains_both_loops_alike(tmp_path: Path) -> None:
    # Batches of 16, 80 pairs of which 64 train: 4 steps; the first of two epochs warms up.
    config = run_config(tmp_path, replace(PROTOCOL, pairs=80, epochs=2, batch_size=16))
    found = race(find_model(MODEL), small_dataset(), 51, config)
    assert (found.model, found.steps) == (MODEL, 4)
    assert len(found.reference_seconds) == len(found.beside_seconds) == len(found.engine_seconds) == 1
    assert min(*found.reference_seconds, *found.beside_seconds, *found.engine_seconds) > 0
    assert len(found.reference_losses) == len(found.engine_losses) == 2
    assert found.exact_difference <= 1e-9 < EXACT_TOLERANCE
    assert found.loss_differences[0] <= ROUNDING_TOLERANCE
    assert not any(tmp_path.iterdir())


def test_the_exact_difference_notices_another_computation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = run_config(tmp_path, SMALL)
    monkeypatch.setattr("bench.engine.reference.epoch_order", lambda *_: torch.arange(20))
    assert exact_difference(find_model(MODEL), small_dataset(), 51, config) > 100 * EXACT_TOLERANCE


def test_the_table_has_a_line_a_model_and_the_geometric_mean() -> None:
    twice, eight_times = made(), made("other", engine_seconds=[0.5, 0.25, 0.75])
    table = race_table([twice, eight_times], 1.7, ["a machine"])
    assert table.name == "engine"
    assert table.rows[0] == [MODEL, "400.00", "200.00", "2.00", "2.00 to 3.00", "1.50", "1e-15", "1e-02"]
    # sqrt(2 * 8), sqrt(1.5 * 6)
    assert table.notes[0] == "geometric mean of the ratios: 4.00; aimed at: at least 1.7; in one process: 3.00"
    assert table.conditions == ["a machine"]
    assert list(table.data.reference_step_seconds) == [0.4, 0.4]
    assert "aimed" not in race_table([twice], None, []).notes[0]


def test_the_file_holds_everything_raw(tmp_path: Path) -> None:
    write_json(tmp_path / "engine.json", [made()], 1.7, run_config(tmp_path))
    content = json.loads((tmp_path / "engine.json").read_text())
    assert content["geometric_mean"] == pytest.approx(2.0)
    assert content["geometric_mean_in_one_process"] == pytest.approx(1.5)
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
