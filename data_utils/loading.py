"""From a name or a path to a data set: registered functions make it, registered layouts read it."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_utils.audits.findings import some
from data_utils.dataset import PairedDataset
from data_utils.errors import DataError
from data_utils.layouts.listing import read_listing
from data_utils.layouts.paths import folders
from data_utils.layouts.sizes import ImageSize
from data_utils.memory import enough_memory
from data_utils.registry import DATASETS, LAYOUTS
from data_utils.simulator.levels import DEFAULT_SIZE, SimulatedDataset
from data_utils.simulator.shapes import Progress, no_progress
from data_utils.splits import subsample
from fusiongauge import Registry

DEFAULT_PAIRS = 10_000
"""How many pairs a registered data set has if no number is given."""


def load(
    name_or_path: str,
    *,
    pairs: int | None = None,
    seed: int = 0,
    angles_of: str = "",
    image_size: int | str | ImageSize | None = None,
    cache: Path | None = None,
    progress: Progress = no_progress,
) -> PairedDataset:
    """The data set of that name or at that path.

    Args:
        name_or_path: A name in ``DATASETS``, or a path that one of ``LAYOUTS`` recognizes. A file or folder
            with the name of a data set can be given as ``./name``.
        pairs: For a name, how many pairs to make (None: 10,000); for a path, about how many to keep (None: all).
        seed: Decides which pairs are made or kept. Not negative.
        angles_of: For files whose scanner's angles differ between the classes: the class whose angles are used
            for all classes.
        image_size: The size that all images are brought to, such as 64, "48x64" or "64:crop" (see
            ``layouts.sizes.ImageSize``); None for that of the files, which must be the same for all. Simulated
            data are made at that size, which must be square.
        cache: The folder where simulated pairs are kept, so that the next call reads them; None for no cache.
            The data sets of plug-ins are not kept.
        progress: Called with the number of files that are read, and of all.

    Raises:
        DataError: Nothing has that name, or the data cannot be used.
    """
    size = ImageSize.parse(str(image_size)) if image_size is not None else None
    if name_or_path in DATASETS:
        if angles_of:
            raise DataError(f"{name_or_path!r} is not read from files; leave angles_of out.")
        return _make(name_or_path, DEFAULT_PAIRS if pairs is None else pairs, seed, size, cache)
    try:
        with enough_memory(f"reading {name_or_path}"):
            dataset = _read(name_or_path, angles_of, size, progress)
    except OSError as error:
        raise DataError(
            f"{name_or_path!r} cannot be read ({error.strerror}); check the path and its permissions."
        ) from None
    return dataset if pairs is None else subsample(dataset, pairs, seed)


def modalities_of(path: str) -> tuple[str, ...]:
    """The names of the modalities at a path, without reading any image; () if the layout cannot tell them.

    Raises:
        DataError: The files cannot be listed.
    """
    name, place = _located(Path(path).expanduser())
    layout = LAYOUTS[name]() if name else None
    return tuple(layout.listing(place, "").sources) if layout and layout.listing else ()


def _make(name: str, pairs: int, seed: int, size: ImageSize | None, cache: Path | None) -> PairedDataset:
    """The registered data set; whatever its function calls it, it has its registered name."""
    make = DATASETS[name]
    if isinstance(make, SimulatedDataset):
        if size is not None and size.rows != size.columns:
            raise DataError(f"{name!r} is simulated at square sizes, not at {size}; give one number.")
        return make(pairs, seed, cache, size.rows if size is not None else DEFAULT_SIZE)
    if size is not None:
        raise DataError(f"{name!r} is made by a plug-in at a size of its own; leave the image size {size} out.")
    with _naming_the_file(DATASETS, name):
        dataset = _required(make(pairs, seed))
    return replace(dataset, info=replace(dataset.info, name=name))


def _read(name: str, angles_of: str, size: ImageSize | None, progress: Progress) -> PairedDataset:
    """The data set at a path; if the path is none but holds one in folders below, that one."""
    path = Path(name).expanduser()
    layout, place = _located(path)
    if layout:
        dataset = _read_as(layout, place, angles_of, size, progress)
        if place == path:
            return dataset
        note = f"The data set was found in the folder {place.relative_to(path)}."
        return replace(dataset, notes=(*dataset.notes, note), assumptions=(*dataset.assumptions, note))
    problem = "exists, but in no known layout" if path.exists() else "is neither a data set nor an existing path"
    descriptions = []
    for layout in dict.fromkeys([*LAYOUTS.added, *LAYOUTS]):
        with _naming_the_file(LAYOUTS, layout):
            descriptions.append(LAYOUTS[layout]().description)
    raise DataError(
        f"{name!r} {problem}; the data sets are: {', '.join(DATASETS)}; "
        f"accepted paths are: {', '.join(descriptions)}."
    )


def _located(path: Path) -> tuple[str, Path]:
    """The layout of a path, and where the data set is: there, or the only one in folders below; "" if none.

    Raises:
        DataError: There are several data sets below.
    """
    if (layout := _layout_of(path)) or not path.is_dir():
        return layout, path
    below = _below(path)
    if len(below) > 1:
        raise DataError(f"'{path}' holds several data sets; give the path of one: {some(list(map(str, below)))}.")
    return (_layout_of(below[0]), below[0]) if below else ("", path)


def _layout_of(path: Path) -> str:
    """The layout of a path; "" if it has none. Those of plug-ins are tried first, as the more specific ones."""
    for name in dict.fromkeys([*LAYOUTS.added, *LAYOUTS]):
        with _naming_the_file(LAYOUTS, name):
            if path.exists() and LAYOUTS[name]().recognizes(path):
                return name
    return ""


def _below(folder: Path, levels: int = 3) -> list[Path]:
    """The data sets in folders below, not in each other: archives are unpacked into folders of their own."""
    found = []
    for inner in folders(folder) if levels else ():
        found += [inner] if _layout_of(inner) else _below(inner, levels - 1)
    return found


def _read_as(name: str, path: Path, angles_of: str, size: ImageSize | None, progress: Progress) -> PairedDataset:
    with _naming_the_file(LAYOUTS, name):
        layout = LAYOUTS[name]()
        if layout.listing is not None:
            return read_listing(layout.listing(path, angles_of), size, progress)
        if layout.read is None:
            raise DataError(f"the layout {name!r} has neither read nor listing; give it one of them.")
        if size is not None:
            raise DataError(
                f"the layout {name!r} reads images at their own size; leave the image size {size} out."
            )
        return _required(layout.read(path, angles_of))


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
