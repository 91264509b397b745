"""What is read from a run."""

from math import log
from typing import Any

import pytest
from msgspec.structs import replace

from bench.analysis.formats import margin
from bench.analysis.quantities import (
    ACCURACY,
    ALL_ACCURACY,
    EPOCH_TIME,
    EPOCHS,
    ESTIMANDS,
    FINAL_ACCURACY,
    GAP,
    LEARNED,
    LOSS,
    LOSS_RATIO,
    MEAN_LOSS,
    MEMORY,
    PARAMETERS,
    SHIFT_SIMILARITY,
    ZERO_GRADIENTS,
    Run,
    accuracy_under,
    chance_loss,
    count_learned,
    learned,
    lost_under,
    measured,
)
from bench.metrics import declarations
from bench.records import DIVERGED, FAILED, RunRecord
from tests.bench.analysis.samples import BRIER, foreign
from tests.bench.probes.samples import probe_record
from tests.bench.samples import record, with_test_figures


def test_what_records_hold() -> None:
    run = Run(record(valid_losses=[0.5, 0.25, 0.3], epoch_seconds=[1.0, 9.0, 2.0]))
    assert MEAN_LOSS.of(run) == pytest.approx(0.35)
    assert EPOCH_TIME.of(run) == 2.0
    assert ALL_ACCURACY.of(run) == pytest.approx((400 * 0.95 + 100 * 0.9) / 500)
    assert (LOSS.of(run), LOSS_RATIO.of(run)) == (0.25, 0.25)


@pytest.mark.parametrize(("load", "seconds"), [(0.0, 2.0), (0.2, 2.0), (0.21, None), (None, None)])
def test_times_of_a_busy_machine_do_not_count(load: float | None, seconds: float | None) -> None:
    assert EPOCH_TIME.of(Run(record(epoch_seconds=[1.0, 9.0, 2.0], other_load=load))) == seconds


def test_the_final_accuracy_is_that_of_the_last_epoch() -> None:
    run = Run(record(valid_accuracies=[0.5, 0.9, 0.8], valid_accuracy=0.9))
    assert FINAL_ACCURACY.of(run) == 0.8


def test_the_gap_is_between_the_losses_of_the_last_epoch() -> None:
    assert GAP.of(Run(record(train_losses=[0.7, 0.1], valid_losses=[0.6, 0.4]))) == pytest.approx(0.3)


@pytest.mark.parametrize(("accuracies", "epochs"), [([0.5, 0.95, 0.9], 2), ([0.96], 1), ([0.5, 0.94, 0.9], 4)])
def test_epochs_until_a_model_is_good_and_one_more_where_it_never_is(accuracies: list[float], epochs: int) -> None:
    assert EPOCHS.of(Run(record(valid_accuracies=accuracies))) == epochs


def test_what_records_lack() -> None:
    run = Run(
        record(
            valid_losses=[None],
            train_losses=[],
            valid_accuracies=[],
            epoch_seconds=[],
            train_accuracy=None,
            best_valid_loss=None,
            valid_accuracy=None,
            valid_metrics=None,
            peak_memory_bytes=None,
            parameters=None,
        )
    )
    lacking = {**dict.fromkeys(ESTIMANDS), "learned": 0.0}  # no record of a training lacks a loss that is finite
    assert {name: quantity.of(run) for name, quantity in ESTIMANDS.items()} == lacking
    assert ALL_ACCURACY.of(Run(record(train_pairs=None, valid_pairs=None))) is None


def test_every_estimand_has_a_direction_and_a_reason() -> None:
    for quantity in ESTIMANDS.values():
        assert quantity.metric.higher_is_better is not None
        assert quantity.metric.reason
        assert quantity.metric.margin >= 0


def ended(loss: float, balanced: float, classes: int = 2, **changes: Any) -> RunRecord:
    metrics = {"loss": loss, "accuracy": 0.9, "balanced_accuracy": balanced}
    return record(best_valid_loss=loss, valid_metrics=metrics, classes=classes, **changes)


@pytest.mark.parametrize(
    ("loss", "balanced", "expected"),
    [
        (0.65, 0.6, True),
        (0.66, 0.6, False),  # 95% of ln 2 is 0.6585
        (0.10, 0.54, False),  # it names the majority class
        (0.10, 0.55, True),
    ],
)
def test_a_run_has_learned_where_loss_and_balanced_accuracy_say_so(
    loss: float, balanced: float, expected: bool
) -> None:
    assert learned(ended(loss, balanced)) is expected
    assert LEARNED.of(Run(ended(loss, balanced))) == float(expected)


def test_chance_depends_on_the_number_of_classes() -> None:
    assert chance_loss(ended(1.0, 0.4, classes=4)) == pytest.approx(log(4))
    assert learned(ended(1.3, 0.4, classes=4)) is True
    assert learned(ended(1.3, 0.29, classes=4)) is False


def test_chance_is_the_entropy_of_the_classes_proportions() -> None:
    uneven = ended(0.45, 0.6, class_counts={"train": [50, 50], "valid": [80, 20]})
    # -(0.8 ln 0.8 + 0.2 ln 0.2) = 0.5004, of which 5% are 0.475.
    assert chance_loss(uneven) == pytest.approx(0.5004, abs=1e-4)
    assert learned(uneven) is True
    assert (
        learned(replace(uneven, best_valid_loss=0.48)) is False
    )  # below ln 2, and no better than the proportions
    rare = ended(0.1, 0.6, class_counts={"valid": [100, 0]})
    assert (chance_loss(rare), learned(rare)) == (0.0, False)


def test_results_are_those_on_the_test_pairs_where_there_are_any() -> None:
    run = with_test_figures(ended(0.1, 0.9, class_counts={"valid": [50, 50], "test": [900, 100]}), loss=0.33)
    assert (LOSS.of(Run(run)), ACCURACY.of(Run(run))) == (0.33, 0.88)
    assert chance_loss(run) == pytest.approx(0.3251, abs=1e-4)
    assert learned(run) is False


def test_a_run_that_diverged_has_not_learned_and_one_that_failed_does_not_tell() -> None:
    runs = [record(status=DIVERGED), record(status=FAILED), ended(0.1, 0.9), record(best_valid_loss=None)]
    assert [learned(run) for run in runs] == [False, None, True, False]  # the loss of the last is not finite
    assert count_learned(map(Run, runs)) == (1, 3)


def test_losses_too_small_to_have_a_ratio_are_equal() -> None:
    tiny = [LOSS_RATIO.of(Run(ended(loss, 1.0))) for loss in (0.0, 1e-15, 1e-13)]
    assert len(set(tiny)) == 1
    assert log(tiny[0] or 0) < -20


def test_accuracy_lost_is_that_of_the_declared_levels() -> None:
    probes = tuple(probe_record(level=level, value=1 - level / 2) for level in (0.5, 0.0, 1.0))
    run = Run(record(), probes)
    assert lost_under("dropped-returns", [1.0]).of(run) == pytest.approx(0.5)
    assert lost_under("dropped-returns", [0.5, 1.0]).of(run) == pytest.approx(0.375)
    assert lost_under("dropped-returns", [0.25]).of(run) is None
    assert lost_under("rgb-noise", [1.0]).of(run) is None
    assert lost_under("dropped-returns", [0.5]).of(Run(record(), probes[:1])) is None  # nothing without corruption


def test_a_later_probe_takes_the_place_of_an_earlier_one() -> None:
    probes = [
        probe_record(probe="zero-gradients", level=None, metric="share", layer=layer, value=value)
        for layer, value in (("a", 0.9), ("a", 0.5), ("b", 0.7))
    ]
    assert ZERO_GRADIENTS.of(Run(record(), tuple(probes))) == pytest.approx(0.6)
    again = (probe_record(level=1.0, value=0.9), probe_record(level=1.0, value=0.8))
    assert accuracy_under(Run(record(), again), "dropped-returns", 1.0) == 0.8


def test_similarity_is_that_of_the_fused_features() -> None:
    probes = [
        probe_record(probe="shift-similarity", level=level, metric="cka", layer=layer, value=value)
        for level, layer, value in ((1.0, "trunk", 0.8), (2.0, "trunk", 0.6), (1.0, "hidden", 0.1))
    ]
    assert SHIFT_SIMILARITY.of(Run(record(), tuple(probes))) == pytest.approx(0.7)
    assert SHIFT_SIMILARITY.of(Run(record())) is None


def test_a_quantity_that_is_a_metric_is_declared_as_that_metric() -> None:
    metrics = declarations()
    for quantity in (EPOCH_TIME, MEMORY):
        assert quantity.metric == metrics[quantity.metric.name]
    assert PARAMETERS.metric.title == metrics["parameters"].title
    assert (metrics["parameters"].higher_is_better, PARAMETERS.metric.higher_is_better) == (None, False)
    assert (LOSS.metric.unit, LOSS.metric.margin) == ("nats", metrics["best_valid_loss"].margin)


def test_the_metric_of_a_plug_in_is_read_from_its_record() -> None:
    metric = declarations([foreign()])["valid_brier"]
    assert metric.margin == BRIER.margin
    assert measured(metric).of(Run(foreign(0.3))) == 0.3
    assert measured(metric).of(Run(record())) is None


def test_margins_in_words() -> None:
    assert margin(LOSS.metric) == "0.01 nats"
    assert margin(LOSS_RATIO.metric) == "25%"
    assert margin(EPOCH_TIME.metric) == "5%"
    assert margin(lost_under("rgb-noise", [4.0]).metric) == "0.01"
    other = LOSS_RATIO.with_margin(0.5, "half")
    assert (margin(other.metric), other.if_learned, other.of) == ("50%", True, LOSS_RATIO.of)
