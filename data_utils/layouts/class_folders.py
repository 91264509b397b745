"""Folders of classes and modalities, in either order, with pairs of files of the same stem.

    <root>/mug/rgb/0001.jpg         or         <root>/rgb/mug/0001.jpg
    <root>/mug/depth/0001.png                  <root>/depth/mug/0001.png

Any names are possible. Which level holds the modalities is decided, in this order, by ``dataset.toml``, by usual
names (rgb, depth, thermal, ...), and by the files: those of one modality are alike, those of two are not. A stem
may hold the name of the modality as well (``0001_rgb.jpg``, ``0001_depth.png``).
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path

from data_utils.errors import DataError
from data_utils.layouts.declared import FILE_NAME, Declaration, DeclaredDataset, chosen_classes, declared_in
from data_utils.layouts.listing import Listing
from data_utils.layouts.media import (
    SAVE_AS,
    by_stem,
    holds_media,
    is_media,
    media_below,
    not_read,
    of_other_types,
    read_values,
)
from data_utils.layouts.paths import alike, by_name, entries, folders, of_names, partners, refuse_missing
from data_utils.layouts.ranges import declared_source, refuse_parts, without_partner
from data_utils.layouts.tables import unread_tables
from data_utils.modality import NAMES, Kind
from data_utils.naming import can_name
from fusiongauge import some

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
        DataError: Classes and modalities cannot be told apart, a modality has files of an undeclared kind, a
            folder is missing, or there are fewer than two classes.
    """
    if angles_of:
        raise DataError(f"{root} has no angles of classes; leave angles_of out.")
    declared = declared_in(root)
    refuse_missing(root, declared.folders)
    found = _of_classes(_tree(root, declared.folders), declared.classes)
    tree = _by_class(root, found, declared.modalities)
    classes = chosen_classes(declared.classes, sorted(tree), root / FILE_NAME)
    refuse_parts(root, classes)
    names = list(dict.fromkeys(name for label in classes for name in tree[label]))
    declarations = _declarations(root, tree, names, declared.modalities)
    if len(classes) < 2:
        raise DataError(
            f"{root} has one class, {classes[0]!r}, with the modalities {', '.join(names)}; a classifier needs at "
            "least two classes, each with a folder per modality."
        )
    usual = () if declared.modalities else NAMES
    modalities = {*usual, *(alike(declaration.folder) for declaration in declarations.values())}
    unread = _unread(root, found, modalities, declared, by_class=tree is found)
    files: dict[str, list[Path]] = {name: [] for name in declarations}
    labels: list[int] = []
    groups: list[int] = []
    scenes: dict[tuple[str, str], int] = {}
    stems: list[str] = []
    alone: list[Path] = []
    of_others: list[str] = []
    for label, name in enumerate(classes):
        of_class = {m: by_stem(tree[name][d.folder]) for m, d in declarations.items() if d.folder in tree[name]}
        for modality in declarations:
            if modality not in of_class:
                why = f" (not read: {some(unread)})" if unread else ""
                raise DataError(
                    f"{root} has no {modality} of the class {name!r}; add them, or leave the class out{why}."
                )
        pairs, left_out = partners(_shortened(of_class, declarations))
        others = [path for d in declarations.values() for path in of_other_types(tree[name][d.folder])]
        of_others += [str(path.relative_to(root)) for path in others]
        if not pairs:
            counts = ", ".join(f"{len(paths)} in {modality}" for modality, paths in of_class.items())
            save = f", and {SAVE_AS} ({others[0].name} is not read)" if others else ""
            raise DataError(
                f"{root} has files of the class {name!r} ({counts}), but none with the same stem; give the files "
                f"of a pair the same name{save}."
            )
        alone += left_out
        for stem, paths in pairs.items():
            labels.append(label)
            stems.append(f"{name}/{stem}")
            groups.append(scenes.setdefault((name, _scene(stem)), len(scenes)))
            for modality, path in paths.items():
                files[modality].append(path)
    notes = [*without_partner([str(path.relative_to(root)) for path in alone]), *not_read(of_others)]
    if unread:
        notes.append(
            "Folders that are empty, hold only files of types that are not read (such as .heic), or whose files "
            f"are not in folders of a class and a modality, were left out: {some(unread)}."
        )
    assumptions = unread_tables(path.name for path in entries(root))
    assumptions += [
        f"{name}: nothing tells the angles of a scanner (azimuth and zenith in dataset.toml), so its ranges are "
        "not turned into points."
        for name, declaration in declarations.items()
        if declaration.kind == "range" and not declared.modalities
    ]
    return Listing(
        name=root.resolve().name,
        classes=tuple(classes),
        labels=labels,
        groups=groups,
        names=stems,
        sources={name: declared_source(root, each, files[name]) for name, each in declarations.items()},
        notes=[*notes, *assumptions],
        assumptions=assumptions,
    )


def _tree(root: Path, declared: Collection[str] = ()) -> Tree:
    """The folders of media, two levels below the root; empty unless it has the form of this layout."""
    tree = {}
    for name, first in by_name(folders(root)).items():
        media = {inner: second for inner, second in by_name(folders(first)).items() if _holds_media(second)}
        if media:
            tree[name] = media
    tree = _spelled_alike(tree, declared)
    pairs = sum(map(len, tree.values()))
    if len(tree) == 1 and not _usual({*tree, *next(iter(tree.values()))}):
        return {}
    return tree if pairs > len(tree) or len({name for media in tree.values() for name in media}) < pairs else {}


def _spelled_alike(tree: Mapping[str, dict[str, Path]], declared: Collection[str]) -> dict[str, dict[str, Path]]:
    """The tree with one spelling of names on its second level that differ in the case of letters.

    It is the declared one, or the one with small letters. If a folder has two of the names, all stay as they are.
    """
    spellings: dict[str, set[str]] = defaultdict(set)
    for media in tree.values():
        for name in media:
            spellings[alike(name)].add(name)
    for media in tree.values():
        for key, count in Counter(map(alike, media)).items():
            if count > 1:
                spellings.pop(key, None)
    spelled = {
        name: max(names, key=lambda each: (each in declared, each))
        for names in spellings.values()
        for name in names
    }
    return {
        first: {spelled.get(name, name): folder for name, folder in media.items()} for first, media in tree.items()
    }


def _of_classes(tree: Tree, classes: Collection[str]) -> Tree:
    """The tree without other classes, whichever level holds the classes; as it is if it lacks one of them."""
    if not classes:
        return tree
    if set(classes) <= set(tree):
        return {name: media for name, media in tree.items() if name in classes}
    kept = {first: {name: media[name] for name in media if name in classes} for first, media in tree.items()}
    there = {name for media in kept.values() for name in media}
    return {first: media for first, media in kept.items() if media} if set(classes) <= there else tree


def _unread(
    root: Path, tree: Tree, modalities: Collection[str], declared: DeclaredDataset, *, by_class: bool
) -> list[str]:
    """The folders of media that are not read, and folders of these modalities without media.

    Args:
        root: The folder.
        tree: The folders that are read.
        modalities: Names that are used or usual, as ``alike`` gives them.
        declared: Folders of other classes and modalities are left out on purpose.
        by_class: Whether the first level of the tree holds the classes.
    """
    read = {second for media in tree.values() for second in media.values()}
    above = {second.parent for second in read}
    unread = []
    for first in of_names(folders(root), declared.classes):
        if first not in above and holds_media(first):
            unread.append(first)
            continue
        for second in of_names(folders(first), declared.folders):
            modality = second if by_class else first
            if second in read:
                unread += filter(holds_media, folders(second))
            elif alike(modality.name) in modalities or holds_media(second) or of_other_types(second):
                unread.append(second)
    return [str(folder.relative_to(root)) for folder in unread]


def _usual(names: Iterable[str]) -> bool:
    """Whether one of the names is usual for a modality."""
    return any(name.lower() in NAMES for name in names)


def _holds_media(folder: Path) -> bool:
    """Whether a folder holds media, more than all folders in it: those hold what somebody set aside."""
    own = sum(map(is_media, entries(folder)))
    below = (file for inner in folders(folder) for file in media_below(inner))
    return own > 0 and len(list(islice(below, own))) < own


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
