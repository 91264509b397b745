"""``python -m tools.camera``: fit the simulator's light to pictures of the original, or write the documentation.

The pictures are not part of this repository. The fit prints a light, to be written into
``data_utils/simulator/light.py`` by hand, and writes statistics and poses of the pictures to ``original.json``.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from data_utils.errors import DataError
from data_utils.simulator.light import LIGHT
from tools.camera import documents, facts
from tools.camera.pictures import CLASSES, STATISTICS, Picture, read
from tools.camera.population import discrepancies, fit_exposure, visible
from tools.camera.poses import fit_direction, fit_pose, refined, rotation_report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.camera", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    fitting = commands.add_parser("fit", help="fit the light and the poses; minutes")
    fitting.add_argument("folder", type=Path, help="with cube_*.png and sphere_*.png of 64 x 64 pixels")
    fitting.add_argument("--scenes", type=int, default=2000, help="simulated per step; default: %(default)s")
    fitting.set_defaults(command=lambda options: _fit(read(options.folder), options.scenes))
    writing = commands.add_parser("document", help="write the tables and the contact sheet of docs/simulated.md")
    writing.set_defaults(command=lambda _: documents.write(facts.load()))
    options = parser.parse_args(arguments)
    try:
        options.command(options)
    except (DataError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _fit(pictures: Sequence[Picture], scenes: int) -> None:
    poses = []
    for number, picture in enumerate(pictures):
        poses.append(fit_pose(picture, LIGHT, np.random.default_rng([0, number])))
        print(f"pose {number + 1} of {len(pictures)}: {picture.name}", file=sys.stderr, flush=True)
    posed, poses, error = fit_direction(pictures, poses, LIGHT)
    print(f"light from the poses: {posed.phase_deg:.1f} degrees, {posed.elevation_deg:.1f} above the horizontal")
    print(f"root mean square difference of the pictures: {error:.1f} of 255")
    originals = {
        solid: visible([picture.values for picture in pictures if picture.solid == solid])
        for solid in CLASSES.values()
    }
    light = fit_exposure(originals, posed, scenes=scenes)
    light = replace(light, **{name: round(getattr(light, name), 1) for name in _ROUNDED})
    print(f"with the statistics: {light}")
    names = ["published mean", "published deviation"]
    names += [f"{solid}, {title}" for solid in originals for title in STATISTICS.values()]
    for name, value in zip(names, discrepancies(originals, light, scenes, seed=2), strict=True):
        print(f"  {name}: {value:+.1f} standard errors")
    poses = [refined(picture, light, pose) for picture, pose in zip(pictures, poses, strict=True)]
    print(rotation_report([pose for pose in poses if pose.solid == "cubes"]))
    facts.save(pictures, poses)
    print(f"statistics and poses: {facts.FILE}")


_ROUNDED = ("phase_deg", "elevation_deg", "strength")

if __name__ == "__main__":
    sys.exit(main())
