"""The one reader of listings: decodes the files, brings them to one size and stores them as decoded.

All files are looked at before anything is reported, so that one pass finds every problem.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch

from data_utils.cache import Cache
from data_utils.dataset import DatasetInfo, PairedDataset
from data_utils.errors import DataError, UnreadableError
from data_utils.layouts.column import Column, File
from data_utils.layouts.kept import files_key
from data_utils.layouts.listing import Listing
from data_utils.layouts.paths import differing_little
from data_utils.layouts.sizes import ImageSize
from data_utils.mapped import SMALLEST_BYTES, Workspace, mapped_of
from data_utils.memory import Announce, Need, no_announcement, release_freed_memory, usable_cores
from data_utils.naming import require_name
from data_utils.simulator.shapes import Progress, no_progress

_FILES_UNTIL_RELEASE = 512
_OTHER_ASPECT = 1.05  # times; rounded sizes differ by less


def read_listing(
    listing: Listing,
    size: ImageSize | None = None,
    progress: Progress = no_progress,
    cache: Cache | None = None,
    announce: Announce = no_announcement,
    kept_as: str = "",
) -> PairedDataset:
    """Read all files of a listing, as decoded.

    Args:
        listing: With at least one pair.
        size: The size of all images; None if the files have one size.
        progress: Called with the number of files that are read, and of all.
        cache: Where large data sets are kept decoded and mapped from, so that they need not fit into memory and
            the next call reads them at once; None to read them into memory.
        announce: Called with what the data need before they are decoded; not if no first pair can be read.
        kept_as: The name in the cache of data that are kept however small they are and are not there yet; "" to
            name them after their files.

    Returns:
        Images as RGBA, depth and ranges with the sensor's geometry as points (XYZA), other values in their own
        channels.

    Raises:
        DataError: A modality has a name that cannot be used.
        UnreadableError: Files cannot be used, or have different sizes without ``size``.
    """
    for modality in listing.sources:
        require_name(modality, f"Data set {listing.name!r}")
    smallest = 0 if kept_as else SMALLEST_BYTES
    name = kept_as or (_name_in_cache(listing, size) if cache is not None else "")
    kept = mapped_of(cache, name) if cache is not None and name else None
    workspace = Workspace(cache if name else None, name, "decoded files", smallest)
    of_modalities = [kept.stored_bytes] if kept is not None else _expected_bytes(listing, size)
    if of_modalities:
        need = Need(listing.name, len(listing.labels), sum(of_modalities))
        is_mapped = kept is not None or any(map(workspace.maps, of_modalities))
        announce(need if cache is None or not is_mapped else need.mapped_from(cache))
    if kept is not None:
        return kept
    try:
        dataset = _read(listing, size, progress, workspace)
        kept = workspace.keep(dataset)
    finally:
        workspace.discard()
    return kept.noting(*workspace.notes)


def _expected_bytes(listing: Listing, size: ImageSize | None) -> list[int]:
    """What each modality takes if all files are like the first; () if that cannot be read."""
    expected = []
    for source in listing.sources.values():
        try:
            values = source.plane(0).values
        except DataError:  # reading all reports it
            return []
        rows, columns = values.shape[:2] if size is None else (size.rows, size.columns)
        expected.append(len(source.files) * rows * columns * values.shape[2] * values.itemsize)
    return expected


def _name_in_cache(listing: Listing, size: ImageSize | None) -> str:
    """The name of the decoded files in a cache; "" if they are no files or have problems."""
    sources = listing.sources.values()
    if listing.problems or any(source.read is not None for source in sources):
        return ""
    declared = [
        [getattr(listing, name) for name in ("name", "classes", "labels", "groups", "names", "notes", "assigned")],
        str(size),
    ]
    for source in sources:
        arrays = [source.scales, source.intrinsics, *(source.angles or ())]
        declared.append([source.declaration, *(None if array is None else array.tolist() for array in arrays)])
    try:
        return files_key((file for source in sources for file in source.files), declared)
    except OSError:
        return ""  # reading reports it


def _read(listing: Listing, size: ImageSize | None, progress: Progress, workspace: Workspace) -> PairedDataset:
    problems = list(listing.problems)
    total, done = len(listing.labels) * len(listing.sources), 0
    columns: dict[str, Column] = {}
    target = size
    for modality, source in listing.sources.items():
        column = Column(modality, source, target, workspace)
        for pair, result in enumerate(_in_parallel(column.read, len(source.files))):
            column.keep(pair, result)
            done += 1
            progress(done, total)
            if done % _FILES_UNTIL_RELEASE == 0:
                release_freed_memory()
        problems += column.problems()
        columns[modality] = column
        if target is None and column.size is not None:
            target = column.size
    if size is None and (different := _different_sizes(columns)):
        problems.append(different)
    cameras, aspects = _aspects(listing, columns)
    notes = [
        *listing.notes,
        *(note for column in columns.values() for note in column.doubts()),
        *_notes_on_turned(listing, cameras, aspects),
    ]
    if similar := differing_little(listing.classes):
        notes.append(
            f"The classes {', '.join(map(repr, similar))} differ only in the case or the encoding of letters, or "
            "in spaces; if they are one class, give it one name."
        )
    assumptions = [
        *listing.assumptions,
        *(note for column in columns.values() for note in column.survey.assumptions()),
        *_notes_on_aspects(columns, cameras, aspects),
    ]
    usable = np.logical_and.reduce([column.good & column.has_angles for column in columns.values()])
    if not problems:
        return _dataset(listing, columns, notes, assumptions)
    partial = None
    if usable.any():
        try:
            partial = _dataset(listing, columns, notes, assumptions, np.flatnonzero(usable))
        except DataError as error:
            problems.append(f"Without the pairs that cannot be used: {error}")
    raise UnreadableError(problems, partial)


def _dataset(
    listing: Listing,
    columns: Mapping[str, Column],
    notes: Sequence[str],
    assumptions: Sequence[str],
    pairs: npt.NDArray[np.intp] | None = None,
) -> PairedDataset:
    """The data set of these pairs, of all if None."""
    modalities = {name: column.modality() for name, column in columns.items()}
    decoders = {name: decoder for name, column in columns.items() if (decoder := column.decoder())}
    size = next(iter(columns.values())).size
    if size is None:
        raise DataError(f"No file of {listing.name} can be read; correct the files.")
    chosen = range(len(listing.labels)) if pairs is None else pairs.tolist()
    inputs = {
        name: torch.from_numpy(column.stored if pairs is None else column.stored[pairs])
        for name, column in columns.items()
    }
    if pairs is not None:
        decoders = {name: decoder.take(torch.from_numpy(pairs)) for name, decoder in decoders.items()}
    return PairedDataset(
        info=DatasetInfo(
            listing.name,
            listing.classes,
            {name: modality.channels for name, modality in modalities.items()},
            (size.rows, size.columns),
            modalities,
        ),
        inputs=inputs,
        labels=torch.tensor([listing.labels[pair] for pair in chosen]),
        groups=torch.tensor([listing.groups[pair] for pair in chosen]),
        names=tuple(listing.names[pair] for pair in chosen),
        notes=tuple(dict.fromkeys((*notes, *assumptions))),
        decoders=decoders,
        assumptions=tuple(assumptions),
        assigned=tuple(listing.assigned[pair] for pair in chosen) if listing.assigned else (),
    )


def _different_sizes(modalities: Mapping[str, Column]) -> str:
    """The problem of files of different sizes, with the option that is its remedy; "" if they have one."""
    sizes = {size: file for column in modalities.values() for size, file in column.sizes.items()}
    if len(sizes) < 2:
        return ""
    smallest, largest = min(sizes), max(sizes)
    own = [f"{size[0]} x {size[1]} pixels ({sizes[size]})" for size in (smallest, largest)]
    rows, columns = (8 * math.ceil(side / 8) for side in smallest)  # most models need multiples of 8
    option = ImageSize(rows, columns)
    several = [name for name, column in modalities.items() if len(column.sizes) > 1] or list(modalities)
    return (
        f"The {' and '.join(several)} files have different sizes, from {own[0]} to {own[1]}; bring all images to "
        f"one size with --image-size {option}, in Python with "
        f'load(..., image_size="{option}").'
    )


def _aspects(listing: Listing, columns: Mapping[str, Column]) -> tuple[list[str], npt.NDArray[np.float64]]:
    """The modalities of cameras (M), and the aspect ratios of their files (M, N).

    The rows of a range image can be azimuths, so they tell nothing.
    """
    cameras = [name for name, source in listing.sources.items() if source.declaration.kind != "range"]
    return cameras, np.stack([columns[name].aspects for name in cameras] or [np.ones(len(listing.labels))])


def _turned(aspects: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which pairs have a portrait and a landscape file (N,)."""
    return np.logical_and((aspects < 1).any(axis=0), (aspects > 1).any(axis=0))


def _notes_on_turned(listing: Listing, cameras: Sequence[str], aspects: npt.NDArray[np.float64]) -> list[str]:
    """A note on pairs of a portrait and a landscape file, which one size would lay over each other."""
    across = np.flatnonzero(_turned(aspects))
    if not len(across):
        return []
    files = [str(listing.sources[name].files[across[0]]) for name in cameras]
    return [
        f"{len(across)} pairs have files in portrait and in landscape format ({' and '.join(files)}), as if an "
        "EXIF orientation turned the image alone; turn the other files too, or remove the orientation."
    ]


def _notes_on_aspects(
    columns: Mapping[str, Column], cameras: Sequence[str], aspects: npt.NDArray[np.float64]
) -> list[str]:
    """A note on pairs whose files have other aspect ratios, as those of two cameras may."""
    smallest, largest = np.fmin.reduce(aspects), np.fmax.reduce(aspects)
    apart = np.flatnonzero((largest > smallest * _OTHER_ASPECT) & ~_turned(aspects))
    if not len(apart):
        return []
    sizes = [f"{name} of {' x '.join(map(str, columns[name].shapes[apart[0]]))} pixels" for name in cameras]
    return [
        f"{len(apart)} pairs have files of different aspect ratios ({' and '.join(sizes)}), so their pixels may "
        "not correspond; if they should, cut the files to one field of view."
    ]


def _in_parallel(read: Callable[[int], File | DataError], count: int) -> Iterator[File | DataError]:
    """The results for 0, 1, ..., in this order, read by all cores; few are in memory at a time."""
    workers = min(16, usable_cores())
    waiting: deque[Future[File | DataError]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for pair in range(count):
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
            waiting.append(pool.submit(read, pair))
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)  # when interrupted, read no further file
