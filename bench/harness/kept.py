"""A run's folder keeps the claims that are not published ones, so that its tables can be made from it again.

They are those of ``--claims`` and ``--compare-models``, in ``claims/`` beside the records.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.records import write_file
from bench.records.reading import Run

if TYPE_CHECKING:
    from bench.analysis.claims import Claims

FOLDER = "claims"


def keep(folder: Path, declared: Mapping[Path, str]) -> None:
    """Write files of claims, by path the content of each, to a run's folder; one of the same name is replaced."""
    for path, text in declared.items():
        write_file(folder / FOLDER / f"{path.stem}.toml", text)


def kept(folder: Path | None) -> list[Path]:
    """The files of claims in a run's folder; of none, none."""
    return sorted((folder / FOLDER).glob("*.toml")) if folder else []


def claims_of(runs: Sequence[Run], files: Sequence[Path] = ()) -> Claims:
    """What runs can be evidence for: the claims that they keep, those of further files, and the published ones.

    The published ones are left out where all these files leave them out, and no run was made for one. Of files
    with one name the last counts, and further files come last.

    Raises:
        ClaimError: A file cannot be used.
    """
    from bench.analysis.claim_files import published_claims, with_published

    of_runs = [path for run in runs for path in kept(run.folder)]
    published = {claim.name for claim in published_claims().claims}
    made_for = {name for run in runs for record in run.records for name in record.claims}
    return with_published(declared([*of_runs, *files]), always=not files and bool(made_for & published))


def declared(paths: Iterable[Path]) -> dict[Path, str]:
    """The content of files of claims; of those with one name, of the last.

    Raises:
        ClaimError: One of them cannot be read.
    """
    from bench.analysis.claim_files import read_texts

    return read_texts({path.stem: path for path in paths}.values())
