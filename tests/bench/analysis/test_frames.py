from math import isnan

import pytest

from bench.analysis.conditions import describe
from bench.analysis.frames import comparable, comparable_costs, embedder_pairs, file_stem, frame, outcomes
from bench.records import DIVERGED, FAILED, CostRecord, Metric
from tests.bench.costs.samples import growth, inference
from tests.bench.samples import MODEL, TWIN, record
from tests.bench.tables.samples import embedded, foreign


def test_the_last_record_of_a_cell_counts() -> None:
    cells = frame([record(best_valid_loss=0.25), record(TWIN), record(best_valid_loss=0.75)])
    assert cells.model.tolist() == [MODEL, TWIN]
    assert cells.best_valid_loss.tolist() == [0.75, 0.25]


def test_the_epoch_time_of_a_cell_is_its_median() -> None:
    assert frame([record(epoch_seconds=[1.0, 9.0, 2.0])]).epoch_seconds.tolist() == [2.0]


def test_what_a_record_lacks_is_not_a_number() -> None:
    cells = frame([record(flops_per_step=None, protocol={}, environment={})])
    assert cells.flops_per_step.isna().all()
    assert cells.efficiency.isna().all()


@pytest.mark.parametrize("status", [DIVERGED, FAILED])
def test_unfinished_runs_are_named_and_not_averaged(status: str) -> None:
    records = [record(), record(seed=52, status=status, best_valid_loss=None)]
    assert frame(records).seed.tolist() == [51]
    assert describe(records)[-1] == f"left out, not completed: {MODEL} (seed 52, {status})"
    raw = record(variant="raw", status=status)
    assert describe([record(), raw])[-1] == f"left out, not completed: raw {MODEL} (seed 51, {status})"
    assert describe(records[1:]) == ["no run was completed"]


def test_a_metric_that_nobody_declared_is_an_outcome_too() -> None:
    declared = Metric(name="blobs", title="blobs", higher_is_better=True, shown=False)
    records = [record(valid_metrics={"accuracy": 0.9, "brier_score": 0.1, "blobs": 3.0}, metrics=[declared])]
    assert [metric.title for metric in outcomes(records)] == [
        "valid accuracy",
        "best valid loss",
        "valid brier score",
    ]
    assert frame(records).valid_brier_score.tolist() == [0.1]


def test_each_embedder_is_paired_with_the_reference_of_its_records() -> None:
    blurred = embedded("blurpool", best_valid_loss=0.125)
    unpaired = foreign("mine", embedder=""), record(seed=52)
    pairs = embedder_pairs(frame([record(best_valid_loss=0.5), record(TWIN), blurred, *unpaired]))
    assert pairs[["strategy", "embedder", "seed"]].to_numpy().tolist() == [
        ["compact-late-concat", "strided", 51],
        ["compact-late-concat", "blurpool", 51],
    ]
    assert pairs.best_valid_loss.tolist() == [0.5, 0.125]
    assert pairs.best_valid_loss_reference.tolist() == [0.25, 0.25]
    other_way = embedder_pairs(frame([record(reference="strided"), record(TWIN, reference="strided")]))
    assert other_way.embedder.tolist() == ["maxpool"]


def test_only_records_of_one_study_data_set_profile_and_device_stand_together() -> None:
    ours, again = record(), record(TWIN)
    other = record(study="input-scaling", variant="raw")
    assert comparable([ours, other, again]) == {"standard": [ours, again], "input-scaling": [other]}
    harder, faster = record(dataset="shapes-hard"), record(device="cuda")
    assert comparable([ours, harder, faster]) == {
        "standard": [ours],
        "standard-shapes-hard-quick-cpu": [harder],
        "standard-shapes-quick-cuda": [faster],
    }


def test_only_costs_of_one_kind_under_the_same_conditions_stand_together() -> None:
    one, again, other = growth(), growth(axis="batch"), growth(environment={"threads": 8})
    costs: list[CostRecord] = [one, inference(), other, again]
    assert comparable_costs(costs) == {
        "scaling": [one, again],
        "inference": [inference()],
        "scaling-2": [other],
    }


@pytest.mark.parametrize(
    ("study", "stem"), [("standard", "cost"), ("wide", "wide-cost"), ("../a\\b", ".._a_b-cost")]
)
def test_files_are_named_after_their_study_and_stay_in_their_folder(study: str, stem: str) -> None:
    assert file_stem(study, "cost") == stem


def test_times_and_memory_are_those_of_the_device_model_with_the_most_cells() -> None:
    elsewhere = {"device_name": "another processor", "threads": 2, "packages": {"torch": "2.0"}}
    records = [record(), record(seed=52, environment=elsewhere), record(seed=53)]
    cells = frame(records)
    assert [isnan(seconds) for seconds in cells.epoch_seconds] == [False, True, False]
    assert [isnan(count) for count in cells.peak_memory_bytes] == [False, True, False]
    assert list(cells.best_valid_loss) == [0.25] * 3  # losses do not depend on it, apart from rounding
    assert describe(records)[-1] == (
        "times and memory: of a processor alone; 1 of 3 runs had another device model or number of threads"
    )
    assert not any(line.startswith("times") for line in describe([record(), record(seed=53)]))
