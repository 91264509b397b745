"""The report needs records alone: in a process where importing torch, models or data sets raises."""

import subprocess
import sys

PROGRAM = """
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

class Refuse(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "fusion_models", "data_utils"):
            raise AssertionError(f"{name} was imported")

sys.meta_path.insert(0, Refuse())

from msgspec.structs import replace
from bench.records import Metric
from bench.report.page import page
from bench.records.reading import Run, read_run, read_runs

baseline = Path("results/baseline")
runs = read_runs([baseline / "fusion-compact.jsonl", baseline / "robustness.jsonl"])
unknown = [
    replace(
        record, study="unknown-study", model="unknown-model", family="unknown", stage="unknown",
        operator="unknown", embedder="unknown", modalities=["thermal"], dataset="unknown-data", simulated=None,
        metrics=[Metric(name="unknown_metric", title="unknown metric")], valid_metrics={"unknown_metric": 0.5},
        environment={}, question="",
    )
    for record in runs[0].records
]
html = page([*runs, Run("unknown", unknown, [], [], None)])
for words in ("unknown-study", "unknown-model", "valid unknown metric", "rgb-noise", "Published claims"):
    assert words in html, words
"""


def alone(program: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test_the_report_of_any_records_imports_no_torch_models_or_data() -> None:
    ended = alone(PROGRAM)
    assert ended.returncode == 0, ended.stderr


def test_this_test_can_fail() -> None:
    ended = alone(PROGRAM.replace("from msgspec", "import data_utils\nfrom msgspec", 1))
    assert "data_utils was imported" in ended.stderr
