"""Weights in files."""

from pathlib import Path

from torch import nn

from bench.training.checkpoints import load_weights, save_checkpoint, state_of, weights_sha256


def test_loaded_weights_are_returned_for_whoever_needs_their_hash(tmp_path: Path) -> None:
    saved, loaded = nn.Linear(2, 2), nn.Linear(2, 2)
    save_checkpoint(tmp_path / "file", state_of(saved), {})
    weights = load_weights(loaded, tmp_path / "file")
    assert weights_sha256(weights) == weights_sha256(state_of(saved)) == weights_sha256(state_of(loaded))
