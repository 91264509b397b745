import pytest

from bench.records.load import disturbed
from tests.bench.samples import record


@pytest.mark.parametrize(
    ("device", "cores", "calm", "busy"),
    [("cpu", 16, 0.2, 0.21), ("cuda", 16, 15.0, 15.1), ("cuda", 1, 0.2, 0.21), ("cuda", None, 0.2, 0.21)],
)
def test_other_processes_disturb_a_cpu_and_a_gpu_if_they_leave_no_core_to_launch_its_work(
    device: str, cores: int | None, calm: float, busy: float
) -> None:
    environment = {} if cores is None else {"cpu_count": cores}
    loads = {load: record(device=device, other_load=load, environment=environment) for load in (None, calm, busy)}
    assert {load: disturbed(run) for load, run in loads.items()} == {None: False, calm: False, busy: True}
