import json
from typing import Any

import msgspec
import pytest

from bench.harness.saved import facts, from_benchmarks
from bench.records import RecordError
from tests.bench.samples import MODEL, TWIN, record


def saved(*entries: dict[str, Any]) -> dict[str, Any]:
    """The content of a file of pytest-benchmark with these facts."""
    benchmarks = [{"name": "any", "extra_info": entry} for entry in entries]
    content: dict[str, Any] = json.loads(
        json.dumps({"machine_info": record().environment, "benchmarks": benchmarks})
    )
    return content


def test_facts_are_the_record_without_the_environment() -> None:
    original = record()
    assert facts(original) == {k: v for k, v in msgspec.to_builtins(original).items() if k != "environment"}


def test_records_are_read_from_the_files_of_pytest_benchmark() -> None:
    inference = {"model": MODEL, "batch_size": 1}
    assert from_benchmarks(saved(facts(record(TWIN)), inference, {}, facts(record()))) == [record(TWIN), record()]


@pytest.mark.parametrize("changes", [{"seed": "one"}, {"status": None}, {"metrics": [{}]}])
def test_facts_of_no_record_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RecordError, match="not a RunRecord: "):
        from_benchmarks(saved({**facts(record()), **changes}))
