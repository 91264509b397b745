"""The committed pages agree with the committed records."""

import os
from functools import cache
from pathlib import Path

import pytest
from msgspec.structs import replace

from bench import baseline
from bench.cli import main
from bench.records import RecordError, RunRecord, append, read
from bench.registry import STUDIES, find_study
from fusion_models.zoo import find_model, with_single_modalities
from tests.bench.probes.samples import probe_record
from tests.bench.samples import record as sample_record


@pytest.mark.slow  # its time grows with the committed records
def test_no_committed_page_disagrees_with_the_committed_records() -> None:
    assert not baseline.outdated()


COPIED = {"87a099fb4388cf2e9c503c56d7e46c0ec61344a3439e12a3cae39e071b8a5b0a": "732afd8"}
"""By ``code_sha256``, the commits whose files were copied over the checkout of an earlier one, on a machine that
could fetch nothing: its records name that earlier commit, with changes."""


def test_every_committed_record_is_of_a_model_of_its_study() -> None:
    paths = {study: baseline.FOLDER / f"{study}.jsonl" for study in STUDIES}
    probes = {study: baseline.FOLDER / f"{study}.probes.jsonl" for study in STUDIES}
    assert set(baseline.FOLDER.glob("*.jsonl")) <= {*paths.values(), *probes.values()}
    for study, path in paths.items():
        for record in read(path, RunRecord) if path.is_file() else []:
            assert record.study == study
            assert record.model in _models(study, tuple(record.channels or ()))
            assert record.environment["commit"]
            clean = not record.environment["dirty"] or record.code_sha256 in COPIED
            assert clean, f"{path}: made from a checkout with changes"


@cache
def _models(study: str, modalities: tuple[str, ...]) -> frozenset[str]:
    """The models of a study on data with these modalities."""
    specs = [find_model(model) for model in find_study(study).models]
    return frozenset(spec.name for spec in with_single_modalities(specs, list(modalities)))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without any record."""
    readme = tmp_path / "README.md"
    readme.write_text(f"# Title\n\n{baseline.BEGIN}\nold\n{baseline.END}\n\nMore.\n", encoding="utf-8")
    monkeypatch.setattr(baseline, "README", readme)
    monkeypatch.setattr(baseline, "FOLDER", tmp_path / "baseline")
    monkeypatch.setattr(baseline, "FIGURES", ())  # one record is not enough for a figure
    return tmp_path


def test_a_page_that_was_edited_by_hand_is_found(project: Path) -> None:
    baseline.add([sample_record("compact-late-concat-maxpool", study="fusion-compact")])
    baseline.write()
    assert not baseline.outdated()
    table = project / "baseline" / "tables" / "fusion-compact-fusion.md"
    table.write_text(table.read_text(encoding="utf-8").replace("0", "1"), encoding="utf-8")
    assert list(baseline.outdated()) == [table]


def test_the_command_adds_all_runs(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline, "ROOT", project)
    runs = [project / "a.jsonl", project / "b.jsonl"]
    for seed, run in enumerate(runs, start=51):
        append(run, sample_record("compact-late-concat-maxpool", study="fusion-compact", seed=seed))
    first, second = map(str, runs)
    assert main(["baseline", "--add", first, "--add", second]) == 0
    assert [record.seed for record in baseline.committed()] == [51, 52]
    assert not baseline.outdated()


def test_a_table_that_is_no_longer_made_is_removed(project: Path) -> None:
    baseline.add([sample_record("compact-late-concat-maxpool", study="fusion-compact")])
    baseline.write()
    stale = project / "baseline" / "tables" / "fusion-compact-old.md"
    stale.write_text("old\n", encoding="utf-8")
    assert baseline.outdated() == {stale: None}
    baseline.write()
    assert not stale.exists()
    assert not baseline.outdated()


def test_the_ledger_of_claims_is_made_from_the_committed_records(project: Path) -> None:
    baseline.add([sample_record("deep-intermediate-concat-maxpool", study="downsampling-deep", profile="full")])
    baseline.add([sample_record("deep-intermediate-concat-strided", study="downsampling-deep", profile="full")])
    baseline.write()
    ledger = (project / "claims.md").read_text(encoding="utf-8")
    assert "undecided so far: 1 seed, next look at 10" in ledger
    readme = (project / "README.md").read_text(encoding="utf-8")
    generated = readme.partition(baseline.BEGIN)[2].partition(baseline.END)[0]
    assert "undecided 3, " in generated
    assert "### Verdicts" not in generated  # none is decided, so there is no table
    assert "[downsampling-deep](baseline/downsampling-deep.jsonl)" in ledger


def test_a_figure_is_drawn_again_when_its_records_change(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline, "FIGURES", (baseline.Headline("standard", "shapes", "downsampling"),))
    models = ("compact-late-concat-maxpool", "compact-late-concat-strided")
    baseline.add([sample_record(model) for model in models])
    picture = project / "baseline" / "plots" / "standard-shapes-downsampling.png"
    assert picture in baseline.write()
    assert not baseline.outdated()
    assert "(baseline/plots/standard-shapes-downsampling.png)" in (project / "README.md").read_text("utf-8")
    baseline.add([sample_record(model, seed=52) for model in models])
    assert picture in baseline.outdated()
    baseline.write()
    picture.write_bytes(b"not a picture")
    assert list(baseline.outdated()) == [picture]


def test_an_interrupted_addition_keeps_what_was_committed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = sample_record(study="robustness")
    baseline.add([first])

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        baseline.add([replace(first, seed=52)])
    assert baseline.committed() == [first]
    assert [path.name for path in (project / "baseline").iterdir()] == ["robustness.jsonl"]


def test_probes_are_kept_beside_the_records_of_their_weights(project: Path) -> None:
    first = sample_record(study="robustness", weights_sha256="first")
    probes = [probe_record(weights_sha256="first", value=0.5), probe_record(weights_sha256="first", value=0.75)]
    baseline.add([first], [*probes, probe_record(weights_sha256="unknown", level=0.9)])
    assert [probe.value for probe in baseline.committed_probes()] == [0.75]
    assert (project / "baseline" / "robustness.probes.jsonl").is_file()
    baseline.add([replace(first, weights_sha256="second")])
    assert baseline.committed_probes() == []
    assert [record.weights_sha256 for record in baseline.committed()] == ["second"]


def test_only_what_stands_between_the_markers_is_written(project: Path) -> None:
    baseline.write()
    text = (project / "README.md").read_text(encoding="utf-8")
    assert text.startswith(f"# Title\n\n{baseline.BEGIN}\n")
    assert text.endswith(f"{baseline.END}\n\nMore.\n")
    assert "old" not in text


def test_a_record_replaces_an_earlier_one_of_its_cell(project: Path) -> None:
    first = sample_record(study="standard", seed=51, best_valid_loss=0.5)
    baseline.add([first, replace(first, seed=52)])
    baseline.add([replace(first, best_valid_loss=0.25), replace(first, seed=53, status="failed")])
    kept = read(project / "baseline" / "standard.jsonl", RunRecord)
    assert [(record.seed, record.best_valid_loss) for record in kept] == [(51, 0.25), (52, 0.5)]


@pytest.mark.usefixtures("project")
def test_a_record_serves_every_study_that_trains_its_cell() -> None:
    protocol = find_study("input-scaling").protocols["raw"].to_dict()
    cell = sample_record("compact-late-concat-maxpool", study="input-scaling", variant="raw", protocol=protocol)
    shortened = replace(cell, seed=52, protocol=protocol | {"epochs": 4})
    baseline.add([cell, shortened])
    served = [
        (record.study, record.variant, record.seed) for record in baseline.for_every_study(baseline.committed())
    ]
    assert served == [("fusion-compact", "", 51), ("input-scaling", "raw", 51), ("input-scaling", "raw", 52)]


@pytest.mark.usefixtures("project")
def test_a_record_with_changed_settings_is_of_its_study_and_of_those_that_declare_them() -> None:
    raw = find_study("input-scaling").protocols["raw"].to_dict()
    longer = sample_record(
        "compact-late-concat-maxpool",
        study="standard",
        variant="epochs=3",
        changed="epochs=3",
        protocol=find_study("standard").protocols[""].to_dict() | {"epochs": 3},
    )
    as_raw = replace(longer, variant="everything", changed="everything", protocol=raw)
    served = [(r.study, r.variant, r.changed) for r in baseline.for_every_study([longer, as_raw])]
    assert served == [
        ("standard", "epochs=3", "epochs=3"),
        ("standard", "everything", "everything"),
        ("fusion-compact", "", ""),
        ("input-scaling", "raw", ""),
    ]


@pytest.mark.usefixtures("project")
def test_a_record_of_an_earlier_version_serves_the_same_studies() -> None:
    protocol = find_study("input-scaling").protocols["raw"].to_dict()
    for later in ("keep_groups", "valid_whole_batches"):
        del protocol[later]
    cell = sample_record("compact-late-concat-maxpool", study="input-scaling", variant="raw", protocol=protocol)
    assert [record.study for record in baseline.for_every_study([cell])] == ["fusion-compact", "input-scaling"]
    del protocol["test_pairs"]  # a run without a test serves none that asks for one
    assert [record.study for record in baseline.for_every_study([cell])] == ["input-scaling"]


@pytest.mark.usefixtures("project")
def test_without_records_there_is_no_ledger(project: Path) -> None:
    baseline.write()
    assert not (project / "claims.md").exists()
    baseline.add([sample_record("deep-intermediate-concat-maxpool", study="downsampling-deep", profile="full")])
    baseline.write()
    assert (project / "claims.md").is_file()
    (project / "baseline" / "downsampling-deep.jsonl").unlink()
    baseline.write()
    assert not (project / "claims.md").exists()


def test_all_modalities_are_those_of_the_record() -> None:
    study = find_study("standard")
    protocol = study.protocols[""].on({"rgb": 4, "lidar": 4}).to_dict()
    cell = sample_record("compact-late-concat-maxpool", study="mine", protocol=protocol)
    (served,) = baseline.for_every_study([cell])
    assert served.study == "standard"
    elsewhere = replace(cell, channels={"rgb": 4, "thermal": 1})
    assert baseline.for_every_study([elsewhere]) == []


@pytest.mark.usefixtures("project")
def test_without_committed_records_there_is_nothing_to_show() -> None:
    with pytest.raises(RecordError, match="has no committed records; give the folder of a run, or a records file"):
        baseline.as_run()
    baseline.add([sample_record()])
    question = find_study("standard").question
    assert baseline.as_run().records == [replace(sample_record(), question=question)]
