"""Records in the files of pytest-benchmark: ``extra_info`` of a cell is its record.

The environment is pytest-benchmark's machine info. A cell that another node trained has its own.
"""

import platform
from collections.abc import Mapping
from typing import Any

import msgspec

from bench.records import RunRecord, convert


def facts(record: RunRecord) -> dict[str, Any]:
    """The record as JSON types, without the environment where it is this node's."""
    values: dict[str, Any] = msgspec.to_builtins(record)
    if record.environment.get("node", platform.node()) == platform.node():
        del values["environment"]
    return values


def from_benchmarks(saved: Mapping[str, Any]) -> list[RunRecord]:
    """The records in a file of pytest-benchmark; benchmarks of other things than cells have none.

    Raises:
        RecordError: Facts that are not those of a record.
    """
    entries = [benchmark["extra_info"] for benchmark in saved["benchmarks"]]
    return [
        convert({"environment": saved["machine_info"], **entry}, RunRecord)
        for entry in entries
        if "schema_version" in entry
    ]
