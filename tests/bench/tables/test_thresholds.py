from dataclasses import replace
from itertools import product
from math import sqrt
from statistics import NormalDist

import pytest

from bench.config import PROFILES
from bench.records.run import FAILED
from bench.studies import STUDIES
from bench.tables import thresholds
from bench.tables.thresholds import (
    SIGMAS,
    Threshold,
    above_chance,
    nothing,
    published,
    threshold_for,
    threshold_table,
)
from fusion_models import MODELS
from tests.bench.samples import MODEL, TWIN, record


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", MODELS)
def test_every_cell_has_a_threshold_with_a_reason(name: str, profile: str) -> None:
    for study, dataset in product(STUDIES, ("shapes", "somebody's folder")):
        one = record(name, profile=profile, study=study, dataset=dataset)
        threshold = threshold_for(one)
        assert 0.0 <= threshold.least(one) <= 1.0
        assert threshold.reason


def test_above_chance_is_what_guessing_hardly_reaches() -> None:
    # 100 pairs of 2 classes: guessing gets 50 right with a standard deviation of sqrt(100 * 0.5 * 0.5) = 5.
    assert above_chance(record(classes=2, valid_pairs=100)) == pytest.approx(0.5 + SIGMAS * 5 / 100)
    # 900 pairs of 10 classes: 90 right with sqrt(900 * 0.1 * 0.9) = 9.
    assert above_chance(record(classes=10, valid_pairs=900)) == pytest.approx(0.1 + SIGMAS * 9 / 900)


def test_guessing_reaches_it_once_in_a_thousand_runs() -> None:
    assert NormalDist().cdf(SIGMAS) == pytest.approx(0.999, abs=1e-4)


def test_above_chance_is_never_more_than_all() -> None:
    assert above_chance(record(classes=2, valid_pairs=1)) == 1.0


def test_published_forgives_the_chance_of_a_small_validation_set() -> None:
    # An accuracy of 0.9 over 100 pairs has a standard error of sqrt(0.9 * 0.1 / 100) = 0.03.
    assert published(0.9)(record(valid_pairs=100)) == pytest.approx(0.9 - SIGMAS * 0.03)
    assert published(0.9)(record(valid_pairs=1_000_000)) == pytest.approx(0.9, abs=0.001)


def test_a_record_without_validation_pairs_cannot_be_judged() -> None:
    with pytest.raises(ValueError, match=f"{MODEL} has no validation pairs"):
        above_chance(record(valid_pairs=None))


def test_the_first_entry_that_applies_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    general = Threshold("*", "*", "*", "*", nothing, "general")
    special = replace(general, models="compact-*", reason="special")
    monkeypatch.setattr(thresholds, "THRESHOLDS", (special, general))
    assert threshold_for(record(MODEL)).reason == "special"
    assert threshold_for(record("wide-rgb-strided")).reason == "general"
    monkeypatch.setattr(thresholds, "THRESHOLDS", (general, special))
    assert threshold_for(record(MODEL)).reason == "general"


def entry(
    study: str = "standard", dataset: str = "sha*", profile: str = "quick", models: str = "compact-*"
) -> Threshold:
    return Threshold(study, dataset, profile, models, nothing, "")


@pytest.mark.parametrize(
    "other",
    [entry(study="other"), entry(dataset="other"), entry(profile="other"), entry(models="other")],
    ids=["study", "dataset", "profile", "models"],
)
def test_an_entry_applies_where_all_its_patterns_match(other: Threshold) -> None:
    assert entry().applies(record())
    assert not other.applies(record())


@pytest.mark.parametrize("name", [name for name in MODELS if MODELS[name].stage != "single"])
def test_quick_asks_more_than_chance_of_all_but_frozen_experts(name: str) -> None:
    frozen = name.startswith("experts-late-")
    least = threshold_for(record(name, profile="quick")).least(record(name, profile="quick"))
    assert least == (0.0 if frozen else pytest.approx(0.5 + SIGMAS * sqrt(0.25 / 100)))


def test_smoke_asks_nothing() -> None:
    assert threshold_for(record(profile="smoke")).least(record()) == 0.0


def test_the_table_says_what_was_met_and_why_it_was_asked() -> None:
    table = threshold_table([record(TWIN, valid_accuracy=0.9), record(MODEL, valid_accuracy=0.6, seed=52)])
    assert table is not None
    assert table.header == ["model", "seed", "valid accuracy", "least", "met", "reason"]
    assert table.rows == [  # 0.5 + 3.09 * 0.05 = 0.6545
        [TWIN, "51", "0.900", "0.654", "yes", "(1)"],
        [MODEL, "52", "0.600", "0.654", "NO", "(1)"],
    ]
    assert table.notes == [f"(1) {threshold_for(record()).reason}"]
    assert table.data.met.tolist() == [True, False]


def test_exactly_the_least_is_enough() -> None:
    table = threshold_table([record(valid_accuracy=above_chance(record()))])
    assert table is not None
    assert table.data.met.tolist() == [True]


def test_where_nothing_is_asked_the_table_says_none() -> None:
    table = threshold_table([record(profile="smoke", valid_accuracy=0.0), record(profile="quick")])
    assert table is not None
    assert [row[3:] for row in table.rows] == [["none", "yes", "(1)"], ["0.654", "yes", "(2)"]]


def test_unfinished_runs_are_not_judged() -> None:
    assert threshold_table([record(status=FAILED, valid_accuracy=None)]) is None
