"""The load of other processes, and which times it disturbs."""

from collections.abc import Iterable

from bench.records.run import RunRecord

IDLE = 0.2
"""Cores that other processes may keep busy, on average, while times of a CPU are measured that claims rest on."""


def most_load(device: str, cores: int | None) -> float:
    """The cores that other processes may keep busy, on average, while times are measured that claims rest on.

    On CUDA the processor only launches the work, for which one core is enough: they may have all others.

    Args:
        device: "cpu", "cuda" or "cuda:N".
        cores: Of the machine; None if unknown, which allows what a CPU does.
    """
    return IDLE if device == "cpu" or cores is None else max(IDLE, cores - 1)


def most_load_words(devices: Iterable[str]) -> str:
    """``most_load`` of some kinds of devices in words, whatever the number of cores; that of a CPU without any."""
    kinds = {device == "cpu" for device in devices}
    on_cpu, on_cuda = f"{IDLE:g} cores", "all cores but one"
    if len(kinds) == 2:
        return f"{on_cpu} or, on CUDA, {on_cuda}"
    return on_cuda if kinds == {False} else on_cpu


def disturbed(record: RunRecord) -> bool:
    """Whether other processes kept more cores busy than that during a training, which makes its times rough."""
    cores = record.environment.get("cpu_count")
    return record.other_load is not None and record.other_load > most_load(record.device, cores)
