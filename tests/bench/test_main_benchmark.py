"""What the main benchmark requires of a record."""

from typing import Any

import pytest

from bench import test_training as benchmark
from bench.config import STANDARD, RunConfig
from bench.harness.cell import Cell
from bench.records import FAILED, RunRecord
from bench.registry import find_study
from fusion_models import find_model
from tests.bench.samples import record

MODEL = "compact-late-concat-maxpool"
PUBLISHED = 1_415_051


def judge(study: str = "fusion-compact", **changes: Any) -> None:
    """Let the benchmark judge the record of a study's cell, with these changes."""

    def run_cell(cell: Cell) -> RunRecord:
        values = {"profile": "full", "parameters": PUBLISHED, "valid_accuracy": 1.0} | changes
        return record(cell.spec.name, study=cell.study.name, **values)

    cell = Cell(find_study(study), RunConfig(STANDARD), find_model(MODEL), 51)
    benchmark.test_training(cell, run_cell)


def test_the_published_model_that_reaches_its_accuracy_passes() -> None:
    judge()


def test_another_size_is_not_the_published_model() -> None:
    with pytest.raises(AssertionError, match="not the published model"):
        judge(parameters=PUBLISHED + 1)


def test_on_other_data_the_same_architecture_has_another_size() -> None:
    judge(classes=10, dataset="mine", parameters=PUBLISHED + 909)


def test_an_accuracy_below_the_threshold_fails_with_its_reason() -> None:
    with pytest.raises(
        AssertionError, match=r"reached a validation accuracy of 0\.400; the threshold is 0\.\d+: the lowest"
    ):
        judge("standard", valid_accuracy=0.4)
    with pytest.raises(AssertionError, match=r"reached a test accuracy of 0\.400; the threshold"):
        judge("standard", valid_accuracy=1.0, test_accuracy=0.4, test_pairs=1000, test_metrics={})


def test_a_run_that_failed_is_not_judged_further() -> None:
    with pytest.raises(AssertionError, match="the disk is full"):
        judge(status=FAILED, error="the disk is full", parameters=None, valid_accuracy=None)
