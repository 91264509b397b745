"""Fits the light to statistics: those of the pictures, and the published ones of the whole original data set."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from data_utils.simulator.difficulty import Difficulty
from data_utils.simulator.light import Light
from data_utils.simulator.scenes import draw_scenes
from data_utils.simulator.sensors import photograph
from tools.camera.pictures import CLASSES, SIZE, Values, softened, table

CUBES, SPHERES, BATCH = 2501, 9999, 64
"""The images of the training set whose statistics are published, and the number of images in a batch."""
MEAN, DEVIATION = 0.00525, 0.0589
"""Mean over red, green and blue of the published statistics: the mean of all values, 0 to 1, and the mean over
batches of the standard deviation of a batch."""

_FEWEST_LIT = 20  # pixels; only pictures with a visible object were published
_COMPARED = 400  # pictures per class; the published statistics need more to be as exact
_MOMENT_ERROR = 0.01  # relative; the published values are of all images, ours of some


def simulated(light: Light, scenes: int, seed: int) -> dict[str, npt.NDArray[np.uint8]]:
    """The pictures of cubes and of spheres under a light, (N, 64, 64, 3) each, by solid."""
    drawn = draw_scenes(range(scenes), seed, Difficulty())
    pictures = {}
    for solid in CLASSES.values():
        pictures[solid] = np.zeros((scenes, SIZE, SIZE, 3), dtype=np.uint8)
        photograph(drawn, solid, pictures[solid], np.arange(scenes)[None], light)
    return pictures


def mixture(
    images: npt.NDArray[np.uint8], is_cube: npt.NDArray[np.bool_], generator: np.random.Generator
) -> tuple[float, float]:
    """Mean and deviation, as ``MEAN`` and ``DEVIATION``, of a training set with the original's share of cubes.

    Args:
        images: (N, H, W, 3).
        is_cube: (N,).
        generator: Draws the batches.
    """
    first = np.array([image.mean(axis=(0, 1)) for image in images]) / 255
    second = np.array([(image.astype(np.float32) ** 2).mean(axis=(0, 1)) for image in images]) / 255**2
    weights = np.where(is_cube, CUBES / is_cube.sum(), SPHERES / (~is_cube).sum()) / (CUBES + SPHERES)
    deviations = []
    for cubes in generator.binomial(BATCH, CUBES / (CUBES + SPHERES), size=400):
        chosen = np.concatenate(
            [
                generator.choice(np.flatnonzero(is_cube), cubes),
                generator.choice(np.flatnonzero(~is_cube), BATCH - cubes),
            ]
        )
        deviations.append(np.sqrt(second[chosen].mean(axis=0) - first[chosen].mean(axis=0) ** 2).mean())
    return float((weights @ first).mean()), float(np.mean(deviations))


def visible(pictures: Sequence[Values] | Values) -> dict[str, Values]:
    """The statistics of those pictures that show something."""
    rows = table(pictures)
    seen = rows["lit"] >= _FEWEST_LIT
    return {name: values[seen] for name, values in rows.items()}


def discrepancies(originals: Mapping[str, Mapping[str, Values]], light: Light, scenes: int, seed: int) -> Values:
    """Simulated means less original means, in standard errors: published statistics, then each of the pictures'.

    Args:
        originals: By solid, the statistics of its pictures (``visible``).
        light: Of the simulation.
        scenes: Their number.
        seed: Of the scenes.
    """
    pictures = simulated(light, scenes, seed)
    images = np.concatenate([pictures["cubes"], pictures["spheres"]])
    moments = mixture(images, np.arange(2 * scenes) < scenes, np.random.default_rng(0))
    result = list((np.array(moments) / (MEAN, DEVIATION) - 1) / _MOMENT_ERROR)
    for solid, rows in originals.items():
        ours = visible(softened(pictures[solid][:_COMPARED]))
        for name, theirs in rows.items():
            error = ours[name].std() / np.sqrt(len(theirs))
            result.append((ours[name].mean() - theirs.mean()) / error)
    return np.array(result)


def fit_exposure(
    originals: Mapping[str, Mapping[str, Values]],
    light: Light,
    direction_error_deg: float = 3.0,
    scenes: int = 2000,
    seed: int = 1,
) -> Light:
    """The strength and the phase that agree best with all statistics and with the phase of ``light``.

    The scenes are the same in every step, so differences between lights are not noise.

    Args:
        originals: As of ``discrepancies``.
        light: Its phase is from the poses; the other values stay.
        direction_error_deg: Standard error of that phase.
        scenes: Simulated per step.
        seed: Of these scenes.
    """

    def candidate(x: Values) -> Light:
        return replace(light, phase_deg=float(100 * x[0]), strength=float(10 * x[1]))

    def residuals(x: Values) -> Values:
        trial = candidate(x)
        prior = (trial.phase_deg - light.phase_deg) / direction_error_deg
        return np.append(discrepancies(originals, trial, scenes, seed), prior)

    start = [light.phase_deg / 100, light.strength / 10]
    return candidate(least_squares(residuals, start, diff_step=0.01, xtol=1e-3, ftol=1e-3).x)
