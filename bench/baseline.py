"""The committed records, and the pages that are made from them.

``results/baseline/<study>.jsonl`` holds the records and ``<study>.probes.jsonl`` what was found in their weights;
``results/baseline/tables/``, ``results/claims.md`` and the README's section between its markers are generated from
them, and a test fails when they disagree.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from bench.analysis.ledger import ledger
from bench.records import probe as probe_records
from bench.records import run as records
from bench.records.probe import ProbeRecord
from bench.records.run import COMPLETED, RecordError, RunRecord
from bench.studies import STUDIES, Study
from bench.tables.claims import page
from bench.tables.tabulation import tables_by_study

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "results" / "baseline"
README = ROOT / "README.md"
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"

HEADLINES = (("input-scaling", "variants"),)
"""Studies and tables that the README shows."""


def committed() -> list[RunRecord]:
    """All committed records as they were run, study by study in the order of STUDIES."""
    paths = map(_records_path, STUDIES)
    return [record for path in paths if path.is_file() for record in records.read(path)]


def committed_probes() -> list[ProbeRecord]:
    """What was found in the weights of the committed records."""
    return [probe for study in STUDIES for probe in probe_records.read(_probes_path(study))]


def read() -> list[RunRecord]:
    """The committed records for every study that asks for their cells, study by study in the order of STUDIES.

    Two studies that share a protocol need not train twice.
    """
    return _for_every_study(committed())


def read_at(revision: str) -> list[RunRecord]:
    """All committed records, as ``read``, but as they were in a commit.

    Raises:
        RecordError: git does not know the revision, or no records were in it.
    """
    folder = FOLDER.relative_to(ROOT).as_posix()
    files = _git("ls-tree", "--name-only", revision, f"{folder}/").decode().splitlines()
    found: list[RunRecord] = []
    for study in STUDIES:
        file = f"{folder}/{study}.jsonl"
        if file in files:
            found += records.parse(_git("show", f"{revision}:./{file}"), f"{file} of {revision}")
    if not found:
        raise RecordError(f"{revision}: this commit has no records in {folder}; give a later one")
    return _for_every_study(found)


def _git(*arguments: str) -> bytes:
    command = ["git", "-C", str(ROOT), *arguments]
    try:
        return subprocess.run(command, capture_output=True, check=True).stdout  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        said = error.stderr.decode().strip() if isinstance(error, subprocess.CalledProcessError) else error
        raise RecordError(
            f"git {' '.join(arguments)}: {said}; give the folder of a run, a records file, or a commit of {ROOT}"
        ) from error


def _for_every_study(found: Sequence[RunRecord]) -> list[RunRecord]:
    cells = {
        (study.name, variant, record.model, record.dataset, record.seed): replace(
            record, study=study.name, variant=variant
        )
        for study in STUDIES.values()
        for record in found
        for variant in study.protocols
        if _serves(record, study, variant)
    }
    return list(cells.values())


def _records_path(study: str) -> Path:
    return FOLDER / f"{study}.jsonl"


def _probes_path(study: str) -> Path:
    return FOLDER / f"{study}.{probe_records.FILE_NAME}"


def _serves(record: RunRecord, study: Study, variant: str) -> bool:
    if (record.study, record.variant) == (study.name, variant):
        return True
    asked = json.loads(json.dumps(asdict(study.protocols[variant])))
    return (record.model in study.models, record.dataset, record.protocol) == (True, study.dataset, asked)


def add(found: Sequence[RunRecord], probes: Sequence[ProbeRecord] = ()) -> int:
    """Add completed records, each in place of an earlier one of the same cell; returns how many.

    Args:
        found: the records.
        probes: what was found in their weights. What is known of weights that a record was replaced with is left
            out.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    done = [record for record in found if record.status == COMPLETED]
    for study in dict.fromkeys(record.study for record in done):
        path = _records_path(study)
        kept = {_cell(record): record for record in (records.read(path) if path.is_file() else [])}
        kept |= {_cell(record): record for record in done if record.study == study}
        path.unlink(missing_ok=True)
        for record in kept.values():
            records.append(path, record)
        _add_probes(study, probes, {record.weights_sha256 for record in kept.values()})
    return len(done)


def _add_probes(study: str, found: Sequence[ProbeRecord], weights: set[str | None]) -> None:
    path = _probes_path(study)
    of_study = [*probe_records.read(path), *(probe for probe in found if probe.study == study)]
    kept = {_probed(probe): probe for probe in of_study if probe.weights_sha256 in weights}
    path.unlink(missing_ok=True)
    for probe in kept.values():
        probe_records.append(path, probe)


def _cell(record: RunRecord) -> tuple[object, ...]:
    return (record.variant, record.model, record.dataset, record.profile, record.device, record.seed)


def _probed(probe: ProbeRecord) -> tuple[object, ...]:
    cell = (probe.variant, probe.model, probe.dataset, probe.profile, probe.device, probe.seed)
    return (*cell, probe.probe, probe.level, probe.metric, probe.layer, probe.other_seed)


def pages() -> dict[Path, str]:
    """Every generated file with its text: the tables of all studies, the ledger of claims, and the README."""
    made = {}
    shown = []
    probes = committed_probes()
    for study, tables in tables_by_study(read(), probes).items():
        for table in tables:
            made[FOLDER / "tables" / f"{study}-{table.name}.md"] = table.markdown()
            if (study, table.name) in HEADLINES:
                shown.append(f"{STUDIES[study].question}\n\n{table.markdown()}")
    made[FOLDER.parent / "claims.md"] = page(
        ledger(committed(), probes), lambda study: f"{FOLDER.name}/{_records_path(study).name}"
    )
    section = "\n".join(shown) or "*No runs are committed yet.*\n"
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    made[README] = f"{before}{BEGIN}\n{section}{END}{after}"
    return made


def outdated() -> list[Path]:
    """The generated files that do not say what the records say, and those that nothing makes any more."""
    return _outdated(pages())


def write() -> list[Path]:
    """Write the generated files that are outdated, remove those that nothing makes any more; returns both."""
    made = pages()
    changed = _outdated(made)
    for path in changed:
        if path in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(made[path], encoding="utf-8")
        else:
            path.unlink()
    return changed


def _outdated(made: Mapping[Path, str]) -> list[Path]:
    wrong = [path for path, text in made.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    return wrong + [path for path in sorted((FOLDER / "tables").glob("*")) if path not in made]
