from pathlib import Path
from typing import Any

import pytest

from bench.costs import inference
from bench.costs.inference import ForwardPass
from tests.bench.nested import nested
from tests.bench.samples import MODEL


@pytest.mark.parametrize("word", ["--fixtures", "--setup-plan"])
def test_what_only_lists_makes_no_run(word: str, tmp_path: Path) -> None:
    words = ["bench", word, "--device", "cpu", "--shard", "1/1", "-k", f"test_training and {MODEL}"]
    ended = nested([*words, "--results-dir", str(tmp_path / "run")])
    assert (ended.code, len(ended.ids)) == (0, 1), ended.output
    assert "cell" in ended.output
    assert not (tmp_path / "run").exists()


def test_tests_of_the_code_are_selected_and_shown_as_everywhere(tmp_path: Path) -> None:
    content = "def test_strided(): pass\ndef test_other(): pass\n"
    (tmp_path / "test_robustness.py").write_text(content)  # the name of a file of benchmarks
    ended = nested([str(tmp_path), "-k", "stride"])
    assert (ended.code, ended.ids) == (0, ["test_robustness.py::test_strided"])
    assert "test_robustness.py . " in ended.output
    nothing = nested([str(tmp_path), "-k", "maxpool"])
    assert nothing.code == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "benchmarks are named after their models" not in nothing.output


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
    monkeypatch.setattr(inference, "rounds_within", one_round)
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
