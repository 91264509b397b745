"""Published numbers beside measured ones."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from bench.analysis import published
from bench.tables.published import published_table
from tests.bench.analysis.samples import foreign
from tests.bench.samples import record
from tests.bench.tables.samples import made

ROWS = (
    ("fusion-compact", "compact-late-concat-maxpool"),
    ("fusion-compact", "compact-intermediate-concat-maxpool"),
)


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
    content = {"source": "a notebook", "rows": rows, "claims": [], "deviations": ["The split is another."]}
    (tmp_path / "fusion-compact.json").write_text(json.dumps(content), encoding="utf-8")
    monkeypatch.setattr(published, "published_folder", lambda: tmp_path)


@pytest.mark.usefixtures("one_study")
def test_the_table_by_hand() -> None:
    (study, first), (_, second) = ROWS
    table = made(
        published_table(
            [
                record(first, study=study, seed=51, best_valid_loss=0.5, train_seconds=4.0, peak_memory_bytes=100),
                record(first, study=study, seed=52, best_valid_loss=0.1, train_seconds=4.0, peak_memory_bytes=100),
                record(second, study=study, best_valid_loss=0.2, train_seconds=2.0, peak_memory_bytes=150),
            ]
        )
    )
    accuracy = "0.900 / 0.900"
    assert table.rows == [
        [
            first,
            "1,000",
            "yes",
            "0.25 / 0.3000",
            "0.100-0.500 (inside)",
            "1 / 2 of 2",
            accuracy,
            "1.00 / 1.00",
            "- / 1.00",
        ],
        [second, "1,000", "yes", "0.5 / 0.2000", "one seed", "2 / 1 of 2", accuracy, "2.00 / 0.50", "- / 1.50"],
    ]
    assert "published: a notebook" in table.notes
    assert "deviation: Run on shapes; the original's data cannot be shipped." in table.notes
    assert "deviation: The split is another." in table.notes
    assert any("NOT the published protocol" in note for note in table.notes)  # the records are of profile quick


@pytest.mark.usefixtures("one_study")
def test_times_of_busy_machines_are_rough_and_those_of_another_device_left_out() -> None:
    (study, first), (_, second) = ROWS
    there = {**record().environment, "device_name": "another processor"}
    runs = [
        record(first, study=study, seed=51, train_seconds=4.0, other_load=0.0),
        record(second, study=study, seed=51, train_seconds=2.0, other_load=0.9),
        record(second, study=study, seed=52, train_seconds=9.0, environment=there),
    ]
    table = made(published_table(runs))
    assert [row[7] for row in table.rows] == ["1.00 / 1.00", "2.00 / ~0.50"]
    assert any(note.startswith("~: rough") for note in table.notes)
    changed = [replace(run, changed="epochs=9", profile="full") for run in runs]
    assert any("where settings were changed" in note for note in made(published_table(changed)).notes)


@pytest.mark.usefixtures("one_study")
def test_a_full_run_as_published_says_so() -> None:
    (study, first), _ = ROWS
    corrected = published_table([record(first, study=study, profile="full")])
    as_it_was = published_table([record(first, study=study, profile="full", as_published=True)])
    assert corrected is not None
    assert as_it_was is not None
    assert not any("NOT the published protocol" in note for note in corrected.notes)
    assert "run as published, mistakes included" not in corrected.notes
    assert "run as published, mistakes included" in as_it_was.notes


@pytest.mark.usefixtures("one_study")
def test_another_number_of_parameters_is_shouted() -> None:
    (study, first), _ = ROWS
    table = made(published_table([record(first, study=study, parameters=1001)]))
    assert table.rows[0][2] == "NO"


@pytest.mark.usefixtures("one_study")
def test_on_other_inputs_nothing_is_reported_of_the_number_of_parameters() -> None:
    (study, first), _ = ROWS
    table = made(published_table([record(first, study=study, classes=10, parameters=1001)]))
    assert table.rows[0][2] == "-"
    assert any("sizes cannot be compared" in note for note in table.notes)


@pytest.mark.usefixtures("one_study")
def test_a_record_without_numbers_is_shown() -> None:
    (study, first), _ = ROWS
    unknown = record(
        first,
        study=study,
        environment={},
        channels=None,
        protocol={"epochs": 3},
        **dict.fromkeys(("parameters", "train_seconds", "peak_memory_bytes", "best_valid_loss", "valid_accuracy")),
    )
    table = made(published_table([unknown]))
    assert table.rows == [
        [first, "-", "-", "0.25 / -", "one seed", "1 / - of 1", "0.900 / -", "1.00 / -", "- / -"]
    ]


@pytest.mark.usefixtures("one_study")
def test_variants_of_the_protocol_have_rows_of_their_own() -> None:
    (study, first), _ = ROWS
    table = made(published_table([record(first, study=study), record(first, study=study, variant="epochs=9")]))
    assert [row[0] for row in table.rows] == [first, f"epochs=9 {first}"]


def test_studies_and_models_without_published_numbers_have_no_table() -> None:
    assert published_table([record(study="standard")]) is None
    assert published_table([foreign()]) is None
    assert published_table([foreign(study="fusion-compact")]) is None
    assert published_table([]) is None
