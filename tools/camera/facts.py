"""What is known of the original's pictures: ``original.json``, written by the fit and read by the documentation.

It holds counts, statistics and fitted poses, not the pictures.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools.camera.pictures import Picture, Values, statistics
from tools.camera.poses import Pose

FILE = Path(__file__).with_name("original.json")


@dataclass(frozen=True, eq=False)
class Original:
    """One picture of the original data.

    Attributes:
        name: Of its file.
        shows: What one sees in it.
        statistics: By the names in ``pictures.STATISTICS``.
        pose: The fitted one.
    """

    name: str
    shows: str
    statistics: dict[str, float]
    pose: Pose


def load(file: Path = FILE) -> list[Original]:
    """The originals, cubes first."""
    return [
        Original(
            name=row["name"],
            shows=row["shows"],
            statistics=row["statistics"],
            pose=Pose(row["solid"], *(np.array(row[part]) for part in ("center_m", "turn", "color"))),
        )
        for row in json.loads(file.read_text(encoding="utf-8"))
    ]


def save(pictures: Sequence[Picture], poses: Sequence[Pose], file: Path = FILE) -> None:
    """Write pictures' statistics and poses. What a picture shows was written by hand and is kept."""
    shows = {original.name: original.shows for original in load(file)} if file.exists() else {}
    rows = [
        {
            "name": picture.name,
            "solid": picture.solid,
            "shows": shows.get(picture.name, ""),
            "statistics": {name: round(value, 5) for name, value in statistics(picture.values).items()},
            "center_m": _rounded(pose.center),
            "turn": _rounded(pose.turn),
            "color": _rounded(pose.color),
        }
        for picture, pose in zip(pictures, poses, strict=True)
    ]
    file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def _rounded(values: Values) -> list[float]:
    return [round(float(value), 3) for value in values]
