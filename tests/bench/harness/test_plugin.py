from pathlib import Path
from typing import Any

import pytest

from bench.costs.inference import ForwardPass
from bench.training import measurement
from tests.bench.nested import nested
from tests.bench.samples import MODEL


def test_a_benchmark_that_is_interrupted_in_its_first_round_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(_: ForwardPass) -> None:
        calls.append(1)
        if len(calls) > 1:
            raise KeyboardInterrupt

    def one_round(*_: Any, **__: Any) -> int:
        return 1

    calls: list[int] = []
    monkeypatch.setattr(ForwardPass, "__call__", run)
    monkeypatch.setattr(measurement, "rounds_within", one_round)
    where = ["--results-dir", str(tmp_path / "run"), "--benchmark-storage", f"file://{tmp_path / 'history'}"]
    words = [
        "bench",
        "--profile",
        "smoke",
        "--device",
        "cpu",
        "-k",
        f"{MODEL} and (latency or throughput)",
        *where,
    ]
    ended = nested([*words, "-p", "no:hypothesispytest"])
    assert ended.code == pytest.ExitCode.INTERRUPTED
    assert len(calls) == 2
    assert "Wrote benchmark data in" in ended.output
    assert "ValueError" not in ended.output
    assert "tables are in" in ended.output
