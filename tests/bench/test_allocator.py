import ctypes

import pytest
import torch

from bench.allocator import keep_freed_memory


def test_results_do_not_change() -> None:
    x = torch.arange(1_000_000.0)
    before = (x * x).sum()
    keep_freed_memory()
    assert torch.equal((x * x).sum(), before)


def test_a_c_library_without_the_switch_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert keep_freed_memory() is False
