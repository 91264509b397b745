from dataclasses import replace

import pytest

from bench.config import STANDARD
from bench.studies import STUDIES, Study
from fusion_models import MODELS


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_is_registered_by_its_name_and_asks_a_question(name: str) -> None:
    study = STUDIES[name]
    assert study.name == name
    assert study.question.endswith(("?", "."))
    assert len(set(study.models)) == len(study.models) > 0


def test_the_standard_study_has_every_model_under_one_protocol() -> None:
    assert STUDIES["standard"].models == tuple(MODELS)
    assert STUDIES["standard"].protocols == {"": STANDARD}


@pytest.mark.parametrize("name", [name for name, study in STUDIES.items() if study.published])
def test_a_published_study_has_one_protocol_and_names_its_deviations(name: str) -> None:
    assert list(STUDIES[name].protocols) == [""]
    assert STUDIES[name].deviations


def test_a_study_asks_for_probes_that_there_are() -> None:
    assert STUDIES["standard"].probes == ()
    assert STUDIES["robustness"].probes == ("robustness", "features")
    with pytest.raises(ValueError, match=r"'standard' asks for the probes \('taste',\); there are \('robust"):
        replace(STUDIES["standard"], probes=("taste",))


def test_input_scaling_changes_the_scale_of_the_inputs_alone() -> None:
    raw, normalized = STUDIES["input-scaling"].protocols.values()
    assert raw.normalized == ()
    assert normalized == replace(raw, normalized=("rgb", "lidar"))


def test_no_study_makes_the_mistakes_of_the_originals_by_itself() -> None:
    for study in STUDIES.values():
        assert all(p.keep_groups and not p.valid_whole_batches for p in study.protocols.values())


@pytest.mark.parametrize("name", [name for name, study in STUDIES.items() if study.published])
def test_the_published_protocol_differs_by_the_mistakes_alone(name: str) -> None:
    study = STUDIES[name]
    assert study.mistakes
    assert study.published_protocol("") == replace(study.protocols[""], **study.mistakes)
    assert study.published_protocol("") != study.protocols[""]


def test_only_splits_by_shuffled_list_separated_twins() -> None:
    # The compact studies split both classes at the same indices, so their twins stayed together.
    apart = {name for name, study in STUDIES.items() if study.mistakes.get("keep_groups") is False}
    assert apart == {"downsampling-wide", "downsampling-deep", "fusion-experts", "fusion-wide"}


@pytest.mark.parametrize(
    ("models", "protocols"), [(("resnet",), {"": STANDARD}), ((), {"": STANDARD}), (("wide-rgb-strided",), {})]
)
def test_a_study_needs_known_models_and_a_protocol(models: tuple[str, ...], protocols: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="study 'mine' needs protocols and known models"):
        Study(name="mine", question="?", models=models, protocols=protocols)  # type: ignore[arg-type]
