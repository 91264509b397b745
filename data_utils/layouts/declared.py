"""What a user declares of files in ``dataset.toml``: the modalities, their kinds, scales and missing values.

    name = "kitchen"
    classes = ["mug", "box"]  # of those that the files have; all if left out

    [modalities.depth]
    column = "depth"          # of the manifest; in folders of classes: folder = "depth"
    kind = "depth"            # image, depth, range, thermal or raw
    scale = 5000              # units per meter, or "sun-rgbd" for the rotated bits of SUN RGB-D
    invalid = [-1, 65534]     # or "negative"; not measured, as 0, NaN and the largest integer of depth never are
    intrinsics = [525, 525, 319.5, 239.5]  # fx, fy, cx, cy, if no columns hold them

It is beside a manifest or in the root of class folders. Loads no torch.
"""

import math
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from data_utils.errors import DataError
from data_utils.layouts.content import content
from data_utils.layouts.paths import composed, file_named
from data_utils.modality import KINDS, METRIC, Kind
from data_utils.naming import require_name
from fusiongauge import quoted, some

FILE_NAME = "dataset.toml"
"""The name of the declaration."""

SUN_RGBD = "sun-rgbd"
"""The scale of depth whose bits are rotated by three places, in millimeters."""

NEGATIVE = "negative"
"""As an invalid value: all values below 0."""


@dataclass(frozen=True)
class Declaration:
    """What is known of one modality's files before they are read.

    Attributes:
        name: Of the modality.
        kind: See ``modality.KINDS``.
        column: The column of a manifest; ``folder``: of class folders. Both are the name if nothing is declared.
        scale: Stored units per unit of the modality, such as 1000 for depth in millimeters; SUN_RGBD; None if it
            is not declared.
        invalid: Further values that stand for no measurement, or NEGATIVE; None if they are not declared.
        unit: Of the values after the scale; "" for the kind's.
        intrinsics: fx, fy, cx, cy of a depth camera, in pixels of its files; None if the columns of a manifest
            hold them, or nothing does.
        azimuth: The file of a scanner's azimuths, ``zenith``: of its zeniths; "" if a manifest names them.
        max_range: Of a scanner with angles: this range and larger ones are no returns.
    """

    name: str
    kind: Kind
    column: str = ""
    folder: str = ""
    scale: float | str | None = None
    invalid: tuple[float | str, ...] | None = None
    unit: str = ""
    intrinsics: tuple[float, float, float, float] | None = None
    azimuth: str = ""
    zenith: str = ""
    max_range: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "column", self.column or self.name)
        object.__setattr__(self, "folder", self.folder or self.name)


@dataclass(frozen=True)
class DeclaredDataset:
    """A ``dataset.toml``.

    Attributes:
        name: Of the data set; "" for that of its folder.
        modalities: In order; empty if they follow from the files.
        classes: Those that are used; () for all.
    """

    name: str
    modalities: Mapping[str, Declaration]
    classes: tuple[str, ...] = ()

    @property
    def folders(self) -> frozenset[str]:
        """The names of all folders that are declared: classes and modalities."""
        return frozenset((*self.classes, *(modality.folder for modality in self.modalities.values())))


def read_declaration(folder: Path) -> DeclaredDataset | None:
    """The ``dataset.toml`` of a folder, in any case of letters; None if there is none.

    Raises:
        DataError: It is not TOML, or an entry cannot be used.
    """
    file = file_named(folder, FILE_NAME)
    if file is None:
        return None
    try:
        entries = tomllib.loads(content(file, "restore it").decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{file} cannot be read as TOML ({error}); correct it.") from None
    _known(file, "", entries, ("name", "classes", "modalities"))
    name, tables = entries.get("name", ""), entries.get("modalities", {})
    if not isinstance(name, str) or not isinstance(tables, dict):
        raise DataError(f'{file} needs name = "..." as text and modalities as tables, such as [modalities.depth].')
    modalities = {modality: _modality(file, modality, table) for modality, table in tables.items()}
    classes = entries.get("classes", [])
    if not isinstance(classes, list) or not all(isinstance(label, str) for label in classes):
        raise DataError(f"{file} has classes = {quoted(classes)}; write a list of names.")
    if len(set(classes)) == 1:
        raise DataError(
            f"{file} has classes = {quoted(classes)}; write at least two, or leave the entry out for all."
        )
    return DeclaredDataset(name, modalities, tuple(map(composed, classes)))


def declared_in(folder: Path) -> DeclaredDataset:
    """The ``dataset.toml`` of a folder; without one nothing is declared. See ``read_declaration``."""
    return read_declaration(folder) or DeclaredDataset("", {})


def chosen_classes(declared: Sequence[str], there: Collection[str], place: object) -> list[str]:
    """The declared classes as the data spell them, sorted; the encoding of accents does not count.

    Args:
        declared: Their names; () for all.
        there: The names that the data have, as a message lists them.
        place: Where they are declared, for the message.

    Raises:
        DataError: The data have no such class.
    """
    if not declared:
        return sorted(there)
    spelled = {composed(name): name for name in there}
    if unknown := [name for name in declared if composed(name) not in spelled]:
        raise DataError(f"{place} declares a class {quoted(unknown[0])}; there are {some(list(there), 20)}.")
    return sorted({spelled[composed(name)] for name in declared})


def _modality(file: Path, name: str, table: object) -> Declaration:
    where = f"[modalities.{name}]"
    require_name(name, str(file))
    if not isinstance(table, dict):
        raise DataError(f"{file} has {name} as a value; make it a table, {where}.")
    _known(file, where, table, [field.name for field in fields(Declaration) if field.name != "name"])
    if table.get("kind") not in KINDS:
        raise DataError(
            f"{file} has kind = {quoted(table.get('kind'))} in {where}; use one of {', '.join(KINDS)}."
        )
    values: dict[str, Any] = {
        key: composed(value) if isinstance(value, str) else value for key, value in table.items()
    }
    for key in ("column", "folder", "unit", "azimuth", "zenith"):
        if not isinstance(values.get(key, ""), str):
            raise DataError(f"{file} has {key} = {quoted(values[key])} in {where}; write a text.")
    if (scale := values.get("scale")) is not None and scale != SUN_RGBD and not _positive(scale):
        raise DataError(
            f"{file} has scale = {quoted(scale)} in {where}; write the number of stored units per meter, such as "
            f'1000 for millimeters, or "{SUN_RGBD}".'
        )
    if (invalid := values.get("invalid")) is not None:
        if not isinstance(invalid, list) or not all(_number(value) or value == NEGATIVE for value in invalid):
            raise DataError(
                f"{file} has invalid = {quoted(invalid)} in {where}; write a list of numbers, nan and "
                f'"{NEGATIVE}", such as [0, 65535].'
            )
        values["invalid"] = tuple(invalid)
    if (intrinsics := values.get("intrinsics")) is not None:
        numbers = isinstance(intrinsics, list) and len(intrinsics) == 4 and all(map(_finite, intrinsics))
        if values["kind"] != "depth" or not numbers or not all(map(_positive, intrinsics[:2])):
            raise DataError(
                f"{file} has intrinsics = {quoted(intrinsics)} in {where}; write [fx, fy, cx, cy] in pixels of "
                'the files, for a modality with kind = "depth".'
            )
        values["intrinsics"] = tuple(map(float, intrinsics))
    if bool(values.get("azimuth")) != bool(values.get("zenith")):
        raise DataError(f"{file} has only one of azimuth and zenith in {where}; name both files.")
    if values.get("azimuth") and values["kind"] != "range":
        raise DataError(
            f"{file} has azimuth and zenith in {where}, which are for scanners; remove them, or write "
            'kind = "range".'
        )
    if (largest := values.get("max_range")) is not None and not (_positive(largest) and values["kind"] == "range"):
        raise DataError(
            f"{file} has max_range = {quoted(largest)} in {where}; write a distance in meters, for a modality "
            'with kind = "range".'
        )
    if values["kind"] == "image" and (unused := [key for key in ("scale", "invalid") if key in values]):
        raise DataError(
            f"{file} has {unused[0]} in {where}, but the values of images are divided by the largest one of "
            'their type; remove it, or write kind = "thermal" or "raw".'
        )
    if scale == SUN_RGBD and values["kind"] not in METRIC:
        raise DataError(f'{file} has scale = "{SUN_RGBD}" in {where}, which is for depth; write a number.')
    return Declaration(name, **values)


def _known(file: Path, where: str, table: Mapping[str, Any], keys: Any) -> None:
    unknown = [key for key in table if key not in keys]
    if unknown:
        place = f" in {where}" if where else ""
        raise DataError(
            f"{file} has an unknown entry {quoted(unknown[0])}{place}; the entries are {', '.join(keys)}."
        )


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and _finite(value) and value > 0
