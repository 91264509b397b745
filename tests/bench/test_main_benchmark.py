"""What the main benchmark asks of a record."""

from typing import Any

import pytest

from bench import test_training as benchmark
from bench.harness.cell import Cell
from bench.records.run import FAILED, RunRecord
from bench.studies import STUDIES
from fusion_models import find_model
from tests.bench.samples import record

MODEL = "compact-late-concat-maxpool"
PUBLISHED = 1_415_051


def ask(study: str = "fusion-compact", **changes: Any) -> None:
    """Hold the benchmark to a record of a study's cell, with these changes."""

    def run_cell(cell: Cell) -> RunRecord:
        values = {"profile": "full", "parameters": PUBLISHED, "valid_accuracy": 1.0} | changes
        return record(cell.spec.name, study=cell.study.name, **values)

    benchmark.test_training(Cell(STUDIES[study], "", find_model(MODEL), 51), run_cell)


def test_the_published_model_that_reaches_its_accuracy_passes() -> None:
    ask()


def test_another_size_is_not_the_published_model() -> None:
    with pytest.raises(AssertionError, match="not the published model"):
        ask(parameters=PUBLISHED + 1)


def test_on_other_data_the_same_architecture_has_another_size() -> None:
    ask(classes=10, dataset="mine", parameters=PUBLISHED + 909)


def test_an_accuracy_below_the_threshold_fails_with_its_reason() -> None:
    with pytest.raises(
        AssertionError, match=r"a validation accuracy of 0\.400; at least 0\.\d+ was asked for: the lowest"
    ):
        ask("standard", valid_accuracy=0.4)


def test_a_run_that_failed_is_not_judged_further() -> None:
    with pytest.raises(AssertionError, match="the disk is full"):
        ask(status=FAILED, error="the disk is full", parameters=None, valid_accuracy=None)
