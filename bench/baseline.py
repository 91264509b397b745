"""The committed records, and the pages that are made from them.

``results/baseline/<study>.jsonl`` holds the records and ``<study>.probes.jsonl`` what probes measured on their
weights; ``results/baseline/tables/`` and ``plots/``, ``results/claims.md`` and the README's section between its
markers are generated from them, and a test fails when they disagree.
"""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

from bench.config import canonical
from bench.records import (
    COMPLETED,
    ProbeRecord,
    RecordError,
    RunRecord,
    latest,
    parse,
    probe_key,
    read,
    write_file,
    write_records,
)
from bench.records.reading import Run
from bench.registry import STUDIES, find_study
from bench.study import Study

if TYPE_CHECKING:
    from bench.tables.text import TextTable

Record = TypeVar("Record", bound=msgspec.Struct)

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "results" / "baseline"
README = ROOT / "README.md"
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"

QUESTIONS = (
    "tuned-field/fusion-beats-rgb",
    "tuned-field/fusion-beats-depth",
    "tuned-field/fusion-beats-lidar",
    "tuned-field/maxpool-beats-strided",
)
"""Claims that the README shows even if undecided, named before they were run; of the others, the decided ones."""


class Headline(NamedTuple):
    """A table or figure that the README shows, of one study and data set; ``words`` tell what a figure shows."""

    study: str
    dataset: str
    name: str
    words: str = ""


TABLES = (
    Headline("tuned-field", "nyu-rgbd-crops", "matrix-test_accuracy"),
    Headline("tuned-field", "nyu-rgbd-crops", "matrix-test_accuracy-embedders"),
)
FIGURES = (
    Headline(
        "fusion-compact",
        "shapes",
        "seeds",
        "Four models of a published study, each trained with 15 seeds on simulated pairs in place of the original "
        "ones; stars: the published run, on the original pairs. Not all models learn with every seed, so the "
        "order in one run per model can differ from that of all seeds",
    ),
    Headline(
        "tuned-field",
        "nyu-rgbd-crops",
        "strategies",
        "Every way to fuse, and every single modality, compared with concatenation with the same embedder: "
        "differences of test accuracy, loss and macro F1 with their 95% intervals",
    ),
)


def committed() -> list[RunRecord]:
    """All committed records as they were run, study by study in the order of STUDIES."""
    return [record for study in STUDIES for record in _read(_records_path(study), RunRecord)]


def committed_probes() -> list[ProbeRecord]:
    """What probes measured on the weights of the committed records."""
    return [probe for study in STUDIES for probe in _read(_probes_path(study), ProbeRecord)]


def as_run() -> Run:
    """The committed records for every study that asks for their cells, as a run to show.

    Raises:
        RecordError: There are none, as outside of a checkout.
    """
    records = for_every_study(committed())
    if not records:
        raise RecordError(f"{FOLDER} has no committed records; give the folder of a run, or a records file")
    return Run("the committed records", records, committed_probes(), [], None)


def read_at(revision: str) -> list[RunRecord]:
    """The committed records of a commit, for every study that asks for their cells.

    Raises:
        RecordError: git does not know the revision, or it has no records that can be read.
    """
    folder = FOLDER.relative_to(ROOT).as_posix()
    committed_files = _git("ls-tree", "--name-only", revision, f"{folder}/").decode().splitlines()
    records = [
        record
        for file in (f"{folder}/{study}.jsonl" for study in STUDIES)
        if file in committed_files
        for record in parse(_git("show", f"{revision}:./{file}"), f"{file} of {revision}", RunRecord)
    ]
    if not records:
        raise RecordError(f"{revision}: this commit has no records in {folder}; give a later one")
    return for_every_study(records)


def _git(*arguments: str) -> bytes:
    command = ["git", "-C", str(ROOT), *arguments]
    try:
        return subprocess.run(command, capture_output=True, check=True).stdout  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        reason = os.fsdecode(error.stderr).strip() if isinstance(error, subprocess.CalledProcessError) else error
        raise RecordError(
            f"git {' '.join(arguments)}: {reason}; give the folder of a run, a records file, or a commit of {ROOT}"
        ) from error


def for_every_study(records: Sequence[RunRecord]) -> list[RunRecord]:
    """The records, repeated for every study that would train the same cell under the same protocol.

    Two studies that share a protocol need not train twice. Studies come in the order of STUDIES.
    """
    shared = [
        msgspec.structs.replace(
            record,
            study=study.name,
            question=study.question,
            variant=variant,
            changed=changed,
            reference=study.reference,
        )
        for study in map(find_study, STUDIES)
        for record in records
        for variant, changed in _variants(record, study)
    ]
    return latest(shared)


def _variants(record: RunRecord, study: Study) -> list[tuple[str, str]]:
    """The variants of a study that a record serves, and what was changed: its own, or those with its protocol."""
    if record.study == study.name:
        return [(record.variant, record.changed)]
    if record.model not in study.models or record.dataset != study.dataset:
        return []
    channels, as_run = dict.fromkeys(record.channels or record.modalities), canonical(record.protocol)
    protocols = {variant: protocol.on(channels) for variant, protocol in study.protocols.items()}
    return [(variant, "") for variant, protocol in protocols.items() if canonical(protocol.to_dict()) == as_run]


def _records_path(study: str) -> Path:
    return FOLDER / f"{study}.jsonl"


def _claims_path() -> Path:
    return FOLDER.parent / "claims.md"


def _probes_path(study: str) -> Path:
    return FOLDER / f"{study}.probes.jsonl"


def add(records: Sequence[RunRecord], probes: Sequence[ProbeRecord] = ()) -> int:
    """Add completed records, each replacing an earlier one of the same cell; returns their number.

    Args:
        records: What to add.
        probes: What probes measured on their weights. Probes of weights whose record was replaced are removed.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    done = [record for record in records if record.status == COMPLETED]
    for study in dict.fromkeys(record.study for record in done):
        path = _records_path(study)
        kept = latest([*_read(path, RunRecord), *(record for record in done if record.study == study)])
        write_records(path, kept)
        weights = {record.weights_sha256 for record in kept}
        path = _probes_path(study)
        of_study = [*_read(path, ProbeRecord), *(probe for probe in probes if probe.study == study)]
        write_records(path, list({probe_key(p): p for p in of_study if p.weights_sha256 in weights}.values()))
    return len(done)


def _read(path: Path, kind: type[Record]) -> list[Record]:
    return read(path, kind) if path.is_file() else []


@dataclass(frozen=True)
class Picture:
    """A figure of some records, as a PNG that holds their hash; its pixels depend on matplotlib and fonts too."""

    name: str
    records: Sequence[RunRecord]
    words: str

    @cached_property
    def sha256(self) -> str:
        """Of the records."""
        return sha256(msgspec.json.encode(self.records)).hexdigest()

    def is_in(self, path: Path) -> bool:
        """Whether a file shows these records."""
        from PIL import Image

        try:
            with Image.open(path) as picture:
                return picture.info.get("Comment") == self.sha256
        except OSError:  # not there, or not a picture
            return False

    def draw(self) -> bytes:
        """The content of the file."""
        from bench.analysis.tuning import with_best_rates
        from bench.plots import FIGURES as DRAWN
        from bench.plots import image

        figure = DRAWN[self.name](with_best_rates(self.records))
        if figure is None:
            raise RecordError(f"the committed records of {self.records[0].study} lack what {self.name} shows")
        return image(figure, "png", {"Comment": self.sha256})


def pages() -> dict[Path, str | Picture]:
    """Every generated file with its content: the tables of all studies, the ledger, the README and its figures."""
    from bench.analysis.claim_files import published_claims
    from bench.analysis.frames import comparable
    from bench.analysis.ledger import any_for_claims, ledger
    from bench.analysis.tuning import with_best_rates
    from bench.tables.claims import page
    from bench.tables.findings import findings, in_short
    from bench.tables.tabulation import tables_by_study

    files: dict[Path, str | Picture] = {}
    records, probes = committed(), committed_probes()
    repeated = for_every_study(records)
    by_study = tables_by_study(repeated, probes)
    together: list[RunRecord | ProbeRecord] = [*repeated, *probes]
    groups = comparable(together)
    for study, tables in by_study.items():
        for table in tables:
            files[FOLDER / "tables" / f"{study}-{table.name}.md"] = table.markdown()
    claims = published_claims()
    summary: list[str] = []
    verdicts: list[str] = []
    if any_for_claims(records, claims):
        decided = ledger(records, probes, claims)
        files[_claims_path()] = page(decided, lambda study: f"{FOLDER.name}/{_records_path(study).name}")
        summary = [in_short(decided)]
        if tables_of_verdicts := findings(decided, QUESTIONS):
            verdicts = [f"### Verdicts\n\n{tables_of_verdicts}"]
    pictures = _pictures(records)
    shown = [
        *summary,
        *(
            f"{p.words}.\n\n![{p.words}]({path.relative_to(README.parent).as_posix()})\n"
            for path, p in pictures.items()
        ),
        *verdicts,
    ]
    for conditions, headlines in groupby(TABLES, lambda headline: headline[:2]):
        names = [name for name, group in groups.items() if _conditions(group) == conditions]
        wanted = [headline.name for headline in headlines]
        tables = [table for name in names for table in by_study[name] if table.name in wanted]
        if tables:
            question = with_best_rates(_of(conditions, records))[0].question
            title = f"### Study `{conditions[0]}` on {conditions[1]}"
            shown.append(f"{title}\n\n{question}\n\n{_below_each_other(tables)}")
    section = "\n".join(shown) or "*No runs are committed yet.*\n"
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    files[README] = f"{before}{BEGIN}\n{section}{END}{after}"
    return {**files, **pictures}


def _conditions(group: Sequence[RunRecord | ProbeRecord]) -> tuple[str, str]:
    return group[0].study, group[0].dataset


def _of(conditions: tuple[str, str], records: Sequence[RunRecord]) -> list[RunRecord]:
    return [r for r in records if _conditions([r]) == conditions]


def _below_each_other(tables: "Sequence[TextTable]") -> str:
    """Tables as Markdown; notes and conditions that the next table repeats are left to it."""
    shorter = [
        replace(
            table,
            notes=[note for note in table.notes if note not in following.notes],
            conditions=[line for line in table.conditions if line not in following.conditions],
        )
        for table, following in pairwise(tables)
    ]
    return "\n".join(table.markdown() for table in (*shorter, tables[-1]))


def _pictures(records: Sequence[RunRecord]) -> dict[Path, Picture]:
    """The figures that the README shows, by file."""
    return {
        FOLDER / "plots" / f"{'-'.join(headline[:3])}.png": Picture(headline.name, of_headline, headline.words)
        for headline in FIGURES
        if (of_headline := _of(headline[:2], records))
    }


def outdated() -> dict[Path, str | Picture | None]:
    """The generated files that disagree with the records, with their content; None for those not made any more."""
    files = pages()
    wrong = {
        path: content
        for path, content in files.items()
        if not (
            content.is_in(path)
            if isinstance(content, Picture)
            else path.is_file() and path.read_text("utf-8") == content
        )
    }
    made = [file for folder in ("tables", "plots") for file in sorted((FOLDER / folder).glob("*"))]
    return wrong | {path: None for path in [*made, *filter(Path.is_file, [_claims_path()])] if path not in files}


def write() -> list[Path]:
    """Write the generated files that are outdated, remove those not generated any more; returns both."""
    changed = outdated()
    for path, content in changed.items():
        if content is None:
            path.unlink()
            continue
        write_file(path, content.draw() if isinstance(content, Picture) else content)
    return list(changed)
