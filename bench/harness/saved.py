"""Records in the files of pytest-benchmark: ``extra_info`` of a cell is its record without the environment."""

from collections.abc import Mapping
from typing import Any

import msgspec

from bench.records import RunRecord, convert


def facts(record: RunRecord) -> dict[str, Any]:
    """The record as JSON types, without the environment, which is pytest-benchmark's machine info."""
    values: dict[str, Any] = msgspec.to_builtins(record)
    del values["environment"]
    return values


def from_benchmarks(saved: Mapping[str, Any]) -> list[RunRecord]:
    """The records in a file of pytest-benchmark; benchmarks of other things than cells have none.

    Raises:
        RecordError: Facts that are not those of a record.
    """
    entries = [benchmark["extra_info"] for benchmark in saved["benchmarks"]]
    return [
        convert({**entry, "environment": saved["machine_info"]}, RunRecord)
        for entry in entries
        if "schema_version" in entry
    ]
