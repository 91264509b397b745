"""From records to the files of tables."""

from pathlib import Path

import pytest

from bench.records import RunRecord
from bench.tables.tabulation import tables_by_study, write_tables
from tests.bench.costs.samples import race, resident
from tests.bench.probes.samples import probe_record
from tests.bench.samples import MODEL, TWIN, record
from tests.bench.tables.samples import embedded, foreign


def test_each_table_is_written_in_three_formats(tmp_path: Path) -> None:
    other = record(study="unheard-of"), record(study="unheard-of", variant="raw")
    features = probe_record(
        benchmark="features", probe="spectrum", study="standard", dataset="shapes", profile="quick"
    )
    tables = write_tables([record(), record(TWIN), *other], tmp_path, [features], [race(), resident()])
    stems = {path.stem for path in tmp_path.glob("*.md")}
    assert stems >= {"fusion", "cost", "downsampling", "features", "engine", "resident-memory"}
    assert stems >= {"unheard-of-fusion", "unheard-of-variants"}
    assert len(tables) == len(stems)
    assert (
        stems == {path.stem for path in tmp_path.glob("*.tex")} == {path.stem for path in tmp_path.glob("*.csv")}
    )
    assert (tmp_path / "cost.csv").read_text(encoding="utf-8").startswith("model,seeds,parameters")


def test_tables_of_other_conditions_have_names_of_their_own() -> None:
    tables = tables_by_study([record(), record(device="cuda"), record(TWIN)])
    assert list(tables) == ["standard", "standard-shapes-quick-cuda"]
    assert [row[0] for row in tables["standard"][0].rows] == [MODEL, TWIN]


@pytest.mark.parametrize("simulated", [True, False])
def test_tables_of_probes_know_whether_their_seeds_divide_the_same_pairs(simulated: bool) -> None:
    records = [record(seed=seed, simulated=simulated, train_sha256=str(seed)) for seed in (51, 52)]
    probes = [
        probe_record(study="standard", dataset="shapes", profile="quick", level=level, seed=seed)
        for level in (0.0, 0.5)
        for seed in (51, 52)
    ]
    *_, table = tables_by_study(records, probes)["standard"]
    assert table.name == "robustness"
    assert ("Nadeau" in table.notes[-1]) is not simulated


def test_probes_alone_have_tables() -> None:
    probes = [probe_record(level=level) for level in (0.0, 0.5)]
    assert [table.name for table in tables_by_study([], probes)["robustness"]] == ["robustness"]


@pytest.mark.parametrize(
    "unknown",
    [
        foreign("mine", family="", stage="", operator="", embedder="", modalities=["sonar"]),
        embedded("none-of-ours", study="unheard-of", environment={}, protocol={}),
        record(parameters=None, peak_memory_bytes=None, epoch_seconds=[], valid_losses=[], train_seconds=None),
        record(valid_metrics={"undeclared": 1.0}, reference="none", profile="mine", dataset="mine"),
    ],
    ids=["model", "study", "incomplete", "metric"],
)
def test_any_record_has_tables(unknown: RunRecord, tmp_path: Path) -> None:
    assert write_tables([unknown], tmp_path)
    assert write_tables([record(), record(TWIN), unknown], tmp_path)
