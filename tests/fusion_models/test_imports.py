"""The models can be used without the data and the benchmarks, and their names without torch."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def loaded_by(statement: str) -> set[str]:
    """The top-level packages that a fresh interpreter has loaded after a statement."""
    code = f"import sys\n{statement}\nprint(*(name.partition('.')[0] for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split()) & {"bench", "data_utils", "fusion_models", "torch"}


@pytest.mark.slow
def test_models_import_neither_data_nor_benchmarks() -> None:
    assert loaded_by("from fusion_models import FusionNet") == {"fusion_models", "torch"}


def test_the_names_of_models_need_no_torch() -> None:
    assert loaded_by("from fusion_models import MODELS, find_model\nfind_model(*list(MODELS)[:1])") == {
        "fusion_models"
    }


@pytest.mark.slow
def test_this_check_can_fail() -> None:
    assert loaded_by("import bench.training.runs") == {"bench", "data_utils", "fusion_models", "torch"}
