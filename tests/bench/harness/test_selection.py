import pytest

from bench.harness.selection import no_match
from bench.registry import find_study, register_study
from bench.study import Study
from fusion_models import MODELS

STANDARD = [find_study("standard")]


@pytest.mark.parametrize(
    ("keyword", "studies"),
    [
        ("mmtm", "field, operators, tuned-field"),
        ("MMTM and strided", "field, operators, tuned-field"),
        ("blurpool and add and not operators", "field, downsampling, tuned-field"),
        ("test_training and resnet", "backbones"),
    ],
)
def test_other_studies_that_have_a_match_are_named(keyword: str, studies: str) -> None:
    (line,) = no_match(keyword, STANDARD)
    assert line == f"-k {keyword!r} matches no id of --study standard; studies with a match: {studies}"


def test_a_selected_study_is_not_named() -> None:
    (line,) = no_match("mmtm", [*STANDARD, find_study("operators")])
    assert line.endswith("no id of --study standard,operators; studies with a match: field, tuned-field")


def test_without_any_match_the_models_are_listed() -> None:
    line, models = no_match("wide-intermediate-divide", STANDARD)
    assert line == "-k 'wide-intermediate-divide' matches no id; benchmarks are named after their models:"
    assert models == ", ".join(MODELS)


@pytest.mark.usefixtures("registries")
def test_a_study_that_cannot_be_made_is_not_named() -> None:
    @register_study("broken")
    def broken() -> Study:
        raise ValueError("mmtm")

    (line,) = no_match("mmtm", STANDARD)
    assert line.endswith("studies with a match: field, operators, tuned-field")
