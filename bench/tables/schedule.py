"""The table of how long a study would take on several numbers of devices."""

from collections.abc import Sequence

import pandas as pd

from bench.analysis.formats import counted
from bench.analysis.schedule import Schedule
from bench.records import RunRecord
from bench.tables.text import TextTable


def schedule_table(
    plans: Sequence[Schedule], seconds: Sequence[float], records: Sequence[RunRecord], models: int, unknown: int
) -> TextTable:
    """One row per number of devices.

    Args:
        plans: Of the same study.
        seconds: The expected time of each of its cells.
        records: What the expectation is from, of one device model.
        models: The number of models.
        unknown: How many of them have no record.
    """
    total = sum(seconds)
    rows = [
        [str(plan.devices), _duration(plan.seconds), f"{plan.idle:.0%}", f"{total / plan.seconds:.1f}"]
        for plan in plans
    ]
    notes = [
        f"{counted(len(seconds), 'cell')}, {_duration(total)} in total on one device; the longest cell takes "
        f"{_duration(max(seconds))}"
    ]
    if records:
        environment = records[0].environment
        device = environment.get("device_name", "an unknown device")
        threads = counted(environment.get("threads"), "thread")
        text = f"expected from {counted(len(records), 'record')} of {device} with {threads}"
        if unknown:
            text += f"; {unknown} of {models} models have no record, and are estimated from their operations"
        notes.append(text)
    else:
        notes.append("no record has the time of a model, so only the ratios are meaningful")
    return TextTable(
        name="schedule",
        title="expected time of the trainings",
        header=["devices", "time", "idle", "speed relative to one device"],
        labels=0,
        rows=rows,
        data=pd.DataFrame([{"devices": p.devices, "seconds": p.seconds, "idle": p.idle} for p in plans]),
        notes=notes,
    )


def _duration(seconds: float) -> str:
    """With two digits, in minutes below an hour."""
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
