"""From records to every table that they allow, and to the files of these tables."""

from collections.abc import Sequence
from pathlib import Path

from bench import tables
from bench.analysis.ledger import decide_claims, ledger
from bench.records.probe import ProbeRecord
from bench.records.run import RunRecord
from bench.tables import TextTable
from bench.tables.claims import page, verdicts_table
from bench.tables.evidence import evidence_table
from bench.tables.probes import probe_tables
from bench.tables.published import published_table
from bench.tables.thresholds import threshold_table


def write_tables(found: Sequence[RunRecord], folder: Path, probes: Sequence[ProbeRecord] = ()) -> list[TextTable]:
    """Make every table the records allow, study by study, and write each as Markdown, LaTeX and CSV.

    Files are ``<table>.md``, ``.tex`` and ``.csv`` for the standard study, ``<study>-<table>`` for the others.
    Where there are records of studies that decide published claims, ``claims.md`` is the ledger of these runs.
    """
    by_study = tables_by_study(found, probes)
    for study, made in by_study.items():
        for table in made:
            write_table(table, folder, tables.file_stem(study, table.name))
    tables_of_all = [table for made in by_study.values() for table in made]
    if decide_claims(found):
        of_claims = ledger(found, probes)
        (folder / "claims.md").write_text(page(of_claims, lambda _: "../records.jsonl"), encoding="utf-8")
        tables_of_all.append(verdicts_table(of_claims))
    return tables_of_all


def write_table(table: TextTable, folder: Path, stem: str) -> None:
    """Write a table as Markdown, LaTeX and CSV; the folder is made if it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stem}.md").write_text(table.markdown(), encoding="utf-8")
    (folder / f"{stem}.tex").write_text(table.latex(), encoding="utf-8")
    table.data.to_csv(folder / f"{stem}.csv", index=False)


def tables_by_study(found: Sequence[RunRecord], probes: Sequence[ProbeRecord] = ()) -> dict[str, list[TextTable]]:
    """Every table the records allow, by study as ``tables.comparable`` parts them."""
    records_of_both: list[RunRecord | ProbeRecord] = [*found, *probes]
    return {name: _tables_of(together) for name, together in tables.comparable(records_of_both).items()}


def _tables_of(group: list[RunRecord | ProbeRecord]) -> list[TextTable]:
    found = [record for record in group if isinstance(record, RunRecord)]
    probes = [record for record in group if isinstance(record, ProbeRecord)]
    if not found:
        return probe_tables(probes)
    made = [
        tables.variants_table(found),
        tables.fusion_table(found),
        tables.cost_table(found),
        published_table(found),
        threshold_table(found),
        tables.modalities_table(found),
        tables.downsampling_table(found),
        evidence_table(found),
    ]
    return [*(table for table in made if table is not None), *probe_tables(probes)]
