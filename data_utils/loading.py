"""From a name or a path to data: registered functions make them, registered layouts read them."""

import hashlib
import inspect
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch

from data_utils.cache import Cache
from data_utils.dataset import DatasetInfo, PairedDataset, part_of
from data_utils.errors import DataError
from data_utils.layouts.declared import FILE_NAME, DeclaredDataset, declared_in
from data_utils.layouts.kept import files_key
from data_utils.layouts.listing import Listing
from data_utils.layouts.media import is_media
from data_utils.layouts.paths import dvc_pointer, entries, file_named, folders, is_missing, missing, missing_in
from data_utils.layouts.reading import read_listing
from data_utils.layouts.sizes import ImageSize
from data_utils.mapped import mapped_of
from data_utils.memory import Announce, Need, enough_memory, no_announcement
from data_utils.registry import DATASETS, LAYOUTS, Layout, MakeDataset, declared_modalities
from data_utils.simulator.levels import DEFAULT_SIZE, SimulatedDataset
from data_utils.simulator.shapes import Progress, no_progress
from data_utils.splits import Shares, split, subsample
from data_utils.worlds import Part, World, split_world
from fusiongauge import Registry, some, tree_sha256, user_path

DEFAULT_PAIRS = 10_000
"""How many pairs a registered data set has if no number is given."""

DEFAULT_TEST_PAIRS = 4_000
"""How many of its pairs test if no number is given."""

_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")


def load(
    name_or_path: str,
    *,
    pairs: int | None = None,
    seed: int = 0,
    angles_of: str = "",
    image_size: int | str | ImageSize | None = None,
    cache: Cache | str | Path | None = None,
    progress: Progress = no_progress,
    announce: Announce = no_announcement,
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
        cache: Where simulated pairs and large files, decoded, are kept, or the folder, so that the next call reads
            them; None for no cache. The data sets of plug-ins are not kept.
        progress: Called with the number of files that are read, or of pairs that are simulated, and of all.
        announce: Called with what the data need, before they are read or made.

    Raises:
        DataError: Nothing has that name, or the data cannot be used.
    """
    source = open_source(
        name_or_path,
        angles_of=angles_of,
        image_size=image_size,
        cache=cache,
        progress=progress,
        announce=announce,
    )
    if isinstance(source, DrawnPairs):
        return source.pairs(DEFAULT_PAIRS if pairs is None else pairs, seed)
    return source if pairs is None else subsample(source, pairs, seed)


def open_source(
    name_or_path: str,
    *,
    angles_of: str = "",
    image_size: int | str | ImageSize | None = None,
    cache: Cache | str | Path | None = None,
    progress: Progress = no_progress,
    announce: Announce = no_announcement,
) -> "DrawnPairs | PairedDataset":
    """Where worlds are drawn from: the data set of that name or at that path; see ``load`` for the arguments.

    Files are read now; pairs that are made for a seed are made when its world is drawn.

    Raises:
        DataError: Nothing has that name, or the files cannot be used.
    """
    size = ImageSize.parse(str(image_size)) if image_size is not None else None
    cache = Cache(Path(cache)) if isinstance(cache, (str, Path)) else cache
    if name_or_path in DATASETS:
        if angles_of:
            raise DataError(f"{name_or_path!r} is not read from files; leave angles_of out.")
        return replace(_drawn(name_or_path, size, cache), progress=progress, announce=announce)
    try:
        with enough_memory(f"reading {name_or_path}"):
            return _read(_Reading(name_or_path, angles_of, size, progress, cache, announce))
    except OSError as error:
        raise DataError(
            f"{str(error.filename or name_or_path)!r} cannot be read ({error.strerror}); check the path and its "
            "permissions."
        ) from None


def modalities_of(path: str) -> tuple[str, ...]:
    """The names of the modalities at a path, without reading any image; () if the layout cannot tell them.

    Raises:
        DataError: The files cannot be listed.
    """
    name, place = _located(user_path(path))
    layout = LAYOUTS[name]() if name else None
    if layout is None or layout.listing is None:
        return ()
    return layout.modalities(place) if layout.modalities else tuple(layout.listing(place, "").sources)


@dataclass(frozen=True)
class DrawnPairs:
    """A source whose pairs are made for each seed: another seed gives other pairs, and the test pairs are extra.

    A function whose pairs exist already does not keep to that. It is found out where test pairs would be training
    pairs too, or where its pairs come with a split; its pairs are then split like those of files.

    Attributes:
        name: As registered.
        make: The registered function.
        cache: Where simulated pairs are kept.
        image_size: Rows and columns of simulated pairs.
        progress: Called with the number of pairs that are simulated, and of all.
        announce: Called with what the pairs of a seed need, before they are simulated.
    """

    name: str
    make: MakeDataset
    cache: Cache | None = None
    image_size: int = DEFAULT_SIZE
    progress: Progress = field(default=no_progress, compare=False, repr=False)
    announce: Announce = field(default=no_announcement, compare=False, repr=False)
    _infos: list[DatasetInfo] = field(default_factory=list, compare=False, repr=False)

    def __getstate__(self) -> dict[str, object]:
        """Sent to another process, it reports nothing: what it reports to belongs to this one."""
        return self.__dict__ | {"progress": no_progress, "announce": no_announcement}

    @property
    def simulated(self) -> bool:
        """Whether the pairs depend on nothing but the settings, the code and the seed."""
        return isinstance(self.make, SimulatedDataset)

    @property
    def notes(self) -> tuple[str, ...]:
        """None; those on the pairs of a seed are in its world."""
        return ()

    @property
    def info(self) -> DatasetInfo:
        """What models are built from."""
        if isinstance(self.make, SimulatedDataset):
            return self.make.info(self.image_size)
        if not self._infos:
            self.pairs(DEFAULT_PAIRS, 0)
        return self._infos[0]

    @cached_property
    def sha256(self) -> str:
        """Hash of the level's settings and the simulator, or of the name and the file of a plug-in's function."""
        if isinstance(self.make, SimulatedDataset):
            return self.make.sha256(self.image_size)
        file = Path(DATASETS.file(self.name))
        code = tree_sha256(file) if file.is_file() else ""
        return hashlib.sha256(f"{self.name}/{code}".encode()).hexdigest()

    def pairs(self, pairs: int, seed: int, *, test: bool = False) -> PairedDataset:
        """That many pairs of a seed, for testing or not; whatever the function calls them, the name is ours.

        Raises:
            DataError: The function raises, returns something else, or pairs of another kind than before.
        """
        if isinstance(self.make, SimulatedDataset):
            return self.make.draw(pairs, seed, self.cache, self.image_size, test=test, progress=self.progress)
        with _naming_the_file(DATASETS, self.name):
            dataset = _required(self.make(pairs, seed))
            dataset = replace(dataset, info=replace(dataset.info, name=self.name))
            declared = declared_modalities(self.name)
            if declared and declared != tuple(dataset.info.channels):
                raise DataError(
                    f"it returns the modalities {', '.join(dataset.info.channels)}, but register_dataset declares "
                    f"{', '.join(declared)}; make the two lists equal."
                )
            if not self._infos:
                self._infos.append(dataset.info)
            if dataset.info != self._infos[0]:
                raise DataError(
                    f"it returns {dataset.info} for {pairs} pairs and seed {seed}, and returned {self._infos[0]} "
                    "before; return the same classes, channels and image size for every seed."
                )
        return dataset

    def world(self, shares: Shares, seed: int) -> World:
        """The world of a seed; see ``Source.world``."""
        wanted = DEFAULT_PAIRS if shares.pairs is None else shares.pairs
        tested = DEFAULT_TEST_PAIRS if shares.test_pairs is None else shares.test_pairs
        self._announce(wanted, tested)
        dataset = self.pairs(wanted, _seed_of_draw(seed, 0))
        if dataset.assigned:
            return split_world(dataset, shares, seed)
        if not tested:
            # Without test pairs it is unknown whether a plug-in's function returns the same pairs for every seed.
            return replace(split_world(dataset, replace(shares, test=0.0), seed), drawn=self.simulated)
        test = self.pairs(tested, _seed_of_draw(seed, 1), test=True)
        if not self.simulated and {*dataset.digests} & {*test.digests}:
            dataset = self.pairs(wanted + tested, _seed_of_draw(seed, 0))
            note = f"{self.name} returns some pairs for several seeds, so its test pairs are some of its pairs."
            world = split_world(dataset, shares, seed)
            return replace(world, notes=(*world.notes, note))
        parts = split(dataset, replace(shares, test=0.0), seed)
        return World(
            Part(dataset, parts.train),
            Part(dataset, parts.valid),
            Part(test, torch.arange(len(test))),
            notes=tuple(dict.fromkeys((*dataset.notes, *test.notes))),
            drawn=True,
        )

    def _announce(self, pairs: int, test_pairs: int) -> None:
        """Announce what simulated pairs need; what a plug-in's function needs is not known."""
        if isinstance(self.make, SimulatedDataset):
            self.announce(self.make.need(pairs, test_pairs, self.cache, self.image_size))


def _seed_of_draw(seed: int, draw: int) -> int:
    """The seed that a registered function gets for one of the two draws of a world, below 2**32.

    Different for every seed below 2**31 and draw (the factor is odd), and far from those of the neighboring seeds,
    as functions may count up from theirs.
    """
    return (2 * seed + draw) * 2_654_435_761 % 2**32


def _drawn(name: str, size: ImageSize | None, cache: Cache | None) -> DrawnPairs:
    make = DATASETS[name]
    if size is None:
        return _drawn_by(name, make, cache, DEFAULT_SIZE)
    if not isinstance(make, SimulatedDataset):
        raise DataError(f"{name!r} is made by a plug-in at a size of its own; leave the image size {size} out.")
    if size.rows != size.columns:
        raise DataError(f"{name!r} is simulated at square sizes, not at {size}; give one number.")
    return _drawn_by(name, make, cache, size.rows)


@lru_cache(maxsize=64)
def _drawn_by(name: str, make: MakeDataset, cache: Cache | None, image_size: int) -> DrawnPairs:
    """One object, so that what a function returned once is known where its data set is opened again."""
    return DrawnPairs(name, make, cache, image_size)


class _Reading(NamedTuple):
    """What ``open_source`` was called with, for files."""

    path: str
    angles_of: str
    size: ImageSize | None
    progress: Progress
    cache: Cache | None
    announce: Announce


def _read(reading: _Reading) -> PairedDataset:
    """The data set at a path; if the path is none but holds one in folders below, that one."""
    name, path = reading.path, user_path(reading.path)
    layout, place = _located(path)
    if layout:
        dataset = _read_as(layout, place, reading)
        return (
            dataset
            if place == path
            else dataset.noting(f"The data set was found in the folder {place.relative_to(path)}.")
        )
    _refuse_what_is_not_here(name, path)
    if path.is_file():
        raise DataError(_remedy_of_file(path))
    hint = _hint(path) if path.is_dir() else ""
    problem = (
        f"exists, but in no known layout{hint}" if path.exists() else "is neither a data set nor an existing path"
    )
    descriptions = []
    for layout in dict.fromkeys([*LAYOUTS.added, *LAYOUTS]):
        with _naming_the_file(LAYOUTS, layout):
            descriptions.append(LAYOUTS[layout]().description)
    raise DataError(
        f"{name!r} {problem}; the data sets are: {', '.join(DATASETS)}; "
        f"accepted paths are: {', '.join(descriptions)}."
    )


def _refuse_what_is_not_here(name: str, path: Path) -> None:
    """Refuse archives, links that lead nowhere and pointers of dvc in place of data."""
    if is_missing(path):
        raise DataError(f"{missing(path)}; mount or fetch it, or give the path of other data.")
    if packed := [file.name for file in (entries(path) if path.is_dir() else [path]) if _is_archive(file)]:
        raise DataError(
            f"{name!r} is in no known layout, but packed ({some(packed)}); unpack it and give the folder of its "
            "content."
        )
    pointers = [str(dvc_pointer(lost).relative_to(path)) for lost in _lost(path) if not lost.is_symlink()]
    if pointers:
        raise DataError(
            f"{name!r} is in no known layout, but holds pointers of dvc ({some(pointers)}); fetch the data with "
            "dvc pull."
        )


def _lost(path: Path) -> list[Path]:
    """What is missing in a folder and in the folders in it."""
    return [lost for folder in (path, *folders(path)) for lost in missing_in(folder)] if path.is_dir() else []


def _hint(path: Path) -> str:
    """What may be wrong with a folder in no known layout."""
    from data_utils.layouts.tables import unread_tables

    if lost := _lost(path):
        return f"; not all of it is there: {missing(lost[0])}"
    if bare := [folder.name for folder in folders(path) if any(map(is_media, entries(folder)))]:
        return (
            f"; its folders {some(bare)} hold files directly: make a folder per modality in each class (mug/rgb, "
            "mug/depth), or list the pairs in a manifest.csv"
        )
    return "".join(f"; {note.removesuffix('.')}" for note in unread_tables(file.name for file in entries(path)))


def _remedy_of_file(path: Path) -> str:
    """What to give in place of a file that no layout reads, in a sentence."""
    from data_utils.layouts.tables import unread_tables

    save = "give the folder of the data set, or save its pairs as files and list them in a manifest.csv"
    return next(iter(unread_tables([str(path)])), f"{path} is not read; {save}.")


def _is_archive(path: Path) -> bool:
    return path.suffix.lower() in _ARCHIVES and path.is_file()


def _located(path: Path) -> tuple[str, Path]:
    """The layout of a path, and where the data set is: there, or the only one in folders below; "" if none.

    Raises:
        DataError: There are several data sets below, or a declaration is above the data.
    """
    if (layout := _layout_of(path)) or not path.is_dir():
        return layout, path
    below = _below(path)
    if len(below) > 1:
        of_split = all(part_of(place.name) for place in below)
        together = ", or list the pairs of all in a manifest.csv with a column split" if of_split else ""
        of_classes = (
            " If these folders are classes, list the pairs in a manifest.csv, whose columns label and group name "
            "the class and the sequence of each pair."
        )
        raise DataError(
            f"'{path}' holds several data sets; give the path of one{together}: {some(list(map(str, below)))}."
            f"{'' if of_split else of_classes}"
        )
    if not below:
        return "", path
    _refuse_declaration_above(below[0], path)
    return _layout_of(below[0]), below[0]


def _refuse_declaration_above(place: Path, path: Path) -> None:
    """Refuse a declaration between the path that was given and the place of the data, where it is not read."""
    if file_named(place, FILE_NAME):
        return
    for folder in (folder for folder in place.parents if folder.is_relative_to(path)):
        if ignored := file_named(folder, FILE_NAME):
            raise DataError(f"{ignored} is not beside the data, which are in {place}; move it there.")


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


def _read_as(name: str, path: Path, reading: _Reading) -> PairedDataset:
    with _naming_the_file(LAYOUTS, name):
        layout, size, cache = LAYOUTS[name](), reading.size, reading.cache
        folder = path if path.is_dir() else path.parent
        if layout.listing is not None:
            declared = _declared(name, layout, folder)
            kept_as = _kept_as(layout, path, folder, reading)
            if cache is not None and kept_as and (kept := mapped_of(cache, kept_as)):
                reading.announce(Need(kept.info.name, len(kept), kept.stored_bytes).mapped_from(cache))
                return kept
            shown = (reading.progress,) if layout.container else ()
            listing = _as_declared(layout.listing(path, reading.angles_of, *shown), declared, folder)
            return read_listing(listing, size, reading.progress, cache, reading.announce, kept_as)
        if layout.read is None:
            raise DataError(f"the layout {name!r} has neither read nor listing; give it one of them.")
        if not layout.declarable and (file := file_named(folder, FILE_NAME)):
            raise DataError(
                f"the layout {name!r} does not read {file}; remove it, or read it in the layout and write "
                "Layout(..., declarable=True)."
            )
        if size is not None:
            raise DataError(
                f"the layout {name!r} reads images at their own size; leave the image size {size} out."
            )
        return _required(layout.read(path, reading.angles_of))


def _declared(name: str, layout: Layout, folder: Path) -> DeclaredDataset:
    """The ``dataset.toml`` beside data that are listed.

    Raises:
        DataError: It declares modalities, which the layout does not use.
    """
    declared = declared_in(folder)
    if declared.modalities and not layout.declarable:
        raise DataError(
            f"{folder / FILE_NAME} declares the modalities {', '.join(declared.modalities)}, but those of the "
            f"layout {name!r} are fixed; remove the tables [modalities.*], or save the pairs as files and list "
            "them in a manifest.csv."
        )
    return declared


def _as_declared(listing: Listing, declared: DeclaredDataset, folder: Path) -> Listing:
    """The listing with the declared name and classes."""
    if declared.classes:
        listing = listing.of_classes(declared.classes, str(folder / FILE_NAME))
    return replace(listing, name=declared.name or listing.name)


def _kept_as(layout: Layout, path: Path, folder: Path, reading: _Reading) -> str:
    """The name in the cache of what one file holds; "" for a layout of many files."""
    if layout.container is None or layout.listing is None:
        return ""
    declared = file_named(folder, FILE_NAME)
    files = [*layout.container(path), *([declared] if declared else [])]
    code = tree_sha256(Path(inspect.getfile(layout.listing)))
    return files_key(files, (code, reading.angles_of, str(reading.size)))


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
