"""Registrations of a test end with it."""

import sys

import pytest

from data_utils import DATASETS, LAYOUTS


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a test register data sets and layouts, and load plug-ins."""
    for registry in (DATASETS, LAYOUTS):
        assert registry  # what ships is registered first
        for name in ("_entries", "_files", "_added"):
            monkeypatch.setattr(registry, name, dict(getattr(registry, name)))
    monkeypatch.setattr(sys, "path", list(sys.path))
