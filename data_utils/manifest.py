"""Any RGB + depth data, described by a CSV with a row a pair.

    rgb,depth,label,group,fx,fy,cx,cy
    chair/rgb/0001.png,chair/depth/0001.png,chair,kitchen,259.4,259.7,118.3,-25.1

``rgb`` is a PNG of 8 bits, ``depth`` a gray PNG of 16 bits (millimeters, 0 for no measurement) or a npy of
floats (meters), both relative to the folder of the CSV. ``label`` is the name of the class. Pairs of one
``group`` stay on one side of a split. fx, fy, cx, cy are the row's pinhole intrinsics in pixels of its files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from data_utils.dataset import DataError, DatasetInfo, PairedDataset
from data_utils.geometry import depth_to_xyza
from data_utils.media import read_depth, read_rgba, stack

COLUMNS = ("rgb", "depth", "label", "group", "fx", "fy", "cx", "cy")
"""What a manifest has to have; further columns are allowed and not read."""

FILE_NAME = "manifest.csv"
"""What a manifest is called in a folder that is given for it."""


def is_manifest(path: Path) -> bool:
    """Whether the path is a CSV file, or a folder with a ``manifest.csv`` in it."""
    return (path.is_file() and path.suffix.lower() == ".csv") or (path / FILE_NAME).is_file()


def read_manifest(path: Path) -> PairedDataset:
    """Reads the pairs of a manifest into memory.

    Args:
        path: The CSV (UTF-8), or the folder of a ``manifest.csv``.

    Returns:
        Modalities "rgb" (uint8 RGBA, alpha 255 where the file has none) and "lidar" (float32 XYZA, see
        ``geometry.depth_to_xyza``); classes sorted by name; pairs in the order of the rows.

    Raises:
        DataError: A column is missing, a value is empty, no number or names a file outside of the folder, an
            image is listed twice, there are fewer than two classes, or a file cannot be used.
    """
    file = path / FILE_NAME if path.is_dir() else path
    table = _read_table(file)
    classes = sorted(set(table["label"]))
    if len(classes) < 2:
        raise DataError(f"{file} lists the classes {classes}; a classifier needs rows of at least two.")
    images, depths = _files(file, table["rgb"]), _files(file, table["depth"])
    intrinsics = [_numbers(file, table[name], positive=name in ("fx", "fy")) for name in ("fx", "fy", "cx", "cy")]

    rgb = stack("rgb", read_rgba, images)
    depth_m = stack("depth", read_depth, depths)
    height, width = rgb.shape[2:]
    if depth_m.shape[1:] != (height, width):
        raise DataError(
            f"{images[0]} has {height} x {width} pixels and {depths[0]} {depth_m.shape[1]} x "
            f"{depth_m.shape[2]}; register depth to color and bring both to one size."
        )
    return PairedDataset(
        info=DatasetInfo(file.resolve().parent.name, tuple(classes), {"rgb": 4, "lidar": 4}, (height, width)),
        inputs={"rgb": rgb, "lidar": depth_to_xyza(depth_m, *intrinsics)},
        labels=torch.tensor([classes.index(label) for label in table["label"]]),
        groups=torch.from_numpy(pd.factorize(table["group"])[0]).to(torch.int64),
        names=tuple(table["rgb"]),
    )


def _read_table(file: Path) -> pd.DataFrame:
    """The columns that are needed, as text without a gap, under row numbers counted from 1."""
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True)
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}); check the path.") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())  # pandas breaks its lines
        raise DataError(
            f"{file} is no CSV in UTF-8 ({reason}); write it with the columns {','.join(COLUMNS)}."
        ) from None
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise DataError(
            f"{file} has no column {', '.join(map(repr, missing))}; "
            f"a manifest needs the columns {','.join(COLUMNS)}."
        )
    table = pd.DataFrame({name: table[name].str.strip() for name in COLUMNS})
    table.index = pd.RangeIndex(1, len(table) + 1)
    if table.empty:
        raise DataError(f"{file} has no rows; add one for each pair.")
    for name in COLUMNS:
        gaps = table.index[table[name] == ""]
        if len(gaps):
            raise DataError(f"{file} has nothing in column {name!r} of row {gaps[0]}; fill it in.")
    twice = table.index[table["rgb"].duplicated()]
    if len(twice):
        raise DataError(
            f"{file} lists {table['rgb'][twice[0]]!r} again in row {twice[0]}; list every image once, "
            "or it may stand on both sides of a split."
        )
    return table


def _files(file: Path, column: pd.Series[str]) -> Sequence[Path]:
    """The paths of a column, none of which leaves the folder of the manifest."""
    folder = file.resolve().parent
    paths = []
    for row, name in enumerate(column, start=1):
        path = (folder / name).resolve()
        if not path.is_relative_to(folder):
            raise DataError(
                f"{file} names {name!r} in row {row}, which is outside of its folder; "
                "move the file into the folder and name it relative to that."
            )
        paths.append(path)
    return paths


def _numbers(file: Path, column: pd.Series[str], *, positive: bool) -> torch.Tensor:
    """A column of finite numbers; float64 (N,)."""
    numbers = pd.to_numeric(column, errors="coerce").astype("float64")
    for row, (text, number) in enumerate(zip(column, numbers, strict=True), start=1):
        if not math.isfinite(number) or (positive and number <= 0):
            raise DataError(
                f"{file} has {text!r} in column {column.name!r} of row {row}; "
                f"write a {'positive' if positive else 'finite'} number of pixels."
            )
    return torch.from_numpy(numbers.to_numpy(copy=True))
