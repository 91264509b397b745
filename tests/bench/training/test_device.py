from types import SimpleNamespace

import pytest
import torch

from bench.config import OptionError
from bench.training.device import check_device
from bench.training.environment import environment
from bench.training.runs import run
from tests.bench.samples import MODEL, SMALL, small_dataset

MIG = "NVIDIA H100 80GB HBM3 MIG 1g.10gb"


def number(device: torch.device | int) -> int:
    return device if isinstance(device, int) else device.index or 0


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole GPU, and a slice of another: torch reports a slice as a device of its own."""
    devices = {
        0: SimpleNamespace(name="NVIDIA H100 80GB HBM3", total_memory=80 * 2**30, major=9, minor=0),
        1: SimpleNamespace(name=MIG, total_memory=10 * 2**30, major=9, minor=0),
    }
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: devices[number(device)])
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: devices[number(device)].name)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("device", "name", "gigabytes"), [("cuda", "HBM3", 80), ("cuda:0", "HBM3", 80), ("cuda:1", "1g.10gb", 10)]
)
def test_the_environment_is_that_of_the_device_that_trains(device: str, name: str, gigabytes: int) -> None:
    check_device(device)
    facts = environment(torch.device(device))
    assert facts["device_name"].endswith(name)
    assert facts["device_memory_bytes"] == gigabytes * 2**30
    assert facts["device_capability"] == "9.0"


@pytest.mark.usefixtures("two_gpus")
def test_a_device_that_is_not_there_is_refused_before_anything_is_loaded() -> None:
    with pytest.raises(OptionError, match=r"^device cuda:2: the CUDA devices here are cuda:0 to cuda:1$"):
        run(MODEL, "no such data", protocol=SMALL, device="cuda:2")


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "mps", "meta", "cpu:0", ""])
def test_what_is_not_a_device_is_refused(device: str) -> None:
    with pytest.raises(OptionError, match=f"^device {device}: give cpu, cuda or cuda:N$"):
        run(MODEL, small_dataset(), protocol=SMALL, device=device)


def test_cuda_is_refused_in_a_sentence_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        OptionError, match=r"^device cuda: torch .* finds no CUDA device here; leave the option out"
    ):
        run(MODEL, small_dataset(), protocol=SMALL, device="cuda")
