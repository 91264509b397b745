"""For all tests: warnings are errors, training uses one thread, and what a test registers ends with it.

Tests marked ``slow`` take seconds each: most run whole commands in processes of their own. They are left out
without ``--slow``. Those marked ``needs_cuda`` are skipped without a CUDA device.
"""

import gc
import sys
from collections.abc import Iterator

import pytest
import torch

import fusiongauge
from bench.registry import CORRUPTIONS, METRICS, STUDIES
from bench.tracking import TRACKERS
from data_utils import DATASETS, LAYOUTS
from fusion_models import BACKBONES, EMBEDDERS, OPERATORS
from fusion_models.registry import CUSTOM_MODELS


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run the tests that take seconds each")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", "error")
    config.addinivalue_line("markers", "slow: takes long, as whole commands do; needs --slow")
    config.addinivalue_line("markers", "needs_cuda: skipped without a CUDA device; tools/gpu_check.sh runs these")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("needs_cuda"):
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
    if config.getoption("--slow"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in set(slow)]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", autouse=True)
def frozen() -> None:
    """The garbage collector, which every measurement of memory calls, need not look at what is loaded for good."""
    gc.freeze()


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a test register things and load plug-ins."""
    models = (OPERATORS, EMBEDDERS, BACKBONES, CUSTOM_MODELS)
    for registry in (*models, DATASETS, LAYOUTS, METRICS, CORRUPTIONS, STUDIES, TRACKERS):
        len(registry)  # what ships is registered first
        for name in ("_entries", "_files", "_added"):
            monkeypatch.setattr(registry, name, dict(getattr(registry, name)))
    monkeypatch.setattr(fusiongauge, "_PLUGINS", {})
    monkeypatch.setattr(sys, "path", list(sys.path))
