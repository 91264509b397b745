import ctypes
import platform
import subprocess
import sys

import pytest
import torch

from bench.training.allocator import keep_freed_memory


def test_results_do_not_change() -> None:
    x = torch.arange(1_000_000.0)
    before = (x * x).sum()
    keep_freed_memory()
    assert torch.equal((x * x).sum(), before)


def test_a_c_library_without_the_switch_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert keep_freed_memory() is False


COUNT_FAULTS = """
import resource, torch
from bench.training.allocator import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.ones(16_000_000)  # 64 MB, more than glibc ever keeps by itself
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

for _ in range(5):
    given_back = faults()
assert keep_freed_memory()
for _ in range(5):
    kept = faults()
print(given_back, kept)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the switch")
def test_large_blocks_are_paid_for_each_time_or_once() -> None:
    done = subprocess.run([sys.executable, "-c", COUNT_FAULTS], capture_output=True, text=True, check=True)
    given_back, kept = map(int, done.stdout.split())
    assert given_back > 1_000 > kept
