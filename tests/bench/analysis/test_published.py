"""The published numbers, and whether measured ones agree with them."""

from pathlib import Path
from typing import Any

import pytest

import bench
from bench.analysis import published
from bench.analysis.published import (
    CHANNELS,
    CLASSES,
    IMAGE_SIZE,
    has_published_inputs,
    measured_accuracy,
    overall_accuracy,
    parameters_agree,
    published_folder,
    published_studies,
    read_published,
)
from bench.records import RecordError
from bench.registry import find_study
from fusion_models import build_model
from tests.bench.samples import record


def test_six_studies_are_published() -> None:
    assert len(published_studies()) == 6


@pytest.mark.parametrize("name", published_studies())
def test_the_models_of_a_study_are_the_published_ones(name: str) -> None:
    content = read_published(name)
    assert [row["model"] for row in content["rows"]] == list(find_study(name).models)
    assert content["source"]
    assert content["claims"]
    assert content["deviations"]


@pytest.mark.parametrize("name", published_studies())
def test_every_model_has_the_published_number_of_parameters(name: str) -> None:
    for row in read_published(name)["rows"]:
        height, width = IMAGE_SIZE
        model = build_model(row["model"], channels=CHANNELS, image_size=(height, width), classes=CLASSES)
        count = sum(parameter.numel() for parameter in model.parameters())
        assert parameters_agree(row, count)
        assert not parameters_agree(row, count + 1000)


def test_a_count_must_be_exact_or_agree_in_all_printed_digits() -> None:
    assert parameters_agree({"parameters": 914_201}, 914_201)
    assert not parameters_agree({"parameters": 914_201}, 914_202)
    assert parameters_agree({"parameters_millions": 2.0945}, 2_094_501)
    assert parameters_agree({"parameters_millions": 6.61585}, 6_615_851)
    assert not parameters_agree({"parameters_millions": 2.0945}, 2_094_601)


def test_sizes_compare_where_the_inputs_are_as_published() -> None:
    assert has_published_inputs(record())
    assert has_published_inputs(record(channels=None, image_size=None))  # older versions


@pytest.mark.parametrize(
    "other",
    [
        {"classes": 10},
        {"channels": {"rgb": 3, "lidar": 4}},
        {"image_size": [32, 32]},
        {"classes": 10, "channels": None, "image_size": None},
    ],
)
def test_sizes_do_not_compare_on_other_inputs(other: dict[str, Any]) -> None:
    assert not has_published_inputs(record(**other))


def test_accuracy_is_taken_over_the_pairs_that_the_published_one_is_over() -> None:
    measured = record(train_accuracy=1.0, valid_accuracy=0.5, train_pairs=300, valid_pairs=100)
    assert measured_accuracy({"valid_accuracy": 0.9}, measured) == 0.5
    assert measured_accuracy({"train_and_valid_accuracy": 0.9}, measured) == pytest.approx((300 + 50) / 400)
    assert measured_accuracy({"train_and_valid_accuracy": 0.9}, record(train_accuracy=None)) is None
    unknown = record(train_pairs=None, valid_pairs=None)
    assert overall_accuracy(unknown) is None


def test_a_study_that_is_not_published_is_refused() -> None:
    for study in ("standard", "../published/fusion-wide"):
        with pytest.raises(RecordError, match=f"nothing is published for the study '{study}'"):
            read_published(study)


def test_an_installed_package_has_the_numbers_inside_and_a_checkout_beside_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert published_folder() == Path(bench.__file__).resolve().parent.parent / "results" / "published"
    inside = tmp_path / "site-packages" / "bench" / "published"
    inside.mkdir(parents=True)
    monkeypatch.setattr(published, "__file__", str(inside.parent / "analysis" / "published.py"))
    assert published_folder() == inside
    assert published_studies() == []
