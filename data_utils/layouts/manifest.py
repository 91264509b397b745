"""Any paired data, described by a table with one row per pair.

    rgb,depth,label,group,fx,fy,cx,cy
    chair/rgb/0001.png,chair/depth/0001.png,chair,kitchen,259.4,259.7,118.3,-25.1

    rgb,range,label,group,azimuth,zenith
    cubes/rgb/0000.png,cubes/lidar/0000.npy,cubes,0000,azimuth.npy,zenith.npy

Paths are relative to the folder of the table. ``label`` is the name of the class. Pairs of one ``group`` stay in
one part of a split. fx, fy, cx, cy are the pinhole intrinsics of the row, in pixels of its depth file; without
these columns depth is not turned into points. ``azimuth`` and ``zenith`` are npy files with one angle per row and
per column of a range image, in radians, the same in all rows of the table. A column ``depth_scale`` holds the
units per meter of the row's depth. A column ``split`` tells which pairs train, validate and test. Other modalities
are declared in ``dataset.toml`` (``declared``).
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from data_utils.dataset import PART_WORDS, part_of
from data_utils.errors import DataError
from data_utils.layouts.declared import FILE_NAME as DECLARATION
from data_utils.layouts.declared import Declaration, DeclaredDataset, chosen_classes, declared_in
from data_utils.layouts.listing import Angles, Listing, Source
from data_utils.layouts.media import is_media, read_angles
from data_utils.layouts.paths import Inside, alike, composed, file_named, is_data
from data_utils.layouts.ranges import common_angles, declared_source
from data_utils.layouts.tables import NO_TEXT, SUFFIXES, Table, header, read_table
from data_utils.modality import METRIC, NAMES, Kind
from data_utils.simulator.shapes import Progress, Simulation, no_progress
from fusiongauge import quoted, some

_MEANINGS = {
    "label": "the name of the pair's class",
    "group": "the same word or number for pairs that no split may separate, such as crops of one photograph; "
    "number the rows if there are none",
}

DEPTH_COLUMNS = ("rgb", "depth", "label", "group", "fx", "fy", "cx", "cy")
"""The columns of a manifest of depth images; further columns are ignored."""

RANGE_COLUMNS = ("rgb", "range", "label", "group", "azimuth", "zenith")
"""The columns of a manifest of range images; the column ``range`` distinguishes it from one of depth images."""

FILE_NAME = "manifest.csv"
"""The name of the manifest if a folder is given; .tsv, .txt and .parquet are read too."""

SPLIT = "split"
"""The column of the part that a pair belongs to; parts that no row names are drawn from the training pairs."""

_INTRINSICS = ("fx", "fy", "cx", "cy")
_ANGLES = ("azimuth", "zenith")
_EXPECTED = f"{','.join(DEPTH_COLUMNS)} or {','.join(RANGE_COLUMNS)}"
_POINTS = "lidar"  # the modality of undeclared points
_USUAL = {*DEPTH_COLUMNS, *RANGE_COLUMNS, *NAMES, SPLIT}


def is_manifest(path: Path) -> bool:
    """Whether the path is a table, or a folder with a ``manifest.csv`` (or .tsv, .txt, .parquet) in any case."""
    return (path.is_file() and path.suffix.lower() in SUFFIXES) or _manifest_of(path) is not None


def list_manifest(path: Path, angles_of: str = "") -> Listing:
    """The pairs of a manifest.

    Args:
        path: The table, or the folder of a ``manifest.csv``.
        angles_of: The class whose angles are used for all classes; "" if they are equal, and for depth images.

    Returns:
        The declared modalities; without a declaration "rgb" (an image), "lidar" (points of the depth or range
        images; "depth", if there are no intrinsics) and thermal columns, one of the last two at least. Classes
        sorted by name; pairs in the order of the rows.

    Raises:
        DataError: A column is missing; a value is empty, not a number or names a file outside of the folder; an
            image is listed twice; or there are fewer than two classes.
    """
    file = _table_at(path)
    declared = declared_in(file.parent)
    table, notes, decimal_commas = _read(file, declared)
    modalities = declared.modalities or _undeclared(table)
    columns = _columns(table, modalities.values(), points=not declared.modalities)
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise DataError(
            f"{file} has no column {', '.join(map(repr, missing))}; a manifest needs the columns "
            f"{','.join(columns)}, or its modalities are declared in dataset.toml; its header line is read as "
            f"{some(list(map(quoted, table.columns)), 8)}."
            + "".join(f" {name!r} is {_MEANINGS[name]}." for name in missing if name in _MEANINGS)
        )
    if table.empty:
        raise DataError(f"{file} has no rows; add one per pair.")
    media = [declaration.column for declaration in modalities.values()]
    _require_text(file, table, [*columns, SPLIT, *map(_scale_of, media)], media)
    for name in ("label", "group"):
        table[name] = table[name].map(composed)
    if declared.classes:
        labels = sorted({*table["label"]} - {""})
        kept = chosen_classes(declared.classes, labels, file.with_name(DECLARATION))
        table = table[table["label"].isin([*kept, ""])]  # a row without a label is refused below
    for name in columns:
        gaps = table.index[table[name] == ""]
        if len(gaps):
            raise DataError(f"{file} has no value in column {name!r} of row {gaps[0]}; fill it in.")
    hidden = ~table[media].map(lambda name: is_data(re.split(r"[/\\]", name.rstrip("/"))[-1])).all(axis=1)
    if hidden.all():
        raise DataError(f"{file} lists only files whose names begin with a dot, which are not read; rename them.")
    if hidden.any():
        rows = table.loc[hidden, media[0]].tolist()
        notes.append(f"{len(rows)} row(s) of files whose names begin with a dot were left out: {some(rows)}.")
        table = table[~hidden]
    if not declared.modalities:
        notes += _unused(file, table, columns)
    classes = sorted(set(table["label"]))
    if len(classes) < 2:
        raise DataError(f"{file} lists the classes {quoted(classes)}; a classifier needs at least two.")
    problems: list[str] = []
    numbers = partial(_numbers, file, decimal_commas=decimal_commas)
    sources = {
        name: _source(file, table, declaration, angles_of, problems, numbers)
        for name, declaration in modalities.items()
    }
    files = pd.Series(map(str, next(iter(sources.values())).files), index=table.index)
    twice = table.index[files.duplicated()]  # however the names are written
    if len(twice):
        raise DataError(
            f"{file} lists {quoted(table[media[0]][twice[0]])} again in row {twice[0]}; list every image once, "
            "otherwise it can be in both training and validation."
        )
    for name, source in list(sources.items())[1:]:
        notes += _shared(file, table["group"], name, source.files)
    if angles_of and not any(source.angles for source in sources.values()):
        raise DataError(f"{file} lists no range images with angles; leave angles_of out.")
    return Listing(
        name=file.parent.resolve().name,
        classes=tuple(classes),
        labels=[classes.index(label) for label in table["label"]],
        groups=pd.factorize(table["group"])[0].tolist(),
        names=table[media[0]].str.replace("\\", "/").tolist(),
        sources=sources,
        notes=notes,
        problems=problems,
        assigned=_assigned(file, table),
    )


def manifest_modalities(path: Path) -> tuple[str, ...]:
    """The names of the modalities of a manifest, whose files are not looked at.

    Raises:
        DataError: The table cannot be read.
    """
    file = _table_at(path)
    declared = declared_in(file.parent)
    return tuple(declared.modalities or _undeclared(_read(file, declared).rows))


def write_manifest(root: Path, simulation: Simulation, progress: Progress = no_progress) -> None:
    """Write a simulation as a manifest of range images."""
    for folder in ("rgb", "range"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    np.save(root / "azimuth.npy", simulation.azimuth_rad)
    np.save(root / "zenith.npy", simulation.zenith_rad)
    rows = []
    for pair, (label, scene) in enumerate(zip(simulation.labels, simulation.index, strict=True)):
        name = f"{scene:04d}-{simulation.classes[label]}"
        Image.fromarray(simulation.rgb[pair]).save(root / "rgb" / f"{name}.png")
        np.save(root / "range" / f"{name}.npy", simulation.range_m[pair])
        files = (f"rgb/{name}.png", f"range/{name}.npy")
        rows.append((*files, simulation.classes[label], f"{scene:04d}", "azimuth.npy", "zenith.npy"))
        progress(pair + 1, len(simulation.labels))
    pd.DataFrame(rows, columns=list(RANGE_COLUMNS)).to_csv(root / FILE_NAME, index=False, lineterminator="\n")


def _table_at(path: Path) -> Path:
    """The table at a path that is recognized."""
    return _manifest_of(path) or path if path.is_dir() else path


def _manifest_of(folder: Path) -> Path | None:
    """The manifest of a folder; None if there is none."""
    files = (file_named(folder, f"manifest{suffix}") for suffix in SUFFIXES)
    return next((file for file in files if file and _lists_pairs(file)), None)


def _lists_pairs(file: Path) -> bool:
    """Whether a manifest is one of pairs: a ``manifest.txt`` can be a list of checksums, or a text."""
    return file.suffix.lower() != ".txt" or not _USUAL.isdisjoint(name.lower() for name in header(file))


def _read(file: Path, declared: DeclaredDataset) -> Table:
    """The table, whose columns have the names that are declared or usual."""
    read = read_table(file, _EXPECTED)
    declarations = declared.modalities.values()
    as_declared = [name for d in declarations for name in (d.column, _scale_of(d.column))]
    spellings = {alike(name): name for name in (*_USUAL, *map(_scale_of, _USUAL), *as_declared)}
    counts = Counter(map(alike, read.rows.columns))
    spelled = {
        name: spellings.get(alike(name), name)
        for name in read.rows.columns
        if name not in as_declared and counts[alike(name)] == 1
    }
    return read._replace(rows=read.rows.rename(columns=spelled))


def _scale_of(column: str) -> str:
    """The column of the units per meter of the files that a column names."""
    return f"{column}_scale"


def _undeclared(table: pd.DataFrame) -> dict[str, Declaration]:
    """The modalities that the usual names of columns tell: one of images, one of distances, all thermal ones.

    "rgb" and "depth" are expected where no name tells others.
    """
    kinds = {column: NAMES[column] for column in table.columns if column in NAMES}
    image = _first("rgb", kinds, ("image",)) or "rgb"
    thermal = sorted(column for column, kind in kinds.items() if kind == "thermal")
    distances = _first("range", kinds, METRIC) or ("" if thermal else "depth")
    modalities = {image: Declaration(image, "image")}
    if distances:
        kind = kinds.get(distances, "depth")
        points = kind == "range" or set(_INTRINSICS) & set(table.columns) or distances not in table.columns
        name = _POINTS if points else distances
        modalities[name] = Declaration(name, kind, column=distances)
    return modalities | {column: Declaration(column, "thermal") for column in thermal}


def _first(preferred: str, kinds: Mapping[str, Kind], wanted: Collection[str]) -> str:
    """The preferred column, or the first one of the wanted kinds; "" if there is none."""
    return preferred if preferred in kinds else next((name for name, kind in kinds.items() if kind in wanted), "")


def _unused(file: Path, table: pd.DataFrame, used: Collection[str]) -> list[str]:
    """A note on columns that name files of modalities nobody declared."""
    first = table.iloc[0]
    unused = [name for name in table.columns if name not in (*used, *_ANGLES) and is_media(Path(first[name]))]
    if not unused:
        return []
    return [
        f"{file.name} names files in {some(list(map(quoted, unused)))}, which are not used, as nothing tells what "
        "they measure; declare all modalities in dataset.toml."
    ]


def _shared(file: Path, groups: "pd.Series[str]", modality: str, files: Sequence[Path]) -> list[str]:
    """A note on files that rows of several groups name; one that all rows name does not tell pairs apart."""
    groups_of = groups.groupby(list(map(str, files))).nunique()
    shared = groups_of.index[groups_of > 1].tolist()
    if not shared or len(groups_of) == 1:
        return []
    return [
        f"{file.name} names {len(shared)} {modality} file(s) in rows of several groups, so they can be in both "
        f"training and validation; give rows that share a file one group: {some(shared)}."
    ]


def _columns(table: pd.DataFrame, declarations: Collection[Declaration], *, points: bool) -> list[str]:
    """The columns that the modalities need, in the order of messages; ``points``: of undeclared points too."""
    columns = [declaration.column for declaration in declarations] + ["label", "group"]
    for declaration in declarations:
        needed = points and declaration.name == _POINTS
        if declaration.kind == "depth" and declaration.intrinsics is None:
            columns += _INTRINSICS if needed or set(_INTRINSICS) & set(table.columns) else ()
        if declaration.kind == "range" and not declaration.azimuth:
            columns += _ANGLES if needed or set(_ANGLES) & set(table.columns) else ()
    return list(dict.fromkeys(columns))


def _require_text(file: Path, table: pd.DataFrame, columns: Collection[str], media: Collection[str]) -> None:
    """Refuse a table that holds files, as those of Hugging Face do, or lists where names are expected.

    Raises:
        DataError: A cell of these columns is neither text nor a number; ``media`` are those that name files.
    """
    for name in filter(table.columns.__contains__, columns):
        if (table[name] == NO_TEXT).any():
            remedy = (
                f"holds images or arrays in column {name!r}, not paths; save them as files and list their paths."
                if name in media
                else f"holds lists or bytes in column {name!r}; write a text or a number in every row."
            )
            raise DataError(f"{file} {remedy}")


def _source(
    file: Path,
    table: pd.DataFrame,
    declaration: Declaration,
    angles_of: str,
    problems: list[str],
    numbers: Callable[..., npt.NDArray[np.float64]],
) -> Source:
    """The files of one modality, with what their rows tell of them; ``numbers`` reads a column of numbers."""
    source = declared_source(file.parent, declaration, _files(file, table[declaration.column]))
    scale = _scale_of(declaration.column)
    if scale in table.columns:
        source = replace(source, scales=numbers(table[scale], "units per meter", positive=True))
    if declaration.kind == "depth" and not source.points and set(_INTRINSICS) <= set(table.columns):
        columns = [numbers(table[name], "pixels", positive=name in ("fx", "fy")) for name in _INTRINSICS]
        source = replace(source, intrinsics=np.stack(columns, axis=1))
    if declaration.kind == "range" and not source.points and set(_ANGLES) <= set(table.columns):
        source = replace(source, angles=_angles(file, table, angles_of, problems))
    return source


def _assigned(file: Path, table: pd.DataFrame) -> list[str]:
    """The part that each row's column ``split`` names; [] without such a column, or if it is empty."""
    if SPLIT not in table.columns or not table[SPLIT].any():
        return []
    for row, word in table[SPLIT].items():
        if not part_of(word):
            raise DataError(
                f"{file} has {quoted(word)} in column {SPLIT!r} of row {row}; write one of {PART_WORDS} in every "
                "row, or remove the column."
            )
    return list(map(part_of, table[SPLIT]))


def _angles(file: Path, table: pd.DataFrame, angles_of: str, problems: list[str]) -> Angles:
    """The angles that all rows have in common; that they differ is a problem."""
    files = table[["label", *_ANGLES]].drop_duplicates()
    ambiguous = files["label"][files["label"].duplicated()]
    if len(ambiguous):
        raise DataError(
            f"{file} has several angles for class {quoted(ambiguous.iloc[0])}; name one azimuth and one zenith "
            "file per class."
        )
    azimuths, zeniths = _files(file, files["azimuth"]), _files(file, files["zenith"])
    by_class = {
        label: Angles(read_angles(azimuth), read_angles(zenith))
        for label, azimuth, zenith in zip(files["label"], azimuths, zeniths, strict=True)
    }
    return common_angles(str(file), by_class, angles_of, problems)


def _files(file: Path, column: "pd.Series[str]") -> Sequence[Path]:
    """The paths of a column, all of them in the folder of the manifest."""
    inside = Inside(file.parent, str(file))
    paths = []
    for row, name in column.items():
        try:
            paths.append(inside.path(name))
        except DataError as error:
            raise DataError(str(error).replace(quoted(name), f"{quoted(name)} in row {row}", 1)) from None
    return paths


def _numbers(
    file: Path, column: "pd.Series[str]", what: str, *, positive: bool, decimal_commas: bool
) -> npt.NDArray[np.float64]:
    """A column of finite numbers, float64 (N,); commas are decimal points only if they can be nothing else."""
    points = decimal_commas and not column.str.contains(".", regex=False).any()
    texts = column.str.replace(",", ".", regex=False) if points else column
    numbers = pd.to_numeric(texts, errors="coerce").astype("float64")
    for (row, text), number in zip(column.items(), numbers, strict=True):
        if not math.isfinite(number) or (positive and number <= 0):
            remedy = (
                "write it without a thousands separator, with a decimal point"
                if "," in text and not points
                else f"write a {'positive' if positive else 'finite'} number of {what}"
            )
            raise DataError(f"{file} has {quoted(text)} in column {column.name!r} of row {row}; {remedy}.")
    return np.array(numbers, dtype=np.float64)
