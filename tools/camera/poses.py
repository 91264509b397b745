"""Fits the place, rotation and color of the object in a picture, and the direction of the light in several.

The pictures are drawn here with exact borders of faces, not with the simulator's rays: a derivative needs pictures
that change smoothly with the pose. Reflection and exposure are the simulator's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation
from scipy.stats import kstest

from data_utils.simulator.light import Light
from data_utils.simulator.scenes import DISTANCE_M, HALF_SPACE_M
from data_utils.simulator.sensors import FOCAL_LENGTH
from data_utils.simulator.solids import CUBE_EDGE_M, SPHERE_RADIUS_M
from tools.camera.pictures import LIT, SIZE, SOFT_PIXELS, Picture, Values

_FOCAL = FOCAL_LENGTH * SIZE
_WINDOW, _SAMPLES = 26, 2  # rows and columns that are compared, around the lit pixels; samples per pixel and axis
_OUTSIDE = 50.0  # residual per meter that an object is outside of the space of the original's objects
_ROTATIONS, _STARTS = 800, 6  # random rotations that are tried, and the best of them, which are refined
_STEPS = np.array([0.15, 0.15, 0.3, 0.04, 0.04, 0.04, 0.1, 0.1, 0.1])  # of ``Pose.parameters``; for derivatives


@dataclass(frozen=True, eq=False)
class Pose:
    """An object in a scene.

    Attributes:
        solid: "cubes" or "spheres".
        center: (3,) in meters, in the frame of ``scenes``.
        turn: (3,), the rotation vector of a cube.
        color: (3,), the albedo, 0 to 1.
    """

    solid: str
    center: Values
    turn: Values
    color: Values

    @property
    def rotation(self) -> Values:
        """The matrix (3, 3) whose columns are the object's axes."""
        return np.asarray(Rotation.from_rotvec(self.turn).as_matrix())

    @property
    def parameters(self) -> Values:
        """Column, row, distance, rotation vector (cubes only), log-odds of the color."""
        x, y, z = self.center
        place = [SIZE / 2 + _FOCAL * x / y, SIZE / 2 - _FOCAL * z / y, y]
        turn = self.turn if self.solid == "cubes" else np.zeros(0)
        color = np.clip(self.color, 1e-3, 1 - 1e-3)
        return np.concatenate([place, turn, np.log(color / (1 - color))])

    @classmethod
    def of(cls, solid: str, parameters: Values) -> "Pose":
        """The pose with these ``parameters``."""
        column, row, y = parameters[:3]
        center = np.array([(column - SIZE / 2) * y / _FOCAL, y, (SIZE / 2 - row) * y / _FOCAL])
        turn = parameters[3:6] if solid == "cubes" else np.zeros(3)
        return cls(solid, center, turn, 1 / (1 + np.exp(-np.clip(parameters[-3:], -12, 12))))


@dataclass(frozen=True)
class Face:
    """A visible face of a cube: its corners (4, 2) as columns and rows, and what it reflects, matte and coat."""

    corners: Values
    matte: float
    coat: float

    @property
    def signed_area(self) -> float:
        """In pixels; its sign is the sense of the corners."""
        (x, y), (next_x, next_y) = self.corners.T, np.roll(self.corners, -1, axis=0).T
        return float((x * next_y - next_x * y).sum() / 2)


def faces(pose: Pose, light: Light) -> list[Face]:
    """The visible faces of a cube."""
    visible, rotation = [], pose.rotation
    for axis in range(3):
        normal = -np.sign(rotation[:, axis] @ pose.center) * rotation[:, axis]
        middle = pose.center + CUBE_EDGE_M / 2 * normal
        if normal @ middle >= 0:
            continue
        one, other = (CUBE_EDGE_M / 2 * rotation[:, (axis + step) % 3] for step in (1, 2))
        corners = np.array(
            [middle - one - other, middle + one - other, middle + one + other, middle - one + other]
        )
        pixels = SIZE / 2 + _FOCAL * np.stack([corners[:, 0], -corners[:, 2]], axis=1) / corners[:, 1:2]
        matte, coat = light.reflected(*(np.asarray(normal @ way) for way in _ways(pose, light)))
        visible.append(Face(pixels, float(matte), float(coat)))
    return visible


def lit_faces(pose: Pose, light: Light, pixels: float = 4.0) -> int:
    """The number of faces of a cube that cover this many pixels or more with a value above 20 of 255."""
    return sum(
        abs(face.signed_area) >= pixels
        and float(255 * light.exposed(light.strength * (face.matte * pose.color + face.coat)).max()) > LIT
        for face in faces(pose, light)
    )


def draw(pose: Pose, light: Light, top: int, left: int, samples: int = _SAMPLES, blur: float = 0.0) -> Values:
    """The window (26, 26, 3) of a picture whose first row and column these are; values 0 to 255."""
    places = (np.arange(_WINDOW * samples) + 0.5) / samples
    columns, rows = np.meshgrid(left + places, top + places)
    matte, coat = (_cube if pose.solid == "cubes" else _sphere)(pose, light, columns, rows, samples)
    if samples > 1:
        blocks = (_WINDOW, samples, _WINDOW, samples)
        matte, coat = (part.reshape(blocks).mean(axis=(1, 3)) for part in (matte, coat))
    values = 255 * light.exposed(light.strength * (matte[..., None] * pose.color + coat[..., None]))
    return np.asarray(gaussian_filter(values, (blur, blur, 0)) if blur else values)


def fit_pose(picture: Picture, light: Light, generator: np.random.Generator) -> Pose:
    """The pose whose picture is nearest to this one in the sum of squares, from many random rotations."""
    starts = _starts(picture, light, generator)
    results = [_refine(picture, light, pose, 12) for pose in starts]
    _, best = min(results, key=lambda result: result[0])
    return refined(picture, light, best)


def refined(picture: Picture, light: Light, pose: Pose) -> Pose:
    """The best pose near a pose."""
    return _refine(picture, light, pose, 40)[1]


def fit_direction(
    pictures: Sequence[Picture], poses: Sequence[Pose], light: Light
) -> tuple[Light, list[Pose], float]:
    """The direction of the light that all pictures share, with their poses, from the given ones.

    Returns:
        The light, the poses, and the root mean square of the differences in the windows.
    """
    starts = [pose.parameters for pose in poses]
    ends = np.cumsum([2, *map(len, starts)])
    steps = np.concatenate([[1.0, 1.0], *(_steps(start) for start in starts)])

    def world(x: Values) -> tuple[Light, list[Values]]:
        parameters = np.split(x * steps, ends[:-1])
        phase, elevation = parameters[0]
        return replace(light, phase_deg=float(phase), elevation_deg=float(elevation)), parameters[1:]

    def residuals(x: Values) -> Values:
        shared, parameters = world(x)
        return np.concatenate([_difference(*pair, shared) for pair in zip(pictures, parameters, strict=True)])

    def jacobian(x: Values) -> Values:
        """Each pose changes one picture only, so a picture is drawn for its own parameters and the light's two."""
        result = np.zeros((len(pictures) * _RESIDUALS, len(x)))
        for place in range(2):
            result[:, place] = _slope(residuals, x, place)
        shared, parameters = world(x)
        for number, (picture, start, end) in enumerate(zip(pictures, ends, ends[1:], strict=False)):
            rows = slice(number * _RESIDUALS, (number + 1) * _RESIDUALS)

            def own(u: Values, picture: Picture = picture, start: int = start, end: int = end) -> Values:
                return _difference(picture, u * steps[start:end], shared)

            for place in range(start, end):
                result[rows, place] = _slope(own, parameters[number] / steps[start:end], place - start)
        return result

    first = np.concatenate([[light.phase_deg, light.elevation_deg], *starts]) / steps
    found = least_squares(residuals, first, jacobian, max_nfev=20)
    shared, parameters = world(found.x)
    fitted = [Pose.of(pose.solid, part) for pose, part in zip(poses, parameters, strict=True)]
    return shared, fitted, float(np.sqrt(2 * found.cost / (len(pictures) * _RESIDUALS)))


def rotation_report(cubes: Sequence[Pose]) -> str:
    """How well the rotations of cubes agree with two distributions, as p-values of Kolmogorov-Smirnov tests.

    Compared is the angle between the line of sight, and between the vertical, and the nearest axis of the cube.
    """
    generator = np.random.default_rng(0)
    theirs = np.stack([pose.rotation for pose in cubes])
    uniform = Rotation.from_quat(generator.normal(size=(20_000, 4))).as_matrix()
    angles = Rotation.from_euler("xyz", generator.uniform(-np.pi, np.pi, (20_000, 3))).as_matrix()
    lines = []
    for name, ours in (("uniform rotations", uniform), ("uniform Euler angles", angles)):
        tests = (kstest(np.abs(theirs[:, axis]).max(axis=1), np.abs(ours[:, axis]).max(axis=1)) for axis in (1, 2))
        lines.append(f"{name}: p = {' (line of sight), '.join(f'{test.pvalue:.2f}' for test in tests)} (vertical)")
    return "\n".join(lines)


_RESIDUALS = _WINDOW * _WINDOW * 3 + 3


def window(picture: Picture) -> tuple[int, int]:
    """The first row and column of the window around the lit pixels."""
    rows, columns = np.nonzero(picture.values.max(axis=-1) > LIT)
    return round(rows.mean()) - _WINDOW // 2, round(columns.mean()) - _WINDOW // 2


def _difference(picture: Picture, parameters: Values, light: Light) -> Values:
    """A drawn picture less the original in the window, and how far the object is outside of its space."""
    pose, (top, left) = Pose.of(picture.solid, parameters), window(picture)
    padded = np.pad(picture.values, ((_WINDOW, _WINDOW), (_WINDOW, _WINDOW), (0, 0)))
    part = padded[top + _WINDOW : top + 2 * _WINDOW, left + _WINDOW : left + 2 * _WINDOW]
    outside = np.maximum(np.abs(pose.center - [0, DISTANCE_M, 0]) - HALF_SPACE_M, 0)
    return np.concatenate([(draw(pose, light, top, left, blur=SOFT_PIXELS) - part).ravel(), _OUTSIDE * outside])


def _slope(function: Callable[[Values], Values], x: Values, place: int) -> Values:
    """The derivative of a function by one of its arguments, from steps of 1 to both sides."""
    step = np.zeros(len(x))
    step[place] = 1
    return np.asarray((function(x + step) - function(x - step)) / 2)


def _steps(parameters: Values) -> Values:
    return np.delete(_STEPS, slice(3, 6)) if len(parameters) == 6 else _STEPS


def _refine(picture: Picture, light: Light, pose: Pose, steps: int) -> tuple[float, Pose]:
    scale = _steps(pose.parameters)

    def residuals(x: Values) -> Values:
        return _difference(picture, x * scale, light)

    def jacobian(x: Values) -> Values:
        return np.stack([_slope(residuals, x, place) for place in range(len(x))], axis=1)

    found = least_squares(residuals, pose.parameters / scale, jacobian, max_nfev=steps)
    return float(found.cost), Pose.of(picture.solid, found.x * scale)


def _starts(picture: Picture, light: Light, generator: np.random.Generator) -> list[Pose]:
    """The best of random rotations at random distances, moved to where the picture's lit pixels are."""
    top, left = window(picture)
    padded = np.pad(picture.values, ((_WINDOW, _WINDOW), (_WINDOW, _WINDOW), (0, 0)))
    brightness = padded[top + _WINDOW : top + 2 * _WINDOW, left + _WINDOW : left + 2 * _WINDOW].max(axis=-1)
    bright = picture.values.max(axis=-1) > 0.8 * picture.values.max()
    share = np.clip(np.median(picture.values[bright], axis=0) / 255, 0.001, 0.999)
    radiance = (share / (1 - share)) ** (2 / 3)  # the inverse of Light.exposed
    middle = _middle(brightness)
    number = _ROTATIONS if picture.solid == "cubes" else _STARTS
    candidates: list[tuple[float, int, Pose]] = []
    for quaternion in generator.normal(size=(number, 4)):
        y = DISTANCE_M + HALF_SPACE_M * generator.uniform(-1, 1)
        turn = Rotation.from_quat(quaternion).as_rotvec() if picture.solid == "cubes" else np.zeros(3)
        color = np.clip(radiance / light.strength, 0.01, 0.95)
        place = np.array([left + middle[0], top + middle[1], y])
        for _ in range(2):
            parameters = [*place, *turn, *np.zeros(3)] if picture.solid == "cubes" else [*place, *np.zeros(3)]
            pose = replace(Pose.of(picture.solid, np.array(parameters)), color=color)
            drawn = draw(pose, light, top, left, samples=1).max(axis=-1)
            if drawn.max() < LIT:
                break
            place[:2] += np.array(middle) - _middle(drawn)
        else:
            candidates.append((float(((drawn - brightness) ** 2).sum()), len(candidates), pose))
    return [pose for _, _, pose in sorted(candidates)[:_STARTS]]


def _middle(brightness: Values) -> tuple[float, float]:
    """Column and row of the center of the lit pixels, weighted with their brightness."""
    weights = np.where(brightness > LIT, brightness, 0)
    places = np.arange(len(weights)) + 0.5
    return (
        float((weights.sum(axis=0) * places).sum() / weights.sum()),
        float((weights.sum(axis=1) * places).sum() / weights.sum()),
    )


def _ways(pose: Pose, light: Light) -> tuple[Values, Values, Values]:
    """Unit vectors from an object to the light, to the camera and half-way between them."""
    to_camera = -pose.center / np.linalg.norm(pose.center)
    half = light.direction + to_camera
    return light.direction, to_camera, half / np.linalg.norm(half)


def _cube(pose: Pose, light: Light, columns: Values, rows: Values, samples: int) -> tuple[Values, Values]:
    """What samples of the picture see of a cube, matte and coat, with borders that are one sample wide."""
    matte, coat = np.zeros(columns.shape), np.zeros(columns.shape)
    for face in faces(pose, light):
        covered = np.ones(columns.shape)
        for (x, y), (next_x, next_y) in zip(face.corners, np.roll(face.corners, -1, axis=0), strict=True):
            length = np.hypot(next_x - x, next_y - y) * np.sign(face.signed_area)
            inside = ((rows - y) * (next_x - x) - (columns - x) * (next_y - y)) / (length or 1.0)
            covered *= np.clip(inside * samples + 0.5, 0, 1)
        matte, coat = matte + covered * face.matte, coat + covered * face.coat
    return matte, coat


def _sphere(pose: Pose, light: Light, columns: Values, rows: Values, samples: int) -> tuple[Values, Values]:
    """The same of a sphere."""
    x, y, z = pose.center
    right, up = (columns - SIZE / 2) / _FOCAL, (SIZE / 2 - rows) / _FOCAL
    squared_length, along = right * right + 1 + up * up, right * x + y + up * z
    beyond = x * x + y * y + z * z - SPHERE_RADIUS_M**2
    discriminant = along * along - squared_length * beyond
    slope = np.hypot(along * x - right * beyond, along * z - up * beyond) * 2 / _FOCAL
    covered = np.clip(discriminant / slope * samples + 0.5, 0, 1)
    distance = (along - np.sqrt(np.maximum(discriminant, 0))) / squared_length
    normals = (right * distance - x, distance - y, up * distance - z)
    to_light, to_camera, to_half = (
        sum(part * component for part, component in zip(normals, way, strict=True)) / SPHERE_RADIUS_M
        for way in _ways(pose, light)
    )
    matte, coat = light.reflected(to_light, np.maximum(to_camera, 0), to_half)
    return covered * matte, covered * coat
