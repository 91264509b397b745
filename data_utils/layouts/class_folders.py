"""Folders of classes and modalities, in either order, with pairs of files of the same stem.

    <root>/mug/rgb/0001.jpg         or         <root>/rgb/mug/0001.jpg
    <root>/mug/depth/0001.png                  <root>/depth/mug/0001.png

Any names are possible. Which level holds the modalities is decided, in this order, by ``dataset.toml``, by usual
names (rgb, depth, thermal, ...), and by the files: those of one modality are alike, those of two are not. A stem
may hold the name of the modality as well (``0001_rgb.jpg``, ``0001_depth.png``).
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from data_utils.errors import DataError
from data_utils.layouts.declared import Declaration, DeclaredDataset, read_declaration
from data_utils.layouts.listing import Listing
from data_utils.layouts.media import by_stem, holds_media, is_media, read_values
from data_utils.layouts.paths import alike, composed, entries, folders, partners
from data_utils.layouts.ranges import declared_source, refuse_parts, without_partner
from data_utils.layouts.tables import SUFFIXES
from data_utils.modality import NAMES, Kind
from data_utils.naming import can_name
from fusiongauge import some

_TABLE = re.compile(r"\.(csv|tsv|xlsx?|parquet)(\.\w+)?$", re.IGNORECASE)  # packed ones too

_CAPITAL = r"(?-i:(?<=[a-z])(?=[A-Z]))"
_BEFORE, _AFTER = (
    rf"(?:[-_. ]|(?<=\d)|{_CAPITAL})",
    rf"(?:[-_. ]|(?=\d)|{_CAPITAL})",
)  # what sets a name in a stem apart

Tree = Mapping[str, Mapping[str, Path]]
"""Folders of media by the names of the first and of the second level."""


def is_class_folders(path: Path) -> bool:
    """Whether the path is a folder whose folders hold the same folders of media, at least two in all."""
    return path.is_dir() and len(_tree(path)) > 0


def list_class_folders(root: Path, angles_of: str = "") -> Listing:
    """The pairs of the folders.

    Every pair is a group of its own, except copies such as ``0001`` and ``0001-2``: names do not tell more of what
    pairs have in common. A manifest can (column ``group``).

    Args:
        root: The folder.
        angles_of: "": a scanner's angles are declared for all classes.

    Returns:
        The modalities in the order of ``dataset.toml``, otherwise images first; classes sorted by name.

    Raises:
        DataError: Classes and modalities cannot be told apart, a modality has files of an undeclared kind, or
            there are fewer than two classes.
    """
    if angles_of:
        raise DataError(f"{root} has no angles of classes; leave angles_of out.")
    declared = read_declaration(root) or DeclaredDataset("", {})
    found = _tree(root)
    tree = _by_class(root, found, declared.modalities)
    classes = sorted(tree)
    refuse_parts(root, classes)
    names = list(dict.fromkeys(name for label in classes for name in tree[label]))
    declarations = _declarations(root, tree, names, declared.modalities)
    if len(classes) < 2:
        raise DataError(
            f"{root} has one class, {classes[0]!r}, with the modalities {', '.join(names)}; a classifier needs at "
            "least two classes, each with a folder per modality."
        )
    unread = _unread(root, found, {declaration.folder for declaration in declarations.values()})
    files: dict[str, list[Path]] = {name: [] for name in declarations}
    labels: list[int] = []
    groups: list[int] = []
    scenes: dict[tuple[str, str], int] = {}
    stems: list[str] = []
    alone: list[Path] = []
    for label, name in enumerate(classes):
        of_class = {m: by_stem(tree[name][d.folder]) for m, d in declarations.items() if d.folder in tree[name]}
        for modality in declarations:
            if modality not in of_class:
                why = f" (not read: {some(unread)})" if unread else ""
                raise DataError(
                    f"{root} has no {modality} of the class {name!r}; add them, or leave the class out{why}."
                )
        pairs, left_out = partners(_shortened(of_class, declarations))
        if not pairs:
            counts = ", ".join(f"{len(paths)} in {modality}" for modality, paths in of_class.items())
            raise DataError(
                f"{root} has files of the class {name!r} ({counts}), but none with the same stem; give the files "
                "of a pair the same name."
            )
        alone += left_out
        for stem, paths in pairs.items():
            labels.append(label)
            stems.append(f"{name}/{stem}")
            groups.append(scenes.setdefault((name, _scene(stem)), len(scenes)))
            for modality, path in paths.items():
                files[modality].append(path)
    notes = [*without_partner([str(path.relative_to(root)) for path in alone])]
    if unread:
        notes.append(
            "Folders that are empty, or whose files are not in folders of a class and a modality, were left out: "
            f"{some(unread)}."
        )
    tables = [path.name for path in entries(root) if _TABLE.search(path.name)]
    assumptions = _unread_tables(tables)
    assumptions += [
        f"{name}: nothing tells the angles of a scanner (azimuth and zenith in dataset.toml), so its ranges are "
        "not turned into points."
        for name, declaration in declarations.items()
        if declaration.kind == "range" and not declared.modalities
    ]
    return Listing(
        name=declared.name or root.resolve().name,
        classes=tuple(classes),
        labels=labels,
        groups=groups,
        names=stems,
        sources={name: declared_source(root, each, files[name]) for name, each in declarations.items()},
        notes=[*notes, *assumptions],
        assumptions=assumptions,
    )


def _tree(root: Path) -> Tree:
    """The folders of media, two levels below the root; empty unless it has the form of this layout."""
    tree = {}
    for name, first in _named(folders(root)).items():
        media = {inner: second for inner, second in _named(folders(first)).items() if _holds_media(second)}
        if media:
            tree[name] = media
    pairs = sum(map(len, tree.values()))
    if len(tree) == 1 and not _usual({*tree, *next(iter(tree.values()))}):
        return {}
    return tree if pairs > len(tree) or len({name for media in tree.values() for name in media}) < pairs else {}


def _named(paths: Sequence[Path]) -> dict[str, Path]:
    """Folders by their names; one name in two encodings is one name unless both are there."""
    counts = Counter(composed(path.name) for path in paths)
    return {name if counts[name := composed(path.name)] == 1 else path.name: path for path in paths}


def _unread(root: Path, tree: Tree, modalities: Collection[str]) -> list[str]:
    """The folders of classes and modalities that are not used, and those of media elsewhere."""
    read = {second.parent for media in tree.values() for second in media.values()}
    elsewhere = [first for first in folders(root) if first not in read and holds_media(first)]
    unread = [
        second
        for first in folders(root)
        for second in folders(first)
        if {composed(first.name), composed(second.name)} & set(modalities) and not _holds_media(second)
    ]
    unread = [folder for folder in unread if folder.parent not in elsewhere]
    return [str(folder.relative_to(root)) for folder in (*elsewhere, *unread)]


def _unread_tables(names: Sequence[str]) -> list[str]:
    """The note on tables beside the folders."""
    if not names:
        return []
    readable = any(name.lower().endswith(SUFFIXES) for name in names)
    remedy = (
        "give its path if it lists the pairs"
        if readable
        else "if it lists the pairs, save it as CSV and give its path"
    )
    return [f"{some(names)} is not read; {remedy}."]


def _usual(names: Iterable[str]) -> bool:
    """Whether one of the names is usual for a modality."""
    return any(name.lower() in NAMES for name in names)


def _holds_media(folder: Path) -> bool:
    """Whether there are media in the folder, and nothing below it."""
    return any(map(is_media, entries(folder))) and not folders(folder)


def _by_class(root: Path, tree: Tree, declared: Mapping[str, Declaration]) -> Tree:
    """The tree with classes on its first level."""
    first, second = set(tree), {name for media in tree.values() for name in media}
    turned = {name: {other: media[name] for other, media in tree.items() if name in media} for name in second}
    if declared:
        wanted = {declaration.folder for declaration in declared.values()}
        for names, by_class in ((second, tree), (first, turned)):
            if wanted <= names:
                return by_class
        raise DataError(
            f"{root}/dataset.toml declares the folders {', '.join(sorted(wanted))}, but there are "
            f"{', '.join(sorted(first))} and in them {', '.join(sorted(second))}; "
            "name the folders of the modalities."
        )
    usual_first, usual_second = map(_usual, (first, second))
    if usual_first != usual_second:
        return turned if usual_first else tree
    alike = [_alike(candidate) for candidate in (tree, turned)]
    if alike[0] != alike[1]:
        return tree if alike[0] else turned
    raise DataError(
        f"{root} has the folders {', '.join(sorted(first))} and in them {', '.join(sorted(second))}, and neither "
        "level is known to hold the modalities; declare them in dataset.toml, such as [modalities.rgb] with "
        'kind = "image".'
    )


def _alike(tree: Tree) -> bool:
    """Whether the files of a second-level name are of one sort in all folders, and those of two are not."""
    sorts: dict[str, set[str]] = {}
    for media in tree.values():
        for name, folder in media.items():
            sorts.setdefault(name, set()).add(_sort(folder))
    return (
        all(len(sort) == 1 for sort in sorts.values()) and len(set(map(tuple, sorts.values()))) == len(sorts) > 1
    )


def _sort(folder: Path) -> str:
    """The type and the channels of the first file of a folder that can be read."""
    for path in filter(is_media, entries(folder)):
        try:
            values = read_values(path)
        except DataError:
            continue
        return f"{values.dtype} {values.shape[2] if values.ndim == 3 else 1}"
    return ""


def _declarations(
    root: Path, tree: Tree, names: Sequence[str], declared: Mapping[str, Declaration]
) -> dict[str, Declaration]:
    """The modalities, as declared or told by their names and files; images first."""
    if declared:
        return dict(declared)
    if len(names) < 1:
        raise DataError(f"{root} has no folders of modalities; add one per modality.")
    kinds = {name: NAMES.get(name.lower()) or _kind_of_files(root, tree, name) for name in names}
    ordered = sorted(names, key=lambda name: (kinds[name] != "image", name))
    keys = [re.sub(r"[^A-Za-z0-9_-]", "_", name) for name in ordered]
    for key, name in zip(keys, ordered, strict=True):
        if not can_name(key):
            raise DataError(
                f"{root} has folders {name!r}, which cannot name a modality; declare all modalities in "
                f"dataset.toml, this one as {_table_of(name)} kind."
            )
    if len(set(keys)) < len(keys):
        raise DataError(
            f"{root} has the modalities {', '.join(map(repr, ordered))}, whose names differ only in characters "
            "that cannot name a part of a network; rename one of the folders."
        )
    return {key: Declaration(key, kinds[name], folder=name) for key, name in zip(keys, ordered, strict=True)}


def _kind_of_files(root: Path, tree: Tree, name: str) -> Kind:
    """The kind of a modality whose name does not tell it: images have 8 bits; other values need a declaration."""
    sort = next(iter(_sort(media[name]) for media in tree.values() if name in media))
    if sort.startswith("uint8") or not sort:
        return "image"
    raise DataError(
        f"{root} has folders {name!r} of values ({sort.split()[0]}), but not what they measure; declare all "
        f'modalities in dataset.toml, this one as {_table_of(name)} kind = "image", "depth", "range", "thermal" '
        'or "raw".'
    )


def _table_of(folder: str) -> str:
    """How the modality of a folder is declared, up to its kind."""
    if can_name(folder):
        return f"[modalities.{folder}] with"
    return f"[modalities.NAME] (a name of your own) with folder = {json.dumps(folder, ensure_ascii=False)} and"


def _shortened(
    files: Mapping[str, Mapping[str, Path]], declarations: Mapping[str, Declaration]
) -> dict[str, dict[str, Path]]:
    """The files of a class by modality and stem, without the name of the modality's folder where it is set apart.

    It stays where all modalities have the stem as it is, and where two stems would become one.
    """
    common = set.intersection(*(set(map(alike, stems)) for stems in files.values()))
    shortened = {}
    for modality, stems in files.items():
        name = re.escape(declarations[modality].folder)
        own = re.compile(rf"{_BEFORE}{name}$|^{name}{_AFTER}", re.IGNORECASE)
        short = {stem: stem if alike(stem) in common else own.sub("", stem) or stem for stem in stems}
        counts = Counter(short.values())
        shortened[modality] = {short[s] if counts[short[s]] == 1 else s: path for s, path in stems.items()}
    return shortened


def _scene(stem: str) -> str:
    """What copies of a file have in common: the number of 0001 and 0001-2."""
    number = re.fullmatch(r"(\d+)-\d", stem)
    return number[1] if number else stem
