from dataclasses import replace
from itertools import product
from math import sqrt
from statistics import NormalDist

import msgspec
import pytest

from bench.analysis import thresholds
from bench.analysis.thresholds import (
    SIGMAS,
    Threshold,
    above_chance,
    balanced_above_chance,
    nothing,
    published,
    threshold_for,
)
from bench.config import PROFILES
from bench.records import RecordError
from bench.registry import STUDIES
from fusion_models import MODELS
from tests.bench.analysis.samples import foreign
from tests.bench.samples import MODEL, record, with_test_figures


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


def test_the_best_guess_is_the_largest_class() -> None:
    # 90 of 100 pairs are right without looking, with a standard deviation of sqrt(100 * 0.9 * 0.1) = 3.
    rare = record(valid_pairs=100, class_counts={"train": [200, 200], "valid": [90, 10]})
    assert above_chance(rare) == pytest.approx(0.9 + SIGMAS * 3 / 100)


def test_few_pairs_of_a_class_make_balanced_accuracy_uncertain() -> None:
    # Half of 90 and half of 10 are right, with variances of 0.25 / 90 and 0.25 / 10.
    rare = record(valid_pairs=100, class_counts={"valid": [90, 10]})
    assert balanced_above_chance(rare) == pytest.approx(0.5 + SIGMAS * sqrt((0.25 / 90 + 0.25 / 10) / 4))
    missing = record(classes=3, valid_pairs=100, class_counts={"valid": [50, 0, 50]})
    assert balanced_above_chance(missing) == pytest.approx(1 / 3 + SIGMAS * sqrt(2 / 9 / 100))
    even = record(classes=4, valid_pairs=100)
    assert balanced_above_chance(even) == pytest.approx(above_chance(even))


def test_guessing_reaches_it_once_in_a_thousand_runs() -> None:
    assert NormalDist().cdf(SIGMAS) == pytest.approx(0.999, abs=1e-4)


def test_above_chance_is_never_more_than_all() -> None:
    assert above_chance(record(classes=2, valid_pairs=1)) == 1.0


def test_published_forgives_the_chance_of_a_small_validation_set() -> None:
    # An accuracy of 0.9 over 100 pairs has a standard error of sqrt(0.9 * 0.1 / 100) = 0.03.
    assert published(0.9)(record(valid_pairs=100)) == pytest.approx(0.9 - SIGMAS * 0.03)
    assert published(0.9)(record(valid_pairs=1_000_000)) == pytest.approx(0.9, abs=0.001)


def test_a_record_without_validation_pairs_cannot_be_judged() -> None:
    with pytest.raises(RecordError, match=f"{MODEL} does not tell the number of pairs"):
        above_chance(record(valid_pairs=None))


def test_a_record_with_test_pairs_is_judged_by_them() -> None:
    assert above_chance(with_test_figures(record(valid_pairs=None))) == above_chance(record(valid_pairs=1000))


def test_the_first_entry_that_applies_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    general = Threshold("*", nothing, "general")
    special = replace(general, cells="*/compact-*", reason="special")
    monkeypatch.setattr(thresholds, "THRESHOLDS", (special, general))
    assert threshold_for(record(MODEL)).reason == "special"
    assert threshold_for(record("wide-rgb-strided")).reason == "general"
    monkeypatch.setattr(thresholds, "THRESHOLDS", (general, special))
    assert threshold_for(record(MODEL)).reason == "general"


@pytest.mark.parametrize("other", ["other/*", "*/other/*/*", "*/quic/*", "*/other-*", "standard"])
def test_an_entry_applies_where_its_pattern_matches(other: str) -> None:
    assert Threshold("standard/sha*/quick/compact-*", nothing, "").applies(record())
    assert not Threshold(other, nothing, "").applies(record())


@pytest.mark.parametrize("name", [name for name in MODELS if MODELS[name].stage != "single"])
def test_quick_asks_more_than_chance_of_all_but_frozen_experts(name: str) -> None:
    frozen = name.startswith("experts-late-")
    least = threshold_for(record(name, profile="quick")).least(record(name, profile="quick"))
    assert least == (0.0 if frozen else pytest.approx(0.5 + SIGMAS * sqrt(0.25 / 100)))


@pytest.mark.parametrize("profile", PROFILES)
def test_nothing_is_required_on_data_from_files(profile: str) -> None:
    own = record("field-rgb-strided", profile=profile, dataset="kitchen", simulated=False)
    assert threshold_for(own).least(own) == 0.0
    if profile != "smoke":
        assert "somebody's own" in threshold_for(own).reason
        of_a_plug_in = msgspec.structs.replace(own, simulated=True)
        assert threshold_for(of_a_plug_in).least(of_a_plug_in) > 0.5


def test_smoke_asks_nothing() -> None:
    assert threshold_for(record(profile="smoke")).least(record()) == 0.0


@pytest.mark.parametrize(
    ("model", "least"), [("wide-late-concat-strided", 0.9), ("wide-late-concat-blur", 0.6545), ("mine", 0.6545)]
)
def test_published_accuracies_are_required_of_published_embedders_alone(model: str, least: float) -> None:
    one = foreign(model=model, study="standard", dataset="shapes", profile="full", valid_pairs=100)
    assert threshold_for(one).least(one) == pytest.approx(least, abs=0.03)
    assert threshold_for(foreign()).least(foreign()) == 0.0
