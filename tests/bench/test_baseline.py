"""The committed pages say what the committed records say."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bench import baseline
from bench.__main__ import main
from bench.records import run as records
from bench.studies import STUDIES
from tests.bench.probes.samples import probe_record
from tests.bench.samples import record as sample_record


def test_no_committed_page_disagrees_with_the_committed_records() -> None:
    assert baseline.outdated() == []


def test_every_committed_record_belongs_to_a_row_of_its_study() -> None:
    paths = {study: baseline.FOLDER / f"{study}.jsonl" for study in STUDIES}
    probes = {study: baseline.FOLDER / f"{study}.probes.jsonl" for study in STUDIES}
    assert set(baseline.FOLDER.glob("*.jsonl")) <= {*paths.values(), *probes.values()}
    assert any(path.is_file() for path in paths.values())
    for study, path in paths.items():
        for record in records.read(path) if path.is_file() else []:
            assert record.study == study
            assert record.model in STUDIES[study].models
            assert record.environment["commit"]
            assert not record.environment["dirty"], f"{path}: made from a checkout with changes"


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without any record."""
    readme = tmp_path / "README.md"
    readme.write_text(f"# Title\n\n{baseline.BEGIN}\nold\n{baseline.END}\n\nMore.\n", encoding="utf-8")
    monkeypatch.setattr(baseline, "README", readme)
    monkeypatch.setattr(baseline, "FOLDER", tmp_path / "baseline")
    return tmp_path


def test_a_page_that_was_edited_by_hand_is_found(house: Path) -> None:
    baseline.add([sample_record("compact-late-concat-maxpool", study="fusion-compact")])
    baseline.write()
    assert baseline.outdated() == []
    table = house / "baseline" / "tables" / "fusion-compact-fusion.md"
    table.write_text(table.read_text(encoding="utf-8").replace("0", "1"), encoding="utf-8")
    assert baseline.outdated() == [table]


def test_the_command_adds_every_run_it_is_given(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline, "ROOT", house)
    runs = [house / "a.jsonl", house / "b.jsonl"]
    for seed, run in enumerate(runs, start=51):
        records.append(run, sample_record("compact-late-concat-maxpool", study="fusion-compact", seed=seed))
    first, second = map(str, runs)
    assert main(["baseline", "--add", first, "--add", second]) == 0
    assert [record.seed for record in baseline.committed()] == [51, 52]
    assert baseline.outdated() == []


def test_a_table_that_nothing_makes_any_more_is_found_and_removed(house: Path) -> None:
    baseline.add([sample_record("compact-late-concat-maxpool", study="fusion-compact")])
    baseline.write()
    stale = house / "baseline" / "tables" / "fusion-compact-old.md"
    stale.write_text("old\n", encoding="utf-8")
    assert baseline.outdated() == [stale]
    baseline.write()
    assert not stale.exists()
    assert baseline.outdated() == []


def test_the_ledger_of_claims_is_made_from_the_committed_records(house: Path) -> None:
    baseline.add([sample_record("deep-intermediate-concat-maxpool", study="downsampling-deep", profile="full")])
    baseline.add([sample_record("deep-intermediate-concat-strided", study="downsampling-deep", profile="full")])
    baseline.write()
    ledger = (house / "claims.md").read_text(encoding="utf-8")
    assert "undecided: 4 more seeds would be needed" in ledger
    assert "[downsampling-deep](baseline/downsampling-deep.jsonl)" in ledger


def test_probes_are_kept_beside_the_records_whose_weights_they_looked_at(house: Path) -> None:
    first = sample_record(study="robustness", weights_sha256="first")
    probes = [probe_record(weights_sha256="first", value=0.5), probe_record(weights_sha256="first", value=0.75)]
    baseline.add([first], [*probes, probe_record(weights_sha256="unknown", level=0.9)])
    assert [probe.value for probe in baseline.committed_probes()] == [0.75]
    assert (house / "baseline" / "robustness.probes.jsonl").is_file()
    baseline.add([replace(first, weights_sha256="second")])
    assert baseline.committed_probes() == []
    assert [record.weights_sha256 for record in baseline.committed()] == ["second"]


def test_only_what_stands_between_the_markers_is_written(house: Path) -> None:
    baseline.write()
    text = (house / "README.md").read_text(encoding="utf-8")
    assert text.startswith(f"# Title\n\n{baseline.BEGIN}\n")
    assert text.endswith(f"{baseline.END}\n\nMore.\n")
    assert "old" not in text


def test_a_record_takes_the_place_of_an_earlier_one_of_its_cell(house: Path) -> None:
    first = sample_record(study="standard", seed=51, best_valid_loss=0.5)
    baseline.add([first, replace(first, seed=52)])
    baseline.add([replace(first, best_valid_loss=0.25), replace(first, seed=53, status="failed")])
    kept = records.read(house / "baseline" / "standard.jsonl")
    assert [(record.seed, record.best_valid_loss) for record in kept] == [(51, 0.25), (52, 0.5)]


@pytest.mark.usefixtures("house")
def test_a_record_serves_every_study_that_asks_for_its_cell() -> None:
    protocol = asdict(STUDIES["input-scaling"].protocols["raw"])
    protocol["normalized"] = list(protocol["normalized"])
    cell = sample_record("compact-late-concat-maxpool", study="input-scaling", variant="raw", protocol=protocol)
    shortened = replace(cell, seed=52, protocol=protocol | {"epochs": 4})
    baseline.add([cell, shortened])
    served = [(record.study, record.variant, record.seed) for record in baseline.read()]
    assert served == [("fusion-compact", "", 51), ("input-scaling", "raw", 51), ("input-scaling", "raw", 52)]
