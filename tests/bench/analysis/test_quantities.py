"""What is read from a run."""

import pytest

from bench.analysis.formats import margin
from bench.analysis.quantities import (
    ALL_ACCURACY,
    EPOCH_TIME,
    LOSS,
    MEAN_LOSS,
    MEMORY,
    PARAMETERS,
    SHIFT_SIMILARITY,
    ZERO_GRADIENTS,
    Run,
    corrupted,
    measured,
)
from bench.metrics import declarations
from tests.bench.analysis.samples import BRIER, foreign
from tests.bench.probes.samples import probe_record
from tests.bench.samples import record


def test_what_records_hold() -> None:
    run = Run(record(valid_losses=[0.5, 0.25, 0.3], epoch_seconds=[1.0, 9.0, 2.0]))
    assert MEAN_LOSS.of(run) == pytest.approx(0.35)
    assert EPOCH_TIME.of(run) == 2.0
    assert ALL_ACCURACY.of(run) == pytest.approx((400 * 0.95 + 100 * 0.9) / 500)


def test_what_records_lack() -> None:
    run = Run(record(valid_losses=[None], epoch_seconds=[], train_accuracy=None))
    assert [quantity.of(run) for quantity in (MEAN_LOSS, EPOCH_TIME, ALL_ACCURACY)] == [None] * 3
    assert ALL_ACCURACY.of(Run(record(train_pairs=None, valid_pairs=None))) is None


def test_accuracy_lost_is_a_mean_over_the_levels() -> None:
    # From 1.0 to 0.5 in a straight line: a quarter is lost on average.
    levels = [probe_record(level=level, value=1 - level / 2) for level in (0.5, 0.0, 1.0)]
    assert corrupted("dropped-returns").of(Run(record(), tuple(levels))) == pytest.approx(0.25)
    assert corrupted("dropped-returns").of(Run(record(), tuple(levels[:1]))) is None
    assert corrupted("rgb-noise").of(Run(record(), tuple(levels))) is None


def test_a_later_probe_takes_the_place_of_an_earlier_one() -> None:
    probes = [
        probe_record(probe="zero-gradients", level=None, metric="share", layer=layer, value=value)
        for layer, value in (("a", 0.9), ("a", 0.5), ("b", 0.7))
    ]
    assert ZERO_GRADIENTS.of(Run(record(), tuple(probes))) == pytest.approx(0.6)


def test_similarity_is_that_of_the_fused_features() -> None:
    probes = [
        probe_record(probe="shift-similarity", level=level, metric="cka", layer=layer, value=value)
        for level, layer, value in ((1.0, "trunk", 0.8), (2.0, "trunk", 0.6), (1.0, "hidden", 0.1))
    ]
    assert SHIFT_SIMILARITY.of(Run(record(), tuple(probes))) == pytest.approx(0.7)
    assert SHIFT_SIMILARITY.of(Run(record())) is None


def test_a_quantity_that_is_a_metric_is_declared_as_that_metric() -> None:
    metrics = declarations()
    for quantity in (LOSS, EPOCH_TIME, MEMORY):
        assert quantity.metric == metrics[quantity.metric.name]
    assert PARAMETERS.metric.title == metrics["parameters"].title
    assert (metrics["parameters"].higher_is_better, PARAMETERS.metric.higher_is_better) == (None, False)
    assert (MEAN_LOSS.metric.unit, MEAN_LOSS.metric.margin) == (LOSS.metric.unit, LOSS.metric.margin)


def test_the_metric_of_a_plug_in_is_read_from_its_record() -> None:
    metric = declarations([foreign()])["valid_brier"]
    assert metric.margin == BRIER.margin
    assert measured(metric).of(Run(foreign(0.3))) == 0.3
    assert measured(metric).of(Run(record())) is None


def test_margins_in_words() -> None:
    assert margin(MEAN_LOSS.metric) == "0.01 nats"
    assert margin(EPOCH_TIME.metric) == "5%"
    assert margin(corrupted("rgb-noise").metric) == "0.01"
    assert margin(PARAMETERS.with_margin(0.5, "half").metric) == "50%"
