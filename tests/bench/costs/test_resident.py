import pytest

from bench.costs.resident import STATUS, ResidentMemory, resident_memory, resident_table
from tests.bench.samples import run_config

HOARD = 1_200_000_000


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> ResidentMemory:
    if not STATUS.is_file():
        pytest.skip("only Linux says how large a process was at most")
    hoard = bytearray(b"x") * HOARD  # written, so it is in memory
    measured = resident_memory(run_config(tmp_path_factory.mktemp("run")))
    assert len(hoard) == HOARD
    return measured


def test_memory_is_of_a_process_of_its_own(measured: ResidentMemory) -> None:
    # torch takes some hundreds of megabytes; what the process that started it hoards is not among them.
    assert 100e6 < measured.started_bytes < HOARD


def test_memory_up_to_a_point_never_falls(measured: ResidentMemory) -> None:
    assert measured.pairs == 80
    points = [measured.started_bytes, measured.loaded_bytes, measured.prepared_bytes, measured.trained_bytes]
    assert points == sorted(points)
    assert points[0] < points[-1]


def test_the_table_is_one_line_of_megabytes() -> None:
    table = resident_table(ResidentMemory(20_000, 700_000_000, 3_100_000_000, 9_000_000_000, 9_200_000_000), [])
    assert table.rows == [["20,000", "700", "3,100", "9,000", "9,200"]]
    assert table.data.trained_bytes.tolist() == [9_200_000_000]
