"""What other processes do, told from what this one does."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.training import load
from bench.training.load import OtherLoad, Others, others


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


@pytest.mark.skipif(not Path("/proc/stat").is_file(), reason="no system that counts")
def test_the_busiest_process_is_named() -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        found = others(0.5)
    finally:
        busy.kill()
        busy.wait()
    assert found is not None
    assert busy.pid in [pid for _, pid, _ in found.busiest]
    assert os.getpid() not in [pid for _, pid, _ in found.busiest]
    assert found.cores > 0.1


def test_processes_are_told_from_what_the_system_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def process(pid: int, name: str, ticks: int) -> None:
        (tmp_path / str(pid)).mkdir(exist_ok=True)
        fields = ["S", *["0"] * 10, str(ticks), "50", *["0"] * 30]  # user and system time are fields 14 and 15
        (tmp_path / str(pid) / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}")

    def work(_: float) -> None:
        process(7, "a) (b", 300)
        process(8, "calm", 101)
        process(9, "new", 500)
        (tmp_path / "10" / "stat").unlink(missing_ok=True)  # it has ended

    monkeypatch.setattr(load, "_PROC", tmp_path)
    monkeypatch.setattr(load, "_STAT", stat(tmp_path, 1000))
    monkeypatch.setattr(os, "sysconf", lambda _: 100)
    times = iter((10.0, 10.0, 12.0, 12.0))
    monkeypatch.setattr(time, "perf_counter", lambda: next(times))
    monkeypatch.setattr(time, "sleep", work)
    for pid, name in ((7, "a) (b"), (8, "calm"), (10, "short"), (os.getpid(), "own")):
        process(pid, name, 100)
    found = others()
    assert found is not None
    assert found.busiest == (("a) (b", 7, 1.0),)  # 200 ticks in two seconds; 1 tick is too little
    monkeypatch.setattr(load, "_STAT", tmp_path / "absent")
    times = iter((10.0, 12.0))
    assert others() is None


def test_in_words() -> None:
    assert str(Others(1.24, 2, (("python", 7, 0.96), ("make", 8, 0.2)))) == (
        "1.2 of 2 cores busy: python (pid 7) 1.0, make (pid 8) 0.2"
    )
    assert str(Others(0.04, 2, ())) == "0.0 of 2 cores busy"
    assert str(Others(8.0, 8, tuple((str(pid), pid, 1.0) for pid in range(8)))).count("pid") == 5
