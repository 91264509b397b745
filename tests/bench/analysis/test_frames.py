import pytest

from bench.records.run import DIVERGED, FAILED
from bench.tables import comparable, conditions, frame, fusion_table
from tests.bench.samples import MODEL, TWIN, record


def test_the_last_record_of_a_cell_counts() -> None:
    again = [record(best_valid_loss=0.25), record(TWIN), record(best_valid_loss=0.75)]
    cells = frame(again)
    assert cells.model.tolist() == [TWIN, MODEL]
    assert cells.best_valid_loss.tolist() == [0.25, 0.75]


def test_the_epoch_time_of_a_cell_is_its_median() -> None:
    assert frame([record(epoch_seconds=[1.0, 9.0, 2.0])]).epoch_seconds.tolist() == [2.0]


def test_what_a_record_does_not_know_is_no_number() -> None:
    cells = frame([record(flops_per_step=None)])
    assert cells.flops_per_step.isna().all()
    assert cells.efficiency.isna().all()


@pytest.mark.parametrize("status", [DIVERGED, FAILED])
def test_unfinished_runs_are_named_and_not_averaged(status: str) -> None:
    unfinished = record(seed=52, status=status, best_valid_loss=None, valid_accuracy=None, train_seconds=None)
    table = fusion_table([record(), unfinished])
    assert [row[:3] for row in table.rows] == [[MODEL, "1", "0.25"]]
    assert table.conditions[-1] == f"left out, not completed: {MODEL} (seed 52, {status})"


def test_conditions_say_that_times_are_shares_where_seeds_were_trained_side_by_side() -> None:
    alone, beside = record(), record(seed=52, seeds_together=4)
    assert conditions([alone, beside])[-1] == "seeds trained side by side: 1, 4; times are equal shares of theirs"
    assert not any("side by side" in line for line in conditions([alone]))


def test_conditions_name_everything_that_differed() -> None:
    lines = conditions([record(), record(dataset="other", profile="full", protocol={"epochs": 20})])
    assert lines[0].startswith("data: shapes, other, ")
    assert lines[1] == "profile: quick, full, 3, 20 epochs, seeds: 51 (n = 1)"


def test_only_records_of_one_study_data_set_profile_and_device_are_put_together() -> None:
    ours, again = record(), record(TWIN)
    other = record(study="input-scaling", variant="raw")
    assert comparable([ours, other, again]) == {"standard": [ours, again], "input-scaling": [other]}
    harder, faster = record(dataset="shapes-hard"), record(device="cuda")
    assert comparable([ours, harder, faster]) == {
        "standard-shapes-quick-cpu": [ours],
        "standard-shapes-hard-quick-cpu": [harder],
        "standard-shapes-quick-cuda": [faster],
    }
    assert comparable([harder, ours]) == {"standard-shapes-hard-quick-cpu": [harder], "standard": [ours]}
    assert comparable([harder]) == {"standard": [harder]}
