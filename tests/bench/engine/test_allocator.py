import ctypes
import platform
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch

from bench.engine.allocator import give_back_freed_memory, keep_freed_memory

SETTINGS = pytest.mark.parametrize("setting", [keep_freed_memory, give_back_freed_memory])


@SETTINGS
def test_results_do_not_change(setting: Callable[[], bool]) -> None:
    x = torch.arange(1_000_000.0)
    before = (x * x).sum()
    setting()
    assert torch.equal((x * x).sum(), before)


@SETTINGS
def test_a_c_library_without_the_switch_is_left_alone(
    setting: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert setting() is False


COUNT_FAULTS = """
import resource, torch
from bench.engine.allocator import give_back_freed_memory, keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.ones(16_000_000)  # 64 MB, more than the highest threshold
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

assert keep_freed_memory()
for _ in range(5):
    kept = faults()
assert give_back_freed_memory()
print(faults(), kept)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_large_blocks_are_paid_for_each_time_or_once() -> None:
    done = subprocess.run([sys.executable, "-c", COUNT_FAULTS], capture_output=True, text=True, check=True)
    given_back, kept = map(int, done.stdout.split())
    assert given_back > 1_000 > kept
