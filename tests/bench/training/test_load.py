"""What other processes do, told from what this one does."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.training import load
from bench.training.load import OtherLoad


def stat(tmp_path: Path, *ticks: int) -> Path:
    path = tmp_path / "stat"
    path.write_text(f"cpu  {' '.join(map(str, ticks))}\ncpu0 1 2 3\n", encoding="ascii")
    return path


def test_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times, own = iter((10.0, 12.0)), iter((1.0, 2.0))
    monkeypatch.setattr(time, "perf_counter", lambda: next(times))
    monkeypatch.setattr(time, "process_time", lambda: next(own))
    monkeypatch.setattr(os, "sysconf", lambda _: 100)
    monkeypatch.setattr(load, "_STAT", stat(tmp_path, 100, 0, 100, 5000, 70, 0, 0, 0, 900, 0))
    measured = OtherLoad()
    # 100 ticks of user and 50 of stolen time in two seconds, in which this process worked for one.
    stat(tmp_path, 200, 0, 100, 5100, 90, 0, 0, 50, 999, 0)
    assert measured.cores == pytest.approx((1.5 - 1.0) / 2.0)


def test_a_system_that_does_not_count_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_STAT", tmp_path / "absent")
    assert OtherLoad().cores is None
    monkeypatch.setattr(load, "_STAT", tmp_path / "stat")
    (tmp_path / "stat").write_text("cpu a b c")
    assert OtherLoad().cores is None


@pytest.mark.skipif(not Path("/proc/stat").is_file(), reason="no system that counts")
def test_another_process_is_seen() -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        measured = OtherLoad()
        time.sleep(0.5)
        assert (measured.cores or 0) > 0.1
    finally:
        busy.kill()
        busy.wait()
