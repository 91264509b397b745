import pytest

from bench.costs.resident import STATUS, resident_memory
from bench.records import ResidentRecord
from tests.bench.samples import run_config

pytestmark = pytest.mark.slow

HOARD = 1_200_000_000


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> ResidentRecord:
    if not STATUS.is_file():
        pytest.skip("only Linux reports the peak size of a process")
    folder = tmp_path_factory.mktemp("run")
    hoard = bytearray(b"x") * HOARD  # written, so it is in memory
    record = resident_memory(run_config(folder))
    assert len(hoard) == HOARD
    assert not any(folder.iterdir())
    return record


def test_memory_is_of_a_process_of_its_own(record: ResidentRecord) -> None:
    # torch takes some hundreds of megabytes; the hoard of the process that started it is not among them.
    assert 100e6 < record.started_bytes < HOARD


def test_memory_up_to_a_point_never_falls(record: ResidentRecord) -> None:
    assert record.pairs == 80
    points = [record.started_bytes, record.loaded_bytes, record.prepared_bytes, record.trained_bytes]
    assert points == sorted(points)
    assert points[0] < points[-1]
    assert (record.profile, record.dataset) == ("smoke", "shapes")
