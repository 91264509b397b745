"""Data that many tests share; tests that change data make their own."""

import pytest

from data_utils import PairedDataset
from tests.bench.samples import small_dataset


@pytest.fixture(scope="session")
def dataset() -> PairedDataset:
    """80 simulated pairs of 16x16."""
    return small_dataset()
