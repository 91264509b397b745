"""Any RGB + depth or RGB + range data, described by a CSV with one row per pair.

    rgb,depth,label,group,fx,fy,cx,cy
    chair/rgb/0001.png,chair/depth/0001.png,chair,kitchen,259.4,259.7,118.3,-25.1

    rgb,range,label,group,azimuth,zenith
    cubes/rgb/0000.png,cubes/lidar/0000.npy,cubes,0000,azimuth.npy,zenith.npy

Paths are relative to the folder of the CSV. ``rgb`` is an 8-bit PNG, ``depth`` a 16-bit gray PNG (millimeters, 0
for no measurement) or a npy of floats (meters), ``range`` a npy of floats (meters, 50.0 where a ray met nothing).
``label`` is the name of the class. Pairs of one ``group`` stay on one side of a split. fx, fy, cx, cy are the
pinhole intrinsics of the row, in pixels of its files. ``azimuth`` and ``zenith`` are npy files with one angle per
row and per column of a range image, in radians, the same in all rows of the CSV.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from data_utils.dataset import DatasetInfo, PairedDataset
from data_utils.errors import DataError
from data_utils.geometry import depth_to_xyza
from data_utils.layouts.media import read_angles, read_depth, read_plane, read_rgba, stack
from data_utils.layouts.ranges import Angles, common_angles, points_of_scans
from data_utils.simulator.shapes import Progress, Simulation, no_progress

DEPTH_COLUMNS = ("rgb", "depth", "label", "group", "fx", "fy", "cx", "cy")
"""The columns of a manifest of depth images; further columns are ignored."""

RANGE_COLUMNS = ("rgb", "range", "label", "group", "azimuth", "zenith")
"""The columns of a manifest of range images; the column ``range`` distinguishes it from one of depth images."""

FILE_NAME = "manifest.csv"
"""The name of the manifest if a folder is given."""


def is_manifest(path: Path) -> bool:
    """Whether the path is a CSV file or a folder with a ``manifest.csv``."""
    return (path.is_file() and path.suffix.lower() == ".csv") or (path / FILE_NAME).is_file()


def read_manifest(path: Path, angles_of: str = "") -> PairedDataset:
    """Read the pairs of a manifest into memory.

    Args:
        path: The CSV (UTF-8), or the folder of a ``manifest.csv``.
        angles_of: The class whose angles are used for all classes; "" if they are equal, and for depth images.

    Returns:
        Modalities "rgb" (uint8 RGBA, alpha 255 where the file has none) and "lidar" (float32 XYZA, see
        ``geometry``); classes sorted by name; pairs in the order of the rows.

    Raises:
        DataError: A column is missing; a value is empty, not a number or names a file outside of the folder; an
            image is listed twice; there are fewer than two classes; a file cannot be used; or the angles of range
            images differ between the classes.
    """
    file = path / FILE_NAME if path.is_dir() else path
    table = _read_table(file)
    classes = sorted(set(table["label"]))
    if len(classes) < 2:
        raise DataError(f"{file} lists the classes {classes}; a classifier needs at least two.")
    images = _files(file, table["rgb"])
    rgb = stack("rgb", read_rgba, images)
    points = _range_points(file, table, angles_of) if "range" in table else _depth_points(file, table, angles_of)
    if points.shape[2:] != rgb.shape[2:]:
        raise DataError(
            f"{images[0]} has {rgb.shape[2]} x {rgb.shape[3]} pixels, but its measurements have "
            f"{points.shape[2]} x {points.shape[3]}; register depth to color and bring both to one size."
        )
    height, width = rgb.shape[2:]
    return PairedDataset(
        info=DatasetInfo(file.resolve().parent.name, tuple(classes), {"rgb": 4, "lidar": 4}, (height, width)),
        inputs={"rgb": rgb, "lidar": points},
        labels=torch.tensor([classes.index(label) for label in table["label"]]),
        groups=torch.from_numpy(pd.factorize(table["group"])[0]).to(torch.int64),
        names=tuple(table["rgb"]),
    )


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


def _depth_points(file: Path, table: pd.DataFrame, angles_of: str) -> Tensor:
    """XYZA (N, 4, H, W) of depth images, each with the intrinsics of its row."""
    if angles_of:
        raise DataError(f"{file} lists depth images, which have intrinsics and no angles; leave angles_of out.")
    intrinsics = [_numbers(file, table[name], positive=name in ("fx", "fy")) for name in ("fx", "fy", "cx", "cy")]
    return depth_to_xyza(stack("depth", read_depth, _files(file, table["depth"])), *intrinsics)


def _range_points(file: Path, table: pd.DataFrame, angles_of: str) -> Tensor:
    """XYZA (N, 4, R, C) of range images, all with the same angles."""
    files = table[["label", "azimuth", "zenith"]].drop_duplicates()
    ambiguous = files["label"][files["label"].duplicated()]
    if len(ambiguous):
        raise DataError(
            f"{file} has several angles for class {ambiguous.iloc[0]!r}; name one azimuth and one zenith file per "
            "class."
        )
    azimuths, zeniths = _files(file, files["azimuth"]), _files(file, files["zenith"])
    by_class = {
        label: Angles(read_angles(azimuth), read_angles(zenith))
        for label, azimuth, zenith in zip(files["label"], azimuths, zeniths, strict=True)
    }
    angles = common_angles(str(file), by_class, angles_of)
    scans = _files(file, table["range"])
    return points_of_scans(stack("range", read_plane, scans), angles, scans[0])


def _read_table(file: Path) -> pd.DataFrame:
    """The required columns as text without empty values; row numbers count from 1."""
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True)
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}); check the path.") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())  # pandas' messages have several lines
        raise DataError(
            f"{file} is not a CSV in UTF-8 ({reason}); write it with the columns {','.join(DEPTH_COLUMNS)} or "
            f"{','.join(RANGE_COLUMNS)}."
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
        raise DataError(f"{file} has no rows; add one per pair.")
    for name in columns:
        gaps = table.index[table[name] == ""]
        if len(gaps):
            raise DataError(f"{file} has no value in column {name!r} of row {gaps[0]}; fill it in.")
    twice = table.index[table["rgb"].duplicated()]
    if len(twice):
        raise DataError(
            f"{file} lists {table['rgb'][twice[0]]!r} again in row {twice[0]}; list every image once, "
            "otherwise it can be in both training and validation."
        )
    return table


def _files(file: Path, column: "pd.Series[str]") -> Sequence[Path]:
    """The paths of a column, all of them inside the folder of the manifest."""
    folder = file.resolve().parent
    paths = []
    for row, name in enumerate(column, start=1):
        try:
            path = (folder / name).resolve()
        except (OSError, RuntimeError):  # links that form a loop
            raise DataError(f"{file} names {name!r} in row {row}, a broken link; repair it.") from None
        if not path.is_relative_to(folder):
            raise DataError(
                f"{file} names {name!r} in row {row}, which is outside of its folder; "
                "move the file into the folder and give the path relative to it."
            )
        paths.append(path)
    return paths


def _numbers(file: Path, column: "pd.Series[str]", *, positive: bool) -> Tensor:
    """A column of finite numbers; float64 (N,)."""
    numbers = pd.to_numeric(column, errors="coerce").astype("float64")
    for row, (text, number) in enumerate(zip(column, numbers, strict=True), start=1):
        if not math.isfinite(number) or (positive and number <= 0):
            raise DataError(
                f"{file} has {text!r} in column {column.name!r} of row {row}; "
                f"write a {'positive' if positive else 'finite'} number of pixels."
            )
    return torch.from_numpy(numbers.to_numpy(copy=True))
