"""From records to every table that they allow, and to the files of these tables."""

from collections.abc import Sequence
from pathlib import Path

from bench.analysis.frames import comparable, file_stem
from bench.analysis.ledger import decide_claims, ledger
from bench.records import CostRecord, ProbeRecord, RunRecord
from bench.tables.claims import page, verdicts_table
from bench.tables.costs import cost_tables
from bench.tables.downsampling import downsampling_table
from bench.tables.evidence import evidence_table
from bench.tables.matrix import matrix_tables
from bench.tables.modalities import modalities_table
from bench.tables.models import cost_table, fusion_table
from bench.tables.probes import probe_tables
from bench.tables.published import published_table
from bench.tables.text import TextTable
from bench.tables.thresholds import threshold_table
from bench.tables.variants import variants_table


def all_tables(
    records: Sequence[RunRecord], probes: Sequence[ProbeRecord] = (), costs: Sequence[CostRecord] = ()
) -> dict[str, TextTable]:
    """Every table the records allow, by the stem of its files.

    A stem is ``<table>`` for the standard study and for costs, ``<study>-<table>`` for the other studies.
    """
    return {
        file_stem(study, table.name): table
        for study, tables in tables_by_study(records, probes).items()
        for table in tables
    } | {table.name: table for table in cost_tables(costs)}


def write_tables(
    records: Sequence[RunRecord],
    folder: Path,
    probes: Sequence[ProbeRecord] = (),
    costs: Sequence[CostRecord] = (),
) -> list[TextTable]:
    """Make every table the records allow, and write each as Markdown, LaTeX and CSV.

    Where there are records of studies that decide published claims, ``claims.md`` is the ledger of these runs.
    """
    by_file = all_tables(records, probes, costs)
    for stem, table in by_file.items():
        write_table(table, folder, stem)
    tables = list(by_file.values())
    if decide_claims(records):
        claims = ledger(records, probes)
        (folder / "claims.md").write_text(page(claims, lambda _: "../records.jsonl"), encoding="utf-8")
        tables.append(verdicts_table(claims))
    return tables


def write_table(table: TextTable, folder: Path, stem: str) -> None:
    """Write a table as Markdown, LaTeX and CSV; the folder is made if it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stem}.md").write_text(table.markdown(), encoding="utf-8")
    (folder / f"{stem}.tex").write_text(table.latex(), encoding="utf-8")
    table.data.to_csv(folder / f"{stem}.csv", index=False)


def tables_by_study(
    records: Sequence[RunRecord], probes: Sequence[ProbeRecord] = ()
) -> dict[str, list[TextTable]]:
    """Every table that runs and their probes allow, by study as ``comparable`` groups them."""
    together: list[RunRecord | ProbeRecord] = [*records, *probes]
    return {name: _tables_of(group) for name, group in comparable(together).items()}


def _tables_of(group: Sequence[RunRecord | ProbeRecord]) -> list[TextTable]:
    records = [record for record in group if isinstance(record, RunRecord)]
    probes = [record for record in group if isinstance(record, ProbeRecord)]
    if not records:
        return probe_tables(probes)
    tables = [
        variants_table(records),
        fusion_table(records),
        *matrix_tables(records),
        cost_table(records),
        published_table(records),
        threshold_table(records),
        modalities_table(records),
        downsampling_table(records),
        evidence_table(records),
    ]
    return [*filter(None, tables), *probe_tables(probes)]
