import math
from typing import Any

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from sklearn.calibration import calibration_curve
from torch import Tensor

from bench.metrics import (
    BINS,
    QUANTITIES,
    achieved_flops,
    auroc,
    calibration_error,
    class_accuracies,
    classification_loss,
    confusion,
    declarations,
    efficiency,
    fastest_operation,
    is_shown,
    macro_f1,
    probabilities,
    reported,
    reported_pairs,
    reported_part,
    uneven,
    value,
)
from bench.registry import METRICS
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


@pytest.mark.parametrize("drop_last", [False, True])
def test_fewer_pairs_than_a_batch_are_one_step(drop_last: bool) -> None:
    protocol = {**PROTOCOL, "drop_last": drop_last}
    assert achieved_flops(record(**measured(train_pairs=20, protocol=protocol))) == 32 * 8 / 2.0


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
    further = ["balanced_accuracy", "macro_f1", "auroc", "calibration_error"]
    assert names[:6] == ["test_loss", "test_accuracy", *(f"test_{name}" for name in further)]
    assert names[6:12] == ["best_valid_loss", "valid_accuracy", *(f"valid_{name}" for name in further)]
    assert names[12:] == list(QUANTITIES)
    titles = [metric.title for metric in declarations().values()]
    assert titles[:4] == ["test loss", "test accuracy", "test balanced accuracy", "test macro F1"]
    assert titles[6] == "best valid loss"
    assert [metric.part for metric in declarations().values()][:12] == ["test"] * 6 + ["valid"] * 6


# The metrics of predictions


def certain(*predicted: int, classes: int = 3) -> Tensor:
    """Logits that give these classes a probability of nearly 1."""
    return torch.eye(classes)[list(predicted)] * 30


def odds(*second: float) -> Tensor:
    """One logit per sample, for a second class of these probabilities."""
    return torch.tensor(second, dtype=torch.float64).logit()[:, None]


def test_macro_f1_is_the_mean_of_the_classes_f1() -> None:
    # Class 0: precision 2/3, recall 1. Class 1: 1 and 1/2. Class 2: 1 and 1.
    labels, logits = torch.tensor([0, 0, 1, 1, 2]), certain(0, 0, 0, 1, 2)
    assert macro_f1(logits, labels) == pytest.approx((4 / 5 + 2 / 3 + 1) / 3)


def test_macro_f1_leaves_out_what_is_neither_there_nor_predicted() -> None:
    labels = torch.tensor([0, 1])
    assert macro_f1(certain(0, 1), labels) == 1.0
    assert macro_f1(certain(0, 2), labels) == pytest.approx(1 / 3)  # class 2 is predicted: its F1 is 0


def test_auroc_is_the_share_of_pairs_that_are_ranked_right() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    assert auroc(odds(0.1, 0.4, 0.35, 0.8), labels) == pytest.approx(3 / 4)  # 0.35 is below 0.4
    assert auroc(odds(0.5, 0.5, 0.5, 0.5), labels) == 0.5
    assert auroc(odds(0.9, 0.8, 0.2, 0.1), labels) == 0.0


def test_auroc_of_several_classes_is_the_mean_of_each_against_the_others() -> None:
    probabilities = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.3, 0.1, 0.6], [0.5, 0.2, 0.3]])
    labels = torch.tensor([0, 1, 2, 2])
    # Class 0 and 1 are above all others; of class 2, one is above both others and one is level with one of them.
    assert auroc(probabilities.log(), labels) == pytest.approx((1 + 1 + 3.5 / 4) / 3)


def test_one_logit_and_two_have_the_same_metrics() -> None:
    one = torch.randn(40, 1, generator=torch.Generator().manual_seed(0))
    two = torch.cat([torch.zeros_like(one), one], dim=1)
    labels = torch.arange(40) % 2
    for metric in METRICS.values():
        assert metric.compute(one, labels) == pytest.approx(metric.compute(two, labels), rel=1e-6)
    assert confusion(one, labels, 2) == confusion(two, labels, 2)


def test_auroc_leaves_out_classes_without_samples_and_is_undefined_of_one_class() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    three = torch.tensor([[0.8, 0.1, 0.1], [0.5, 0.4, 0.1], [0.55, 0.35, 0.1], [0.1, 0.8, 0.1]]).log()
    assert auroc(three, labels) == auroc(odds(0.1, 0.4, 0.35, 0.8), labels) == 3 / 4
    assert math.isnan(auroc(three, torch.zeros(4, dtype=torch.int64)))
    assert math.isnan(auroc(odds(0.1, 0.4), torch.ones(2, dtype=torch.int64)))


def test_the_calibration_error_is_the_distance_of_accuracy_and_confidence() -> None:
    # One bin with a confidence of 0.9 and an accuracy of 3/4, one with 0.6 and 1/2; of 4 and of 2 samples.
    logits = odds(0.9, 0.9, 0.9, 0.9, 0.4, 0.6)
    labels = torch.tensor([1, 1, 1, 0, 1, 1])
    assert calibration_error(logits, labels) == pytest.approx((4 * 0.15 + 2 * 0.1) / 6)
    assert calibration_error(certain(0, 1, 2), torch.tensor([0, 1, 2])) == pytest.approx(0, abs=1e-9)
    assert calibration_error(certain(1, 2, 0), torch.tensor([0, 1, 2])) == pytest.approx(1)


def test_bins_are_those_of_scikit_learn() -> None:
    logits = torch.randn(500, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(500) % 4
    confidence, predicted = probabilities(logits).max(dim=1)
    right = (predicted == labels).numpy()
    accuracies, means = calibration_curve(right, confidence.numpy(), n_bins=BINS)
    counts, _ = np.histogram(confidence.numpy(), bins=np.linspace(0, 1, BINS + 1))
    expected = (abs(accuracies - means) * counts[counts > 0]).sum() / 500
    assert calibration_error(logits, labels) == pytest.approx(expected)


def test_confusion_has_classes_in_rows_and_predictions_in_columns() -> None:
    counts = confusion(certain(0, 1, 1, 0), torch.tensor([0, 0, 0, 1]), 3)
    assert counts == [[1, 2, 0], [1, 0, 0], [0, 0, 0]]
    assert class_accuracies(counts) == [1 / 3, 0.0, None]
    assert all(type(count) is int for row in counts for count in row)


@pytest.mark.parametrize(("counts", "is_uneven"), [([50, 99], False), ([50, 100], True), ([3, 0], True)])
def test_macro_f1_is_shown_where_classes_are_uneven(counts: list[int], is_uneven: bool) -> None:
    one = replace(with_test_figures(record()), class_counts={"test": counts, "train": [1, 9]})
    assert uneven([one]) is is_uneven
    assert is_shown(declarations()["test_macro_f1"], [one]) is is_uneven
    assert is_shown(declarations()["test_accuracy"], [one])
    assert not is_shown(declarations()["test_auroc"], [one])
    assert not uneven([record()])  # which does not tell


def test_class_weights_multiply_the_losses_of_their_classes() -> None:
    logits, labels = torch.tensor([[0.0, 1.0], [2.0, 0.0], [0.5, 0.5]]), torch.tensor([0, 1, 1])
    weights = torch.tensor([1.5, 0.75])
    alone = [classification_loss(logits[i : i + 1], labels[i : i + 1]).item() for i in range(3)]
    expected = (1.5 * alone[0] + 0.75 * alone[1] + 0.75 * alone[2]) / 3
    assert classification_loss(logits, labels, weights).item() == pytest.approx(expected)
    one = (logits[:, 1] - logits[:, 0])[:, None]
    assert classification_loss(one, labels, weights).item() == pytest.approx(expected)
    assert torch.equal(classification_loss(logits, labels, torch.ones(2)), classification_loss(logits, labels))


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
