"""The models can be used without the data and without the benchmarks."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def loaded_by(module: str) -> set[str]:
    """Which of this project's packages a fresh interpreter has loaded after importing the module."""
    code = f"import sys, {module}; print(*(name.partition('.')[0] for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split()) & {"bench", "data_utils", "fusion_models"}


def test_models_import_neither_data_nor_benchmarks() -> None:
    assert loaded_by("fusion_models") == {"fusion_models"}


def test_this_check_can_fail() -> None:
    assert loaded_by("bench.training.runs") == {"bench", "data_utils", "fusion_models"}
