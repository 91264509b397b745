"""Where runs are, and what they are compared with: the names of folders."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench.records.files import holds_records
from bench.records.run import FILE_NAME as RECORDS
from bench.registry import STUDIES
from data_utils import DATASETS
from fusiongauge import slug, user_path

if TYPE_CHECKING:
    from bench.harness.options import Options


def run_folder(runs: Path, name: str, *, resume: bool) -> Path:
    """A new folder ``<time>-<name>`` for a run; one that is resumed has the latest with records, if there is any.

    Times are in UTC: those of a time zone go back once a year, and when a laptop travels.
    """
    return (latest_run(runs, name) if resume else None) or runs / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}-{name}"


def latest_run(runs: Path, name: str) -> Path | None:
    """The latest of the folders ``<time>-<name>`` with a record, or else of all of them; None if there is none."""
    pattern = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-" + re.escape(name))
    folders = [path for path in runs.glob("*") if pattern.fullmatch(path.name)]
    return max(folders, key=lambda path: (holds_records(path / RECORDS), path.name), default=None)


def joined(studies: Iterable[str]) -> str:
    """Names of studies as a part of a folder's name; no study has a plus sign in its name."""
    return "+".join(studies)


def history_folder(options: Options, root: Path, device_name: str) -> Path:
    """Where pytest-benchmark keeps the runs that a run with these options can be compared with.

    One folder per studies, data, profile, settings and device model, so that the latest run in it is comparable.
    """
    everything = len(options.studies) == len(STUDIES)
    studies = "all" if everything else joined(study.name for study in options.studies)
    data = "-".join(filter(None, (dataset_slug(options.dataset) if options.dataset else "", options.image_size)))
    published = "as-published" if options.as_published else ""
    settings = [f"{name}={text}" for name, text in options.settings.items()]
    name = slug("-".join(filter(None, (data, published, options.profile.name, *settings, device_name))))
    return root / "results" / "runs" / "history" / f"{studies}-{name}"


def dataset_slug(dataset: str) -> str:
    """A name fit for a folder: the data set's name, or the end of a path with a hash of the whole of it."""
    if dataset in DATASETS:
        return dataset
    path = user_path(dataset).resolve()
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:6]
    return slug("-".join([*path.parts[-2:], digest]))
