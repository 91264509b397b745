"""Tested on a CPU: the order of the calls, against a stub.

``test_graphs.py`` tests on CUDA that models whose stems run side by side train as others do.
"""

from dataclasses import dataclass
from typing import Any

import pytest
import torch

from bench.training import branches
from bench.training.branches import on_streams, side_by_side
from bench.training.runs import build_seeded
from fusion_models import FusionNet, find_model
from fusion_models.network import in_turn
from fusion_models.operators import PassThrough
from tests.bench.samples import MODEL, small_dataset
from tests.bench.training.test_graphs import StubCuda


@dataclass(frozen=True)
class Features:
    """A tensor on CUDA that notes what happens to it."""

    cuda: StubCuda
    name: str
    device: str = "cuda:1"

    def record_stream(self, stream: Any) -> None:
        self.cuda.note(f"{self.name} is used on {stream.name}")


def test_each_stem_runs_on_a_stream_of_its_own_between_a_fork_and_a_join(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = StubCuda()
    cuda.put_in_place(monkeypatch)
    monkeypatch.setattr(branches, "_stream", lambda device, number: cuda.stream(f"{device} branch {number}"))

    def layer(x: Any) -> Features:
        cuda.note(f"stem of {x.name}")
        return Features(cuda, f"features of {x.name}")

    layers: Any = [layer] * 3
    inputs: Any = [Features(cuda, name) for name in ("rgb", "lidar", "radar")]
    outputs: Any = on_streams(layers, inputs)
    assert [y.name for y in outputs] == ["features of rgb", "features of lidar", "features of radar"]
    one, two = "cuda:1 branch 1", "cuda:1 branch 2"
    assert cuda.calls == [
        f"{one} waits for main",
        f"{two} waits for main",
        "main: stem of rgb",
        f"{one}: stem of lidar",
        f"main: lidar is used on {one}",
        "main: features of lidar is used on main",
        f"{two}: stem of radar",
        f"main: radar is used on {two}",
        "main: features of radar is used on main",
        f"main waits for {one}",
        f"main waits for {two}",
    ]


def test_stems_run_side_by_side_within_the_body_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_seeded(find_model(MODEL), small_dataset().info, 0, "cpu")
    assert isinstance(model, FusionNet)
    with side_by_side(model):  # on a CPU nothing changes
        assert model.branches is in_turn
    monkeypatch.setattr(torch.nn.Parameter, "is_cuda", True, raising=False)
    with side_by_side(model):
        assert model.branches is on_streams
    assert model.branches is in_turn


def test_stems_that_share_weights_or_have_none_run_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.nn.Parameter, "is_cuda", True, raising=False)
    stem = torch.nn.BatchNorm2d(4)
    for stems in ({"rgb": stem, "lidar": stem}, {"rgb": torch.nn.ReLU(), "lidar": torch.nn.ReLU()}):
        model = FusionNet(
            stems=stems, operator=PassThrough([()]), trunk=torch.nn.Identity(), head=torch.nn.Identity()
        )
        with side_by_side(model):
            assert model.branches is in_turn


def test_other_models_run_as_always() -> None:
    model = torch.nn.Linear(2, 1)
    with side_by_side(model):
        assert model(torch.ones(1, 2)).shape == (1, 1)
