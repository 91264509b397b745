"""Small files of pairs that several test files share."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from data_utils import PairedDataset, load

DEPTH_M = np.array([[0.0, 0.8, 1.0], [1.5, 2.0, 2.5]])
"""Two rows and three columns of depth; one pixel is not measured."""


def write_image(path: Path, size: tuple[int, int] = (3, 2), color: int = 0) -> None:
    """An image of (columns, rows) in one color."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (color, 20, 30)).save(path)


def write_depth(path: Path, stored: npt.NDArray[np.generic]) -> None:
    """A depth file of the type that its name ends with."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, stored)
    else:
        Image.fromarray(stored).save(path)


def write_pairs(
    folder: Path,
    depth: npt.NDArray[np.generic] | None = None,
    suffix: str = ".png",
    header: str = "",
    row: str = "",
) -> Path:
    """A manifest of four pairs in two classes, with intrinsics fx = fy = 2 and the middle in the first pixel.

    Args:
        folder: Of the manifest.
        depth: As it is stored; millimeters by default.
        suffix: Of the depth files.
        header: More columns, with a comma before them.
        row: Their values.
    """
    stored = (DEPTH_M * 1000).astype(np.uint16) if depth is None else depth
    lines = [f"rgb,depth,label,group,fx,fy,cx,cy{header}"]
    for pair in range(4):
        size = (stored.shape[1], stored.shape[0])
        write_image(folder / "rgb" / f"{pair}.png", size, color=pair)
        write_depth(folder / "depth" / f"{pair}{suffix}", stored)
        lines.append(f"rgb/{pair}.png,depth/{pair}{suffix},{'ab'[pair % 2]},{pair},2,2,0,0{row}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


def write_class_folders(
    folder: Path, names: Mapping[str, npt.NDArray[np.generic]], order: str, stems: str
) -> Path:
    """Folders of the classes a and b and these modalities, each with a copy of the values for every stem."""
    for label in "ab":
        for modality, values in names.items():
            first, second = (label, modality) if order == "class" else (modality, label)
            for stem in stems:
                write_depth(folder / first / second / f"{stem}.png", values)
    return folder


def z_of(data: PairedDataset) -> npt.NDArray[np.float32]:
    """The distance along the optical axis of the first pair's points, NaN where a = 0."""
    points = data.batch().inputs["lidar"][0].numpy()
    return np.where(points[3] > 0, points[2], np.nan)


def depth_of(folder: Path) -> npt.NDArray[np.float32]:
    """``z_of`` the data set in a folder."""
    return z_of(load(str(folder)))
