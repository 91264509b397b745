from typing import Any

import pytest
from msgspec.structs import replace

from bench.metrics import (
    QUANTITIES,
    achieved_flops,
    declarations,
    efficiency,
    fastest_operation,
    reported,
    reported_pairs,
    reported_part,
    value,
)
from tests.bench.analysis.samples import BRIER, foreign
from tests.bench.samples import TWIN, record, with_test_figures

PROTOCOL = {"batch_size": 32, "drop_last": False}


def measured(**changes: Any) -> dict[str, Any]:
    """640 pairs in epochs of 2 s at the median; a step of 32 pairs takes 8 operations a pair."""
    return {
        "train_pairs": 640,
        "epoch_seconds": [1.0, 2.0, 10.0],
        "protocol": PROTOCOL,
        "flops_per_step": 32 * 8,
        "ceiling": {"flops_per_second": 10_240.0, "bytes_per_second": 1.0},
        **changes,
    }


def test_achieved_operations_are_those_of_an_epoch_over_its_median_time() -> None:
    assert achieved_flops(record(**measured())) == 640 * 8 / 2.0


def test_efficiency_is_the_share_of_the_ceiling() -> None:
    assert efficiency(record(**measured())) == 0.25


def test_a_training_faster_than_its_ceiling_is_the_ceiling() -> None:
    assert efficiency(record(**measured(ceiling={"flops_per_second": 2_000.0}))) == 1.0


def test_the_operation_that_reached_the_ceiling_is_known_by_name() -> None:
    speeds = {"flops_per_second": 3.0, "product_flops_per_second": 2.0, "convolution_flops_per_second": 3.0}
    assert fastest_operation(record(ceiling=speeds)) == "convolution"
    assert fastest_operation(record(ceiling={"flops_per_second": 3.0})) is None
    assert fastest_operation(record()) is None


@pytest.mark.parametrize(("drop_last", "pairs"), [(False, 650), (True, 640)])
def test_a_smaller_last_batch_counts_with_the_pairs_it_has(drop_last: bool, pairs: int) -> None:
    protocol = {**PROTOCOL, "drop_last": drop_last}
    assert achieved_flops(record(**measured(train_pairs=650, protocol=protocol))) == pairs * 8 / 2.0


@pytest.mark.parametrize("unknown", [{"flops_per_step": None}, {"train_pairs": None}, {"epoch_seconds": []}])
def test_what_is_unknown_has_no_efficiency(unknown: dict[str, Any]) -> None:
    assert achieved_flops(record(**measured(**unknown))) is None
    assert efficiency(record(**measured(**unknown))) is None


def test_without_a_ceiling_operations_are_known_and_efficiency_is_not() -> None:
    without = record(**measured(ceiling=None))
    assert achieved_flops(without) is not None
    assert efficiency(without) is None


def test_evaluated_metrics_come_first_as_quantities_of_the_best_epoch() -> None:
    names = list(declarations())
    assert names[:3] == ["test_loss", "test_accuracy", "test_balanced_accuracy"]
    assert names[3:6] == ["best_valid_loss", "valid_accuracy", "valid_balanced_accuracy"]
    assert names[6:] == list(QUANTITIES)
    titles = [metric.title for metric in declarations().values()]
    assert titles[:4] == ["test loss", "test accuracy", "test balanced accuracy", "best valid loss"]
    assert [metric.part for metric in declarations().values()][:6] == ["test"] * 3 + ["valid"] * 3


def test_the_test_pairs_are_reported_on_unless_no_completed_record_has_any() -> None:
    old, new = record(), with_test_figures(record(TWIN))
    assert (reported_part([old]), reported_part([new]), reported_part([])) == ("valid", "test", "test")
    assert reported_part([old, new]) == "test"
    assert reported_part([old, replace(new, status="failed")]) == "valid"
    assert (reported(old, "loss"), reported(old, "accuracy"), reported_pairs(old)) == (0.25, 0.9, 100)
    assert (reported(new, "loss"), reported(new, "accuracy"), reported_pairs(new)) == (0.3, 0.88, 1000)
    assert reported(replace(new, test_loss=None, test_metrics={"loss": None}), "loss") is None


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("best_valid_loss", 0.25),
        ("valid_accuracy", 0.9),
        ("valid_balanced_accuracy", 0.8),
        ("test_loss", None),
        ("test_accuracy", None),
        ("parameters", 1000),
        ("epoch_seconds", 2.0),  # the median
        ("train_seconds", 6.0),
        ("achieved_flops", None),
        ("a_metric_of_tomorrow", None),
        ("valid_metric_of_tomorrow", None),
    ],
)
def test_values_are_read_where_records_hold_them(name: str, number: float | None) -> None:
    metrics = {"loss": 0.5, "accuracy": 0.5, "balanced_accuracy": 0.8}  # fields of the record come first
    assert value(record(valid_metrics=metrics), name) == number


def test_records_declare_the_metrics_of_plug_ins() -> None:
    metrics = declarations([foreign(0.3)])
    on_valid = {"name": "valid_brier", "title": "valid Brier score", "part": "valid"}
    assert metrics["valid_brier"] == replace(BRIER, **on_valid)
    assert metrics["test_brier"].alias == BRIER.alias
    assert value(foreign(0.3), "valid_brier") == 0.3
    assert "valid_brier" not in declarations()
    assert value(record(), "valid_brier") is None


def test_a_metric_that_nobody_declares_has_a_name_and_no_direction() -> None:
    metric = declarations([foreign(metrics=[], valid_metrics={"top_two": 0.5})])["valid_top_two"]
    assert (metric.title, metric.higher_is_better) == ("valid top two", None)


def test_what_is_installed_takes_precedence_over_what_a_record_declares() -> None:
    other = replace(BRIER, name="accuracy", title="another accuracy")
    assert declarations([foreign(0.3, other)])["valid_accuracy"] == declarations()["valid_accuracy"]


@pytest.mark.parametrize("name", declarations())
def test_every_metric_can_be_read_from_any_record(name: str) -> None:
    unfinished = record(
        status="failed", best_valid_loss=None, valid_accuracy=None, valid_metrics=None, epoch_seconds=[],
        parameters=None, train_seconds=None, peak_memory_bytes=None, protocol={},
    )  # fmt: skip
    assert value(unfinished, name) is None
