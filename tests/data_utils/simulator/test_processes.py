"""Chunks that other processes record: the same bits, whatever becomes of the processes."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_utils.simulator import processes, shapes
from data_utils.simulator.levels import LEVELS
from data_utils.simulator.recording import Chunk
from data_utils.simulator.shapes import Simulation, in_memory, simulate

REPOSITORY = Path(__file__).parents[3]
HARD = LEVELS["shapes-hard"]


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch) -> list["subprocess.Popen[bytes]"]:
    """Chunks of ten scenes, and two further processes, which the list holds when they were started."""
    processes_: list[subprocess.Popen[bytes]] = []

    def start(*arguments: Any, **options: Any) -> "subprocess.Popen[bytes]":
        processes_.append(subprocess.Popen(*arguments, **options))
        return processes_[-1]

    monkeypatch.setattr(processes, "Popen", start)
    monkeypatch.setattr(processes, "_others", lambda _chunks: 2)
    monkeypatch.setattr(shapes, "_CHUNK", 10)
    return processes_


def alone(pairs: int, monkeypatch: pytest.MonkeyPatch) -> Simulation:
    with monkeypatch.context() as patch:
        patch.setattr(processes, "_others", lambda _chunks: 0)
        return simulate(pairs, 3, 16, HARD)


def assert_equal(one: Simulation, other: Simulation) -> None:
    assert np.array_equal(one.rgb, other.rgb)
    assert np.array_equal(one.range_m, other.range_m)


def test_other_processes_record_the_same_bits(
    started: list["subprocess.Popen[bytes]"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This process waits with its first chunk until no other waits; some arrays are mapped files."""
    expected, recorded_here, done = alone(600, monkeypatch), [], []
    record = Chunk.record

    def slow(chunk: Chunk, rgb: processes.Rgb, range_m: processes.Ranges) -> None:
        recorded_here.append(chunk.start)
        if len(recorded_here) == 1:
            for other in others:
                other.join()
        record(chunk, rgb, range_m)

    others: list[processes._Other] = []
    run = processes._Other.run

    def noted(other: processes._Other) -> None:
        others.append(other)
        run(other)

    monkeypatch.setattr(processes._Other, "run", noted)
    monkeypatch.setattr(Chunk, "record", slow)

    def empty(name: str, shape: tuple[int, ...], dtype: "np.dtype[Any]") -> Any:
        return np.lib.format.open_memmap(tmp_path / name, "w+", dtype, shape)

    assert_equal(simulate(600, 3, 16, HARD, lambda count, of: done.append((count, of)), empty), expected)
    assert len(recorded_here) == 1
    assert done[-1] == (600, 600)
    assert len(started) == 2
    assert all(process.poll() is not None for process in started)


@pytest.mark.parametrize(
    "program",
    [
        "raise SystemExit",
        "import os; os.read(0, 100)",
        "import os; os.read(0, 100); os.write(1, bytes(100))",
    ],
    ids=["at once", "while it is asked", "while it answers"],
)
def test_processes_that_die_lose_nothing(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = alone(100, monkeypatch)
    monkeypatch.setattr(processes, "_PROGRAM", program)
    assert_equal(simulate(100, 3, 16, HARD), expected)


def test_processes_that_cannot_be_started_are_not_needed(
    started: list["subprocess.Popen[bytes]"], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = alone(100, monkeypatch)
    monkeypatch.setattr(sys, "executable", "/does/not/exist")
    assert_equal(simulate(100, 3, 16, HARD), expected)
    assert started == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interruption_ends_all(
    error: type[BaseException], started: list["subprocess.Popen[bytes]"], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while the first pairs are reported: the chunks that wait are not recorded, no process is left."""
    recorded, record = [], Chunk.record

    def counted(chunk: Chunk, rgb: processes.Rgb, range_m: processes.Ranges) -> None:
        recorded.append(chunk)
        record(chunk, rgb, range_m)

    monkeypatch.setattr(Chunk, "record", counted)

    def interrupt(*_: int) -> None:
        raise error

    with pytest.raises(error):
        simulate(2000, 0, 16, HARD, interrupt, in_memory)
    assert len(recorded) == 1
    assert [process.poll() is not None for process in started] == [True, True]


def test_the_processes_load_no_torch() -> None:
    program = f"import sys; {processes._PROGRAM.split(';')[0]}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-P", "-c", program], cwd=REPOSITORY, check=True, timeout=60)


@pytest.mark.parametrize(
    ("cores", "chunks", "others"), [(1, 99, 0), (2, 99, 1), (64, 999, 7), (8, 15, 0), (8, 24, 2)]
)
def test_small_simulations_start_no_process(
    cores: int, chunks: int, others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("os.sched_getaffinity", lambda _process: range(cores), raising=False)
    assert processes._others(chunks) == others
