"""How to run a record's cell again: one command, and what else has to be as it was."""

import shlex
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.config import Protocol
from bench.harness.cell import Cell
from bench.harness.options import OptionError, resolve
from bench.records.run import RunRecord
from bench.studies import DEFAULT_STUDY, STUDIES
from data_utils import DATASETS
from fusion_models import MODELS

BENCHMARK = "bench/test_training.py::test_training"


@dataclass(frozen=True)
class Reproduction:
    """How to run one cell again.

    Attributes:
        command: for a shell in the project's folder; "" where this version has no such cell.
        caveats: what keeps it from giving the same, a sentence each.
    """

    command: str
    caveats: tuple[str, ...]


def reproduction(record: RunRecord) -> Reproduction:
    """The command that runs the record's cell and no other.

    The test is named by its id: ``-k`` looks for words in ids, and one model's name is part of another cell's.
    """
    commit = record.environment.get("commit")
    there = f"check out commit {commit[:12]}" if commit else "its commit is not known"
    if (
        record.study not in STUDIES
        or record.variant not in STUDIES[record.study].protocols
        or record.model not in STUDIES[record.study].models
    ):
        return Reproduction("", (f"This version has no such cell; {there}.",))
    study = STUDIES[record.study]
    caveats = []
    dataset = record.dataset if record.dataset in DATASETS else f"PATH-OF-{record.dataset}"
    if record.dataset not in DATASETS:
        caveats.append(f"{dataset} is where the files of {record.dataset} lie.")
    words = [] if study.name == DEFAULT_STUDY else ["--study", study.name]
    words += ["--profile", record.profile, "--seeds", f"{record.seed},", "--device", record.device]
    words += ["--dataset", dataset] if dataset != study.dataset else []
    asked = [_protocol(record, dataset, published=published) for published in (False, True)]
    if record.protocol not in asked:
        caveats.append(f"The study's protocol has changed since; {there}.")
    elif record.protocol != asked[0]:
        words.append("--as-published")
    if record.environment.get("dirty"):
        caveats.append("The checkout had changes that no commit holds.")
    cell = Cell(study, record.variant, MODELS[record.model], record.seed)
    # A processor's results depend on the number of its threads.
    threads = [f"OMP_NUM_THREADS={record.environment['threads']}"] if record.device == "cpu" else []
    return Reproduction(
        " ".join([*threads, "pytest", shlex.quote(f"{BENCHMARK}[{cell.name}]"), shlex.join(words)]),
        tuple(caveats),
    )


def _protocol(record: RunRecord, dataset: str, *, published: bool) -> dict[str, object]:
    """What the command asks for, as records write it; empty where this version has no such profile."""
    try:
        options = resolve(
            root=Path(),
            profile=record.profile,
            study=record.study,
            dataset=dataset,
            device="cpu",  # the protocol is the same on all of them
            published=published,
        )
    except OptionError:
        return {}
    protocol: Protocol = options.run_config(STUDIES[record.study], record.variant).protocol
    return asdict(protocol) | {"normalized": list(protocol.normalized)}
