"""From a name or a path to a data set: registered functions make it, registered layouts read it."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_utils.dataset import PairedDataset
from data_utils.errors import DataError
from data_utils.registry import DATASETS, LAYOUTS
from data_utils.simulator.levels import SimulatedDataset
from data_utils.splits import subsample
from fusiongauge import Registry

DEFAULT_PAIRS = 10_000
"""How many pairs a registered data set has if no number is given."""


def load(
    name_or_path: str, *, pairs: int | None = None, seed: int = 0, angles_of: str = "", cache: Path | None = None
) -> PairedDataset:
    """The data set of that name or at that path.

    Args:
        name_or_path: A name in ``DATASETS``, or a path that one of ``LAYOUTS`` recognizes. A file or folder
            with the name of a data set can be given as ``./name``.
        pairs: For a name, how many pairs to make (None: 10,000); for a path, about how many to keep (None: all).
        seed: Decides which pairs are made or kept. Not negative.
        angles_of: For files whose scanner's angles differ between the classes: the class whose angles are used
            for all classes.
        cache: The folder where simulated pairs are kept, so that the next call reads them; None for no cache.
            The data sets of plug-ins are not kept.

    Raises:
        DataError: Nothing has that name, or the data cannot be used.
    """
    if name_or_path in DATASETS:
        if angles_of:
            raise DataError(f"{name_or_path!r} is not read from files; leave angles_of out.")
        return _make(name_or_path, DEFAULT_PAIRS if pairs is None else pairs, seed, cache)
    try:
        dataset = _read(name_or_path, angles_of)
    except OSError as error:
        raise DataError(
            f"{name_or_path!r} cannot be read ({error.strerror}); check the path and its permissions."
        ) from None
    return dataset if pairs is None else subsample(dataset, pairs, seed)


def _make(name: str, pairs: int, seed: int, cache: Path | None) -> PairedDataset:
    """The registered data set; whatever its function calls it, it has its registered name."""
    make = DATASETS[name]
    if isinstance(make, SimulatedDataset):
        return make(pairs, seed, cache)
    with _naming_the_file(DATASETS, name):
        dataset = _required(make(pairs, seed))
    return replace(dataset, info=replace(dataset.info, name=name))


def _read(name: str, angles_of: str) -> PairedDataset:
    """The data set at a path. The layouts of plug-ins are tried first, as they are the more specific ones."""
    path = Path(name).expanduser()
    descriptions = []
    for layout_name in dict.fromkeys([*LAYOUTS.added, *LAYOUTS]):
        with _naming_the_file(LAYOUTS, layout_name):
            layout = LAYOUTS[layout_name]()
            if path.exists() and layout.recognizes(path):
                return _required(layout.read(path, angles_of))
            descriptions.append(layout.description)
    problem = "exists, but in no known layout" if path.exists() else "is neither a data set nor an existing path"
    raise DataError(
        f"{name!r} {problem}; the data sets are: {', '.join(DATASETS)}; "
        f"accepted paths are: {', '.join(descriptions)}."
    )


def _required(dataset: object) -> PairedDataset:
    if not isinstance(dataset, PairedDataset):
        raise DataError(f"it returns {type(dataset).__name__}; return a PairedDataset.")
    return dataset


@contextmanager
def _naming_the_file(registry: Registry[Any], name: str) -> Iterator[None]:
    """Whatever a plug-in raises becomes a DataError that names its file; other errors propagate unchanged."""
    try:
        yield
    except Exception as error:
        if name not in registry.added:
            raise
        file, message = registry.file(name), " ".join(str(error).split())
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
        line = f", line {lines[-1]}," if lines else ""
        cause = "" if isinstance(error, DataError) else f"{type(error).__name__}: "
        raise DataError(
            f"The {registry.kind} {name!r} of {file}{line} cannot be used: {cause}{message.rstrip('.')}."
        ) from error
