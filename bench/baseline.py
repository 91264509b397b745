"""The committed records, and the pages that are made from them.

``results/baseline/<study>.jsonl`` holds the records; ``results/baseline/tables/`` and the README's section between
its markers are generated from them, and a test fails when they disagree.
"""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from bench import records
from bench.records import COMPLETED, RecordError, RunRecord
from bench.session import tables_by_study
from bench.studies import STUDIES, Study

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "results" / "baseline"
README = ROOT / "README.md"
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"

HEADLINES = (("input-scaling", "variants"), ("fusion-compact", "published"), ("downsampling-compact", "published"))
"""Studies and tables that the README shows."""


def read() -> list[RunRecord]:
    """All committed records, study by study in the order of STUDIES.

    A record serves every study that asks for its cell: two studies that share a protocol need not train twice.
    """
    paths = (FOLDER / f"{study}.jsonl" for study in STUDIES)
    return _for_every_study([record for path in paths if path.is_file() for record in records.read(path)])


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


def _serves(record: RunRecord, study: Study, variant: str) -> bool:
    if (record.study, record.variant) == (study.name, variant):
        return True
    asked = json.loads(json.dumps(asdict(study.protocols[variant])))
    return (record.model in study.models, record.dataset, record.protocol) == (True, study.dataset, asked)


def add(found: Sequence[RunRecord]) -> int:
    """Add completed records, each in place of an earlier one of the same cell; returns how many."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    done = [record for record in found if record.status == COMPLETED]
    for study in dict.fromkeys(record.study for record in done):
        path = FOLDER / f"{study}.jsonl"
        kept = {_cell(record): record for record in (records.read(path) if path.is_file() else [])}
        kept |= {_cell(record): record for record in done if record.study == study}
        path.unlink(missing_ok=True)
        for record in kept.values():
            records.append(path, record)
    return len(done)


def _cell(record: RunRecord) -> tuple[object, ...]:
    return (record.variant, record.model, record.dataset, record.profile, record.device, record.seed)


def pages(found: Sequence[RunRecord]) -> dict[Path, str]:
    """Every generated file with its text: the tables of all studies, and the README with its section."""
    made = {}
    shown = []
    for study, tables in tables_by_study(found).items():
        for table in tables:
            made[FOLDER / "tables" / f"{study}-{table.name}.md"] = table.markdown()
            if (study, table.name) in HEADLINES:
                shown.append(f"{STUDIES[study].question}\n\n{table.markdown()}")
    section = "\n".join(shown) or "*No runs are committed yet.*\n"
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    made[README] = f"{before}{BEGIN}\n{section}{END}{after}"
    return made


def outdated(found: Sequence[RunRecord]) -> list[Path]:
    """The generated files that do not say what the records say."""
    return [
        path
        for path, text in pages(found).items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]


def write(found: Sequence[RunRecord]) -> None:
    """Write every generated file."""
    for path, text in pages(found).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
