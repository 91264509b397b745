from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from bench.config import BF16, FP32, TF32, OptionError
from bench.training.device import check_device, check_precision, precisions_of
from bench.training.environment import environment
from bench.training.runs import run
from tests.bench.samples import MODEL, SMALL, small_dataset

MIG = "NVIDIA H100 80GB HBM3 MIG 1g.10gb"
OLDER = {"Tesla V100-SXM2-16GB": (7, 0), "Tesla T4": (7, 5)}
NEWER = {"NVIDIA A100-SXM4-40GB": (8, 0), "NVIDIA L4": (8, 9), MIG: (9, 0), "NVIDIA B200": (10, 0)}


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


@pytest.mark.parametrize(("name", "capability"), [*OLDER.items(), *NEWER.items()])
def test_tf32_and_bf16_take_a_gpu_that_computes_in_them(
    name: str, capability: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    major, minor = capability
    devices = {"cuda:1": SimpleNamespace(name=name, major=major, minor=minor)}
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: devices[device])
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: devices[device].name)
    check_precision("cuda:1", FP32)
    if name in NEWER:
        assert precisions_of("cuda:1") == (FP32, TF32, BF16)
        return
    assert precisions_of("cuda:1") == (FP32,)
    for precision in (TF32, BF16):
        with pytest.raises(OptionError) as raised:
            check_precision("cuda:1", precision)
        assert str(raised.value) == (
            f"precision={precision}: {name} (compute capability {major}.{minor}) does not compute in it, and CUDA "
            "devices of compute capability 8.0 or newer do; set precision=fp32"
        )


def test_a_cpu_has_bf16_and_no_tf32() -> None:
    for precision in (FP32, BF16):
        check_precision("cpu", precision)
    with pytest.raises(OptionError, match=r"tf32: a CPU does not .* set precision=fp32 or precision=bf16$"):
        run(MODEL, small_dataset(), protocol=replace(SMALL, precision=TF32))
