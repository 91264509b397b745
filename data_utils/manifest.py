"""Any RGB + depth or RGB + range data, described by a CSV with a row a pair.

    rgb,depth,label,group,fx,fy,cx,cy
    chair/rgb/0001.png,chair/depth/0001.png,chair,kitchen,259.4,259.7,118.3,-25.1

    rgb,range,label,group,azimuth,zenith
    cubes/rgb/0000.png,cubes/lidar/0000.npy,cubes,0000,azimuth.npy,zenith.npy

``rgb`` is a PNG of 8 bits, ``depth`` a gray PNG of 16 bits (millimeters, 0 for no measurement) or a npy of
floats (meters), ``range`` a npy of floats (meters, 50.0 where nothing was met), all relative to the folder of
the CSV. ``label`` is the name of the class. Pairs of one ``group`` stay on one side of a split. fx, fy, cx, cy are
the row's pinhole intrinsics in pixels of its files; ``azimuth`` and ``zenith`` are npy files of radians, one for
each row and one for each column of a range image, the same in all rows of the CSV.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from data_utils.angles import Angles, common_angles
from data_utils.dataset import DataError, DatasetInfo, PairedDataset
from data_utils.geometry import depth_to_xyza
from data_utils.media import read_angles, read_depth, read_plane, read_rgba, stack
from data_utils.ranges import points_of_scans
from data_utils.shapes import Progress, Simulation, unseen

DEPTH_COLUMNS = ("rgb", "depth", "label", "group", "fx", "fy", "cx", "cy")
"""What a manifest of depth images has to have; further columns are allowed and not read."""

RANGE_COLUMNS = ("rgb", "range", "label", "group", "azimuth", "zenith")
"""What a manifest of range images has to have; a column ``range`` tells the two kinds apart."""

FILE_NAME = "manifest.csv"
"""What a manifest is called in a folder that is given for it."""


def is_manifest(path: Path) -> bool:
    """Whether the path is a CSV file, or a folder with a ``manifest.csv`` in it."""
    return (path.is_file() and path.suffix.lower() == ".csv") or (path / FILE_NAME).is_file()


def read_manifest(path: Path, angles_of: str = "") -> PairedDataset:
    """Reads the pairs of a manifest into memory.

    Args:
        path: The CSV (UTF-8), or the folder of a ``manifest.csv``.
        angles_of: The class whose angles are used for all; "" where all are equal, and for depth images.

    Returns:
        Modalities "rgb" (uint8 RGBA, alpha 255 where the file has none) and "lidar" (float32 XYZA, see
        ``geometry``); classes sorted by name; pairs in the order of the rows.

    Raises:
        DataError: A column is missing, a value is empty, no number or names a file outside of the folder, an
            image is listed twice, there are fewer than two classes, a file cannot be used, or the angles of range
            images differ.
    """
    file = path / FILE_NAME if path.is_dir() else path
    table = _read_table(file)
    classes = sorted(set(table["label"]))
    if len(classes) < 2:
        raise DataError(f"{file} lists the classes {classes}; a classifier needs rows of at least two.")
    images = _files(file, table["rgb"])
    rgb = stack("rgb", read_rgba, images)
    points = _range_points(file, table, angles_of) if "range" in table else _depth_points(file, table, angles_of)
    if points.shape[2:] != rgb.shape[2:]:
        raise DataError(
            f"{images[0]} has {rgb.shape[2]} x {rgb.shape[3]} pixels and its measurements {points.shape[2]} x "
            f"{points.shape[3]}; register depth to color and bring both to one size."
        )
    height, width = rgb.shape[2:]
    return PairedDataset(
        info=DatasetInfo(file.resolve().parent.name, tuple(classes), {"rgb": 4, "lidar": 4}, (height, width)),
        inputs={"rgb": rgb, "lidar": points},
        labels=torch.tensor([classes.index(label) for label in table["label"]]),
        groups=torch.from_numpy(pd.factorize(table["group"])[0]).to(torch.int64),
        names=tuple(table["rgb"]),
    )


def write_manifest(root: Path, simulation: Simulation, progress: Progress = unseen) -> None:
    """Writes a simulation as a manifest of range images, which ``read_manifest`` reads back to the same tensors.

    Args:
        root: Made if it does not exist.
        simulation: What to write.
        progress: Called with the pairs that are done and their number.
    """
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


def _depth_points(file: Path, table: pd.DataFrame, angles_of: str) -> Tensor:
    """XYZA (N, 4, H, W) of depth images with the intrinsics of their rows."""
    if angles_of:
        raise DataError(f"{file} has depth images with intrinsics in every row, and no angles of {angles_of!r}.")
    intrinsics = [_numbers(file, table[name], positive=name in ("fx", "fy")) for name in ("fx", "fy", "cx", "cy")]
    return depth_to_xyza(stack("depth", read_depth, _files(file, table["depth"])), *intrinsics)


def _range_points(file: Path, table: pd.DataFrame, angles_of: str) -> Tensor:
    """XYZA (N, 4, R, C) of range images with the one pair of angles of all rows."""
    by_class: dict[str, Angles] = {}
    used = table[["label", "azimuth", "zenith"]].drop_duplicates()
    if used["label"].duplicated().any():
        name = used["label"][used["label"].duplicated()].iloc[0]
        raise DataError(
            f"{file} has several angles for class {name!r}; name one azimuth and one zenith file in it."
        )
    azimuths, zeniths = _files(file, used["azimuth"]), _files(file, used["zenith"])
    for label, azimuth, zenith in zip(used["label"], azimuths, zeniths, strict=True):
        by_class[label] = Angles(read_angles(azimuth), read_angles(zenith))
    angles = common_angles(str(file), by_class, angles_of)
    scans = _files(file, table["range"])
    return points_of_scans(stack("range", read_plane, scans), angles, scans[0])


def _read_table(file: Path) -> pd.DataFrame:
    """The columns that are needed, as text without a gap, under row numbers counted from 1."""
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True)
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}); check the path.") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())  # pandas breaks its lines
        raise DataError(
            f"{file} is no CSV in UTF-8 ({reason}); write it with the columns {','.join(DEPTH_COLUMNS)}."
        ) from None
    columns = RANGE_COLUMNS if "range" in table.columns else DEPTH_COLUMNS
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise DataError(
            f"{file} has no column {', '.join(map(repr, missing))}; "
            f"a manifest needs the columns {','.join(columns)}."
        )
    table = pd.DataFrame({name: table[name].str.strip() for name in columns})
    table.index = pd.RangeIndex(1, len(table) + 1)
    if table.empty:
        raise DataError(f"{file} has no rows; add one for each pair.")
    for name in columns:
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
        try:
            path = (folder / name).resolve()
        except (OSError, RuntimeError):  # links that run in a circle
            raise DataError(f"{file} names {name!r} in row {row}, a link that leads nowhere; mend it.") from None
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
