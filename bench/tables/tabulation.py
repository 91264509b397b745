"""From records to every table that they allow, and to the files of these tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.analysis.claim_files import published_claims
from bench.analysis.claims import Claims
from bench.analysis.frames import comparable, file_stem
from bench.analysis.ledger import any_for_claims, ledger
from bench.analysis.resampling import shared_pairs
from bench.analysis.tuning import with_best_rates
from bench.records import CostRecord, ProbeRecord, RunRecord, conditions_of, write_file
from bench.tables.across import across_table
from bench.tables.claims import page, verdicts_table
from bench.tables.costs import cost_tables
from bench.tables.downsampling import downsampling_table
from bench.tables.evidence import evidence_table
from bench.tables.matrix import matrix_tables
from bench.tables.modalities import modalities_table
from bench.tables.models import cost_table, fusion_table
from bench.tables.predictions import classes_table, predictions_table
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
    claims: Claims | None = None,
) -> list[TextTable]:
    """Make every table the records allow, and write each as Markdown, LaTeX and CSV.

    Where there are records of studies that are run for claims (by default the published ones), ``claims.md`` is
    the ledger of these runs.
    """
    claims = published_claims() if claims is None else claims
    by_file = all_tables(records, probes, costs)
    for stem, table in by_file.items():
        write_table(table, folder, stem)
    tables = list(by_file.values())
    decided = ledger(records, probes, claims) if any_for_claims(records, claims) else None
    if decided and decided.conditions:  # else no claim was run
        write_file(folder / "claims.md", page(decided, lambda _: "../records.jsonl"))
        tables.append(verdicts_table(decided))
    return tables


def write_table(table: TextTable, folder: Path, stem: str) -> None:
    """Write a table as Markdown, LaTeX and CSV; the folder is made if it does not exist."""
    write_file(folder / f"{stem}.md", table.markdown())
    write_file(folder / f"{stem}.tex", table.latex())
    write_file(folder / f"{stem}.csv", table.data.to_csv(index=False))


def tables_by_study(
    records: Sequence[RunRecord], probes: Sequence[ProbeRecord] = ()
) -> dict[str, list[TextTable]]:
    """Every table that runs and their probes allow, by study as ``comparable`` groups them."""
    together: list[RunRecord | ProbeRecord] = [*records, *probes]
    groups = comparable(together)
    tables = {name: _tables_of(group) for name, group in groups.items()}
    for name, by_dataset in _by_dataset(groups).items():
        study = next(iter(by_dataset.values()))[0].study
        tables[name] += filter(None, [across_table(study, by_dataset)])
    return tables


def _by_dataset(
    groups: Mapping[str, Sequence[RunRecord | ProbeRecord]],
) -> dict[str, dict[str, list[RunRecord]]]:
    """Records of groups that differ in the data set alone, by the name of the first group and by data set."""
    firsts: dict[tuple[str, ...], str] = {}
    found: dict[str, dict[str, list[RunRecord]]] = {}
    for name, group in groups.items():
        runs = [record for record in group if isinstance(record, RunRecord)]
        if runs:
            runs = with_best_rates(runs)
            conditions = conditions_of(runs[0])
            first = firsts.setdefault((runs[0].study, conditions.profile, conditions.device), name)
            found.setdefault(first, {})[conditions.dataset] = runs
    return {name: by_dataset for name, by_dataset in found.items() if len(by_dataset) > 1}


def _tables_of(group: Sequence[RunRecord | ProbeRecord]) -> list[TextTable]:
    records = [record for record in group if isinstance(record, RunRecord)]
    probes = [record for record in group if isinstance(record, ProbeRecord)]
    if not records:
        return probe_tables(probes)
    variants, ratio = variants_table(records), shared_pairs(records)
    records = with_best_rates(records)
    tables = [
        variants,
        fusion_table(records),
        *matrix_tables(records),
        predictions_table(records),
        classes_table(records),
        cost_table(records),
        published_table(records),
        threshold_table(records),
        modalities_table(records),
        downsampling_table(records),
        evidence_table(records),
    ]
    return [*filter(None, tables), *probe_tables(probes, ratio)]
