from dataclasses import replace
from typing import Any

import pytest

from bench.analysis.published import published_studies, read_published
from bench.config import STANDARD, OptionError
from bench.registry import STUDIES, find_study
from bench.studies.shipped import LEARNING_RATES
from bench.study import Study
from data_utils import DATASETS
from fusion_models import MODELS, find_model

PUBLISHED = published_studies()


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_asks_a_question_of_models_and_data_that_exist(name: str) -> None:
    study = find_study(name)
    assert study.name == name
    assert study.question.endswith(("?", "."))
    assert len(set(study.models)) == len(study.models) > 0
    assert [find_model(model).name for model in study.models] == list(study.models)
    assert study.dataset in DATASETS
    assert study.reference == "maxpool"


def test_the_standard_study_has_every_model_under_one_protocol() -> None:
    study = find_study("standard")
    assert study.models == tuple(MODELS)
    assert study.protocols == {"": STANDARD}


def test_every_published_table_has_a_study() -> None:
    assert set(PUBLISHED) < set(STUDIES)
    assert len(PUBLISHED) == 6


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_study_has_one_protocol_and_names_its_deviations(name: str) -> None:
    assert list(find_study(name).protocols) == [""]
    assert read_published(name)["deviations"]


def test_studies_request_probes_that_exist() -> None:
    assert find_study("standard").probes == ()
    assert find_study("robustness").probes == ("robustness", "features")
    with pytest.raises(OptionError, match=r"'standard' requests the probes \('taste',\); there are \('robust"):
        replace(find_study("standard"), probes=("taste",))


def test_input_scaling_changes_the_scale_of_the_inputs_alone() -> None:
    raw, normalized = find_study("input-scaling").protocols.values()
    assert raw.normalized == ()
    assert normalized == replace(raw, normalized=("rgb", "lidar"))


def test_no_study_makes_the_mistakes_of_the_originals_by_itself() -> None:
    protocols = [protocol for name in STUDIES for protocol in find_study(name).protocols.values()]
    assert all(protocol.keep_groups and not protocol.valid_whole_batches for protocol in protocols)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_protocol_differs_by_the_mistakes_alone(name: str) -> None:
    study = find_study(name)
    assert study.mistakes
    assert study.published_protocol("") == replace(study.protocols[""], **study.mistakes)
    assert study.published_protocol("") != study.protocols[""]


def test_only_splits_by_shuffled_list_separated_twins() -> None:
    # The compact studies split both classes at the same indices, so their twins stayed together.
    apart = {name for name in STUDIES if find_study(name).mistakes.get("keep_groups") is False}
    assert apart == {"downsampling-wide", "downsampling-deep", "fusion-experts", "fusion-wide"}


@pytest.mark.parametrize("missing", [{"models": ()}, {"protocols": {}}])
def test_a_study_needs_models_and_a_protocol(missing: dict[str, Any]) -> None:
    values = {"models": ("wide-rgb-strided",), "protocols": {"": STANDARD}, **missing}
    with pytest.raises(OptionError, match="study 'mine' needs at least one model and one protocol"):
        Study(name="mine", question="?", **values)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"protocols": STANDARD}, "has a Protocol as protocols; give a mapping"),
        ({"protocols": {"a/b": STANDARD}}, "has a variant 'a/b'; use letters"),
        ({"models": "wide-rgb-strided"}, "needs a tuple of different models"),
        ({"models": ("wide-rgb-strided", "wide-rgb-strided")}, "needs a tuple of different models"),
        ({"probes": "robustness"}, "has probes='robustness'; give a tuple"),
    ],
)
def test_what_is_wrong_with_a_study_is_said(wrong: dict[str, Any], message: str) -> None:
    values = {"models": ("wide-rgb-strided",), "protocols": {"": STANDARD}, **wrong}
    with pytest.raises(OptionError, match=f"study 'mine' {message}"):
        Study(name="mine", question="?", **values)


def test_tuned_models_share_one_grid_and_everything_else() -> None:
    study = find_study("tuned")
    assert [protocol.learning_rate for protocol in study.protocols.values()] == sorted(LEARNING_RATES)
    for protocol in study.protocols.values():
        same = replace(STANDARD, learning_rate=protocol.learning_rate, pairs=2_000)
        assert protocol == replace(same, final_learning_rate=protocol.final_learning_rate)
        assert protocol.final_learning_rate == pytest.approx(protocol.learning_rate / 1_000)
    assert STANDARD.learning_rate in LEARNING_RATES
    assert {"wide-rgb-maxpool", "wide-lidar-strided"} < set(study.models)
