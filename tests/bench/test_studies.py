from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from bench.analysis.published import published_studies, read_published
from bench.config import STANDARD, OptionError
from bench.registry import STUDIES, find_study
from bench.studies.shipped import LEARNING_RATES
from bench.study import Study
from bench.training.measurement import count_parameters, training_flops
from data_utils import DATASETS, Batch
from fusion_models import (
    BLUEPRINTS,
    FIELD_MODELS,
    MODELS,
    Operator,
    build_model,
    find_model,
    register_embedder,
    register_operator,
)
from fusion_models.zoo import embedders_of

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


def test_tuned_models_of_the_field_are_those_of_the_other_studies_without_controls() -> None:
    study = find_study("tuned-field")
    others = {*find_study("operators").models, *find_study("downsampling").models}
    assert set(study.models) == {model for model in others if not find_model(model).control}
    assert study.protocols["lr 0.001"] == find_study("operators").protocols[""]
    rates = [protocol.learning_rate for protocol in study.protocols.values()]
    assert rates == sorted(rates)
    assert set(rates) < set(LEARNING_RATES)


FIELD_STUDIES = ("field", "operators", "downsampling", "tuned-field")


def test_models_of_the_field_are_in_studies_of_their_own_alone() -> None:
    others = [name for name in STUDIES if name not in FIELD_STUDIES]
    assert not [model for name in others for model in find_study(name).models if model.startswith("field-")]
    assert all(model.startswith("field-") for name in FIELD_STUDIES for model in find_study(name).models)
    assert find_study("field").models == tuple(FIELD_MODELS)


def test_operators_are_compared_with_maxpool_with_strided_and_at_equal_parameters() -> None:
    models = find_study("operators").models
    strategies = {spec.strategy for spec in FIELD_MODELS.values()}
    assert {f"{strategy}-{embedder}" for strategy in strategies for embedder in ("maxpool", "strided")} < set(
        models
    )
    controls = {model for model in models if model.endswith(".parameters")}
    features = BLUEPRINTS["field", "intermediate"].operators
    assert controls == {f"field-intermediate-{name}-maxpool.parameters" for name in features if name != "concat"}
    assert len(models) == 2 * len(strategies) + len(controls)


def test_every_embedder_is_compared_under_concatenation_and_addition() -> None:
    models = find_study("downsampling").models
    plain = [model for model in models if not find_model(model).control]
    assert plain == [
        f"field-intermediate-{operator}-{embedder}"
        for operator in ("concat", "add")
        for embedder in embedders_of("field")
    ]


def test_the_controls_are_those_whose_parameters_or_operations_differ() -> None:
    def sizes(name: str) -> dict[str, int]:
        channels = {"rgb": 4, "lidar": 4}
        with torch.device("meta"):
            network = build_model(name, channels=channels, image_size=(64, 64), classes=2)
        inputs = {m: torch.empty(1, c, 64, 64) for m, c in channels.items()}
        flops = training_flops(network, Batch(inputs, torch.zeros(1, dtype=torch.long)))
        return {"parameters": count_parameters(network), "operations": flops}

    maxpool, models = sizes("field-intermediate-add-maxpool"), find_study("downsampling").models
    for embedder in embedders_of("field")[1:]:
        name = f"field-intermediate-add-{embedder}"
        for quantity, size in sizes(name).items():
            differs = abs(size / maxpool[quantity] - 1) > 0.03
            assert (f"{name}.{quantity}" in models) is differs, (name, quantity, size, maxpool)


@pytest.mark.usefixtures("registries")
def test_what_a_plugin_adds_is_compared_in_the_same_way() -> None:
    @register_operator("gated")
    class Gated(Operator): ...

    @register_embedder("lip")
    class Lip(nn.Module): ...

    @register_operator("elsewhere", families=("compact",))
    class Elsewhere(Operator): ...

    operators, downsampling = (find_study(name).models for name in ("operators", "downsampling"))
    assert [model.removeprefix("field-intermediate-") for model in operators if "gated" in model] == [
        "gated-maxpool",
        "gated-maxpool.parameters",
        "gated-strided",
    ]
    assert not any("elsewhere" in model for model in operators)
    assert {model for model in downsampling if "lip" in model} == {
        f"field-intermediate-{operator}-lip{control}"
        for operator in ("concat", "add")
        for control in ("", ".parameters", ".operations")
    }
    assert "field-intermediate-gated-lip" in find_study("field").models
    assert "compact-intermediate-gated-maxpool" in find_study("standard").models
