from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from data_utils.raycasting import Directions, ray_cube, ray_sphere

AHEAD = (0.0, 1.0, 0.0)
CENTER = np.array([[0.0, 25.0, 0.0]])
UPRIGHT = np.eye(3)[None]


def rays(*directions: tuple[float, float, float]) -> Directions:
    """Rays of one object, side by side."""
    x, y, z = np.array(directions).T[:, None, None, :]
    return x, y, z


def turned(angle: float) -> npt.NDArray[np.float64]:
    """A rotation about the vertical."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]])


def test_sphere_ahead() -> None:
    distance = ray_sphere(rays(AHEAD, (0.0, 2.0, 0.0), (0.0, -1.0, 0.0), (1.0, 0.0, 0.0)), CENTER, 1.45)
    assert distance.flatten().tolist() == [pytest.approx(23.55), pytest.approx(23.55 / 2), np.inf, np.inf]


def test_sphere_is_hit_up_to_its_rim() -> None:
    rim = np.arcsin(1.45 / 25)
    inside, outside = ((np.sin(a), np.cos(a), 0.0) for a in (rim - 1e-6, rim + 1e-6))
    at_rim, beyond = ray_sphere(rays(inside, outside), CENTER, 1.45).flatten()
    assert at_rim == pytest.approx(np.sqrt(25**2 - 1.45**2), rel=1e-3)
    assert beyond == np.inf


def test_cube_face_on() -> None:
    edge = 1.5 / 23.5
    distance, face = ray_cube(
        rays(AHEAD, (edge - 1e-6, 1.0, 0.0), (edge + 1e-6, 1.0, 0.0), (0.0, -1.0, 0.0)), CENTER, UPRIGHT, 3.0
    )
    assert distance.flatten().tolist() == [pytest.approx(23.5), pytest.approx(23.5), np.inf, np.inf]
    assert face[0, 0, :2].tolist() == [1, 1]


def test_cube_edge_on() -> None:
    distance, _ = ray_cube(rays(AHEAD), CENTER, turned(np.pi / 4), 3.0)
    assert distance.item() == pytest.approx(25 - 1.5 * np.sqrt(2))


def test_cube_knows_which_face_is_entered() -> None:
    """Edge-on, a ray to the left of the edge enters one face and a ray to the right of it the other."""
    _, face = ray_cube(rays((-0.03, 1.0, 0.0), (0.03, 1.0, 0.0)), CENTER, turned(np.pi / 4), 3.0)
    assert set(face[0, 0, :2].tolist()) == {0, 1}
    _, top = ray_cube(rays((0.0, 1.0, -0.18)), np.array([[0.0, 25.0, -6.0]]), UPRIGHT, 3.0)
    assert top.item() == 2


def test_cube_hits_lie_on_its_surface_and_misses_pass_it() -> None:
    """An independent reference: in the cube's own axes the largest coordinate of a hit is half the edge."""
    generator = np.random.default_rng(0)
    rotation = np.linalg.qr(generator.normal(size=(20, 3, 3)))[0]
    centers = generator.uniform(-2, 2, (20, 3)) + CENTER
    directions = generator.uniform(-0.2, 0.2, (20, 500, 3)) + np.array(AHEAD)
    x, y, z = np.moveaxis(directions, -1, 0)[:, :, None, :]
    distance, face = ray_cube((x, y, z), centers, rotation, 3.0)
    hit = np.isfinite(distance[:, 0])
    assert 1000 < hit.sum() < 9000
    points = np.where(hit, distance[:, 0], 0)[..., None] * directions - centers[:, None]
    local = np.einsum("nij,nri->nrj", rotation, points)[hit]
    np.testing.assert_allclose(np.abs(local).max(axis=1), 1.5, rtol=1e-9)
    np.testing.assert_array_equal(np.abs(local).argmax(axis=1), face[:, 0][hit])
    along = np.linspace(20, 30, 400)
    passing = directions[:, :, None] * along[:, None] - centers[:, None, None]
    inside = (np.abs(np.einsum("nij,nrsi->nrsj", rotation, passing)).max(axis=-1) < 1.5).any(axis=-1)
    assert not (inside & ~hit).any()
