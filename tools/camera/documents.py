"""What is generated in docs/simulated.md: tables and contact sheet of the camera, and the table of levels."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy.spatial.transform import Rotation

from data_utils.simulator.difficulty import Difficulty
from data_utils.simulator.levels import LEVELS
from data_utils.simulator.light import LIGHT, Light
from data_utils.simulator.scenes import Scenes, draw_scenes
from data_utils.simulator.sensors import photograph
from tools.camera.facts import Original
from tools.camera.pictures import CLASSES, SIZE, STATISTICS, Values, softened, statistics
from tools.camera.population import BATCH, CUBES, DEVIATION, MEAN, SPHERES, mixture, simulated, visible
from tools.camera.poses import Pose, lit_faces

ROOT = Path(__file__).parents[2]
PAGE, SHEET = ROOT / "docs" / "simulated.md", ROOT / "docs" / "pictures" / "fitted-poses.png"

SCENES, SEED = 500, 0
"""Simulated pictures per class that are compared with the originals, and the seed of their scenes."""

_CROP, _COLUMNS = 24, 6  # pixels of a picture that are shown, and pictures in a row
_SIDE = 7 * _CROP
_MARGIN, _LINE = 8, 16
_DECIMALS = {"mean": 4, "elongation": 2, "convexity": 2}


def picture_of(pose: Pose, light: Light = LIGHT) -> npt.NDArray[np.uint8]:
    """The simulator's picture (64, 64, 3) of an object."""
    scene = Scenes(
        centers=pose.center[None],
        albedos=pose.color[None],
        rotations=pose.rotation[None],
        sizes=np.ones(1),
        light=np.ones(1),
    )
    picture = np.zeros((1, SIZE, SIZE, 3), dtype=np.uint8)
    photograph(scene, pose.solid, picture, np.zeros((1, 1), np.intp), light)
    return np.asarray(picture[0])


def tile(number: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a picture in the contact sheet."""
    left = _MARGIN + number % _COLUMNS * (_SIDE + _MARGIN)
    top = _MARGIN + _LINE + number // _COLUMNS * (_SIDE + _LINE + _MARGIN)
    return left, top, left + _SIDE, top + _SIDE


def contact_sheet(originals: Sequence[Original]) -> Image.Image:
    """The simulator's pictures of all originals' poses: the part around the lit pixels, enlarged."""
    right, bottom = (max(tile(number)[edge] for number in range(len(originals))) + _MARGIN for edge in (2, 3))
    sheet = Image.new("RGB", (right, bottom), (24, 24, 27))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for number, original in enumerate(originals):
        picture = picture_of(original.pose)
        lit_rows, lit_columns = np.nonzero(picture.max(axis=-1) > 20)
        top, left = (round(places.mean()) + _CROP - _CROP // 2 for places in (lit_rows, lit_columns))
        part = np.pad(picture, ((_CROP, _CROP), (_CROP, _CROP), (0, 0)))[top : top + _CROP, left : left + _CROP]
        left, top, _, _ = tile(number)
        pen.text((left, top - _LINE), original.name, (228, 228, 231), font)
        sheet.paste(Image.fromarray(part).resize((_SIDE, _SIDE), Image.Resampling.NEAREST), (left, top))
    return sheet


def pose_table(originals: Sequence[Original]) -> str:
    """What each original shows, and its pixels beside those of the simulated picture in the same pose."""
    lines = [
        "| picture | the original shows | pixels above 20, above 60, brightest value | simulated |",
        "| --- | --- | ---: | ---: |",
    ]
    for original in originals:
        ours = statistics(softened(picture_of(original.pose)[None])[0])
        counts = (
            ", ".join(f"{values[name]:.0f}" for name in ("lit", "bright", "brightest"))
            for values in (original.statistics, ours)
        )
        lines.append(f"| {original.name} | {original.shows} | {' | '.join(counts)} |")
    return "\n".join(lines)


def class_table(originals: Sequence[Original]) -> str:
    """Every statistic per class: mean and range of the originals and of simulated pictures."""
    pictures = simulated(LIGHT, SCENES, SEED)
    images = np.concatenate([pictures["cubes"], pictures["spheres"]])
    moments = mixture(images, np.arange(2 * SCENES) < SCENES, np.random.default_rng(0))
    theirs = {solid: [o for o in originals if o.pose.solid == solid] for solid in CLASSES.values()}
    ours = {solid: visible(softened(pictures[solid])) for solid in CLASSES.values()}
    heads = [
        f"{len(values)} original {solid} | {len(ours[solid]['lit'])} simulated {solid}"
        for solid, values in theirs.items()
    ]
    lines = [f"| per picture: mean (lowest to highest) | {' | '.join(heads)} |", f"| ---{' | ---:' * 4} |"]
    for name, title in STATISTICS.items():
        cells = []
        for solid in theirs:
            cells += [
                _range([original.statistics[name] for original in theirs[solid]], _DECIMALS.get(name, 0)),
                _range(ours[solid][name], _DECIMALS.get(name, 0)),
            ]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    scenes = draw_scenes(range(SCENES), SEED, Difficulty())
    poses = (Pose("cubes", *values) for values in zip(scenes.centers, _turns(scenes), scenes.albedos, strict=True))
    shares = [_two_faces(original.pose for original in theirs["cubes"]), _two_faces(poses)]
    lines += [
        f"| cubes with two or more lit faces | {' | '.join(shares)} | | |",
        "",
        f"| training set of {CUBES:,} cubes and {SPHERES:,} spheres | original | simulated |",
        "| --- | ---: | ---: |",
        f"| mean, 0 to 1 | {MEAN} | {moments[0]:.5f} |",
        f"| standard deviation (mean over batches of {BATCH}) | {DEVIATION} | {moments[1]:.4f} |",
    ]
    return "\n".join(lines)


SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "classes": "classes: {0}",
        "first_class_every": "one cube per {0} spheres",
        "most_pairs": "at most {0} pairs, whatever number is requested",
        "smallest": "sizes down to {0:g} of the original's",
        "dimmest": "light down to {0:g} of its strength",
        "image_noise": "noise with a standard deviation of {0:g} levels (of 255) in every pixel",
        "range_noise_m": "range noise up to {0:g} m",
        "dropped_returns": "up to {0:.0%} of returns lost",
        "clutter": "{0} small cubes and spheres between the sensors and the object",
        "failures": "the camera sees nothing in {0:.0%} of the scenes, the LiDAR in another {0:.0%}",
        "misalignment_deg": "the LiDAR rotated by up to {0:g} degrees about two axes, differently in every scene",
    }
)
"""Each setting of ``Difficulty`` in words."""


def level_table() -> str:
    """Every level, and its settings that differ from those of the original."""
    lines = ["| level | what is different |", "| --- | --- |"]
    for name, level in LEVELS.items():
        changes = []
        for field in fields(level):
            value = getattr(level, field.name)
            if value != field.default:
                changes.append(
                    SETTINGS[field.name].format(", ".join(value) if isinstance(value, tuple) else value)
                )
        lines.append(f"| `{name}` | {'; '.join(changes) or 'nothing: the settings of the original'} |")
    return "\n".join(lines)


def written(page: str, name: str, content: str) -> str:
    """The page with the content between the marks of that name."""
    marks = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    return re.sub(
        f"(?<={re.escape(marks[0])}).*(?={re.escape(marks[1])})", lambda _: f"{content}\n", page, flags=re.DOTALL
    )


def contents(originals: Sequence[Original]) -> dict[str, str]:
    """The generated tables by the name of their marks in the page."""
    return {"poses": pose_table(originals), "statistics": class_table(originals), "levels": level_table()}


def write(originals: Sequence[Original]) -> None:
    """Write the contact sheet and the tables of the page."""
    contact_sheet(originals).save(SHEET, optimize=True)
    page = PAGE.read_text(encoding="utf-8")
    for name, content in contents(originals).items():
        page = written(page, name, content)
    PAGE.write_text(page, encoding="utf-8")


def _range(values: Sequence[float] | Values, decimals: int) -> str:
    return f"{np.mean(values):.{decimals}f} ({np.min(values):.{decimals}f} to {np.max(values):.{decimals}f})"


def _turns(scenes: Scenes) -> Values:
    return np.asarray(Rotation.from_matrix(scenes.rotations).as_rotvec())


def _two_faces(poses: Iterable[Pose]) -> str:
    counts = [lit_faces(pose, LIGHT) for pose in poses]
    return f"{np.mean([count >= 2 for count in counts]):.0%}"
