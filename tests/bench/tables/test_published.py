"""Published numbers beside measured ones."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.studies import STUDIES
from bench.tables import published
from bench.tables.published import (
    CHANNELS,
    CLASSES,
    IMAGE_SIZE,
    has_published_inputs,
    measured_accuracy,
    parameters_agree,
    published_table,
    read_published,
)
from fusion_models import build_model
from tests.bench.samples import record

PUBLISHED = [name for name, study in STUDIES.items() if study.published]

ROWS = (
    ("fusion-compact", "compact-late-concat-maxpool"),
    ("fusion-compact", "compact-intermediate-concat-maxpool"),
)


def test_six_studies_are_published() -> None:
    assert len(PUBLISHED) == 6


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_rows_of_a_study_are_the_published_ones(name: str) -> None:
    content = read_published(name)
    assert [row["model"] for row in content["rows"]] == list(STUDIES[name].models)
    assert content["source"]
    assert content["claims"]


@pytest.mark.parametrize("name", PUBLISHED)
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
    assert has_published_inputs(record(channels=None, image_size=None))  # before version 3


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


@pytest.fixture
def one_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Round published numbers for two rows of fusion-compact."""
    rows = [
        {
            "model": model,
            "best_valid_loss": loss,
            "parameters": 1000,
            "valid_accuracy": 0.9,
            "train_seconds": seconds,
        }
        for (_, model), loss, seconds in zip(ROWS, (0.25, 0.5), (10.0, 20.0), strict=True)
    ]
    content = {"source": "a notebook", "rows": rows, "claims": []}
    (tmp_path / "fusion-compact.json").write_text(json.dumps(content), encoding="utf-8")
    monkeypatch.setattr(published, "FOLDER", tmp_path)


@pytest.mark.usefixtures("one_study")
def test_the_table_by_hand() -> None:
    (study, first), (_, second) = ROWS
    table = published_table(
        [
            record(first, study=study, seed=51, best_valid_loss=0.5, train_seconds=4.0, peak_memory_bytes=100),
            record(first, study=study, seed=52, best_valid_loss=0.1, train_seconds=4.0, peak_memory_bytes=100),
            record(second, study=study, best_valid_loss=0.2, train_seconds=2.0, peak_memory_bytes=150),
        ]
    )
    assert table is not None
    accuracy = "0.900 / 0.900"
    assert table.rows == [
        [
            first,
            "1,000",
            "yes",
            "0.25 / 0.3",
            "0.1-0.5 (inside)",
            "1 / 2 of 2",
            accuracy,
            "1.00 / 1.00",
            "- / 1.00",
        ],
        [second, "1,000", "yes", "0.5 / 0.2", "one seed", "2 / 1 of 2", accuracy, "2.00 / 0.50", "- / 1.50"],
    ]
    assert "published: a notebook" in table.notes
    assert "deviation: Run on shapes; the original's data cannot be shipped." in table.notes
    assert any("NOT the published protocol" in note for note in table.notes)  # the records are of profile quick


@pytest.mark.usefixtures("one_study")
def test_a_full_run_as_published_says_so() -> None:
    (study, first), _ = ROWS
    corrected = published_table([record(first, study=study, profile="full")])
    as_it_was = published_table(
        [record(first, study=study, profile="full", protocol={"epochs": 3, "valid_whole_batches": True})]
    )
    assert corrected is not None
    assert as_it_was is not None
    assert not any("NOT the published protocol" in note for note in corrected.notes)
    assert "run as published, mistakes included" not in corrected.notes
    assert "run as published, mistakes included" in as_it_was.notes


@pytest.mark.usefixtures("one_study")
def test_another_number_of_parameters_is_shouted() -> None:
    (study, first), _ = ROWS
    table = published_table([record(first, study=study, parameters=1001)])
    assert table is not None
    assert table.rows[0][2] == "NO"


@pytest.mark.usefixtures("one_study")
def test_on_other_inputs_nothing_is_said_of_the_number_of_parameters() -> None:
    (study, first), _ = ROWS
    table = published_table([record(first, study=study, classes=10, parameters=1001)])
    assert table is not None
    assert table.rows[0][2] == "-"
    assert any("sizes do not compare" in note for note in table.notes)


def test_nothing_is_made_up_for_other_studies() -> None:
    assert published_table([record(study="standard")]) is None
    with pytest.raises(ValueError, match="nothing is published for the study 'standard'"):
        read_published("standard")
