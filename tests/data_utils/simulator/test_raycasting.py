import numpy as np
import numpy.typing as npt
import pytest

from data_utils.simulator.raycasting import Directions, ray_cube, ray_frustum, ray_sphere

AHEAD = (0.0, 1.0, 0.0)
CENTER = np.array([[0.0, 25.0, 0.0]])
UPRIGHT = np.eye(3)[None]
RADIUS, EDGE = np.array([1.45]), np.array([3.0])


def rays(*directions: tuple[float, float, float]) -> Directions:
    """Rays for one object, in one row."""
    x, y, z = np.array(directions).T[:, None, None, :]
    return x, y, z


def rotated(angle: float) -> npt.NDArray[np.float64]:
    """A rotation about the vertical."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]])


def test_sphere_ahead() -> None:
    distance = ray_sphere(rays(AHEAD, (0.0, 2.0, 0.0), (0.0, -1.0, 0.0), (1.0, 0.0, 0.0)), CENTER, RADIUS)
    assert distance.flatten().tolist() == [pytest.approx(23.55), pytest.approx(23.55 / 2), np.inf, np.inf]


def test_sphere_is_hit_up_to_its_rim() -> None:
    rim = np.arcsin(1.45 / 25)
    inside, outside = ((np.sin(a), np.cos(a), 0.0) for a in (rim - 1e-6, rim + 1e-6))
    at_rim, beyond = ray_sphere(rays(inside, outside), CENTER, RADIUS).flatten()
    assert at_rim == pytest.approx(np.sqrt(25**2 - 1.45**2), rel=1e-3)
    assert beyond == np.inf


def test_cube_face_on() -> None:
    edge = 1.5 / 23.5
    distance, face = ray_cube(
        rays(AHEAD, (edge - 1e-6, 1.0, 0.0), (edge + 1e-6, 1.0, 0.0), (0.0, -1.0, 0.0)), CENTER, UPRIGHT, EDGE
    )
    assert distance.flatten().tolist() == [pytest.approx(23.5), pytest.approx(23.5), np.inf, np.inf]
    assert face[0, 0, :2].tolist() == [1, 1]


def test_cube_edge_on() -> None:
    distance, _ = ray_cube(rays(AHEAD), CENTER, rotated(np.pi / 4), EDGE)
    assert distance.item() == pytest.approx(25 - 1.5 * np.sqrt(2))


def test_cube_reports_the_entered_face() -> None:
    """Edge-on, a ray to the left of the edge enters one face and a ray to the right of it the other."""
    _, face = ray_cube(rays((-0.03, 1.0, 0.0), (0.03, 1.0, 0.0)), CENTER, rotated(np.pi / 4), EDGE)
    assert set(face[0, 0, :2].tolist()) == {0, 1}
    _, top = ray_cube(rays((0.0, 1.0, -0.18)), np.array([[0.0, 25.0, -6.0]]), UPRIGHT, EDGE)
    assert top.item() == 2


def test_cube_hits_lie_on_its_surface_and_misses_pass_it() -> None:
    """An independent reference: in the cube's own axes the largest coordinate of a hit is half the edge."""
    generator = np.random.default_rng(0)
    rotation = np.linalg.qr(generator.normal(size=(20, 3, 3)))[0]
    centers = generator.uniform(-2, 2, (20, 3)) + CENTER
    directions = generator.uniform(-0.2, 0.2, (20, 500, 3)) + np.array(AHEAD)
    x, y, z = np.moveaxis(directions, -1, 0)[:, :, None, :]
    distance, face = ray_cube((x, y, z), centers, rotation, np.full(20, 3.0))
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


CYLINDER = {"foot_radii": np.array([1.5]), "top_radii": np.array([1.5]), "heights": np.array([3.0])}
CONE = {"foot_radii": np.array([1.5]), "top_radii": np.array([0.0]), "heights": np.array([3.0])}


def lying(*, up: bool) -> npt.NDArray[np.float64]:
    """The axis along the line of sight, with the top away from the origin, or towards it if ``up``."""
    axis = -1.0 if up else 1.0
    return np.array([[[1.0, 0.0, 0.0], [0.0, 0.0, axis], [0.0, -axis, 0.0]]])


def test_upright_cylinder_is_hit_at_its_side_and_missed_beside_and_above() -> None:
    side = 1.5 / np.sqrt(25**2 - 1.5**2)
    distance, (x, y, z) = ray_frustum(
        rays(AHEAD, (side - 1e-6, 1.0, 0.0), (side + 1e-6, 1.0, 0.0), (0.0, 1.0, 0.07), (0.0, -1.0, 0.0)),
        CENTER,
        UPRIGHT,
        **CYLINDER,
    )
    assert distance[0, 0, 0] == pytest.approx(23.5)
    assert distance[0, 0, 1] == pytest.approx(25 - 1.5**2 / 25, abs=0.02)
    assert np.isinf(distance[0, 0, 2:]).all()
    assert (x[0, 0, 0], y[0, 0, 0], z[0, 0, 0]) == pytest.approx((0, -1, 0))


@pytest.mark.parametrize("shape", [CYLINDER, CONE])
def test_frustum_seen_from_its_foot_is_a_disk(shape: dict[str, npt.NDArray[np.float64]]) -> None:
    rim = 1.5 / 23.5
    distance, (_, y, _) = ray_frustum(
        rays(AHEAD, (rim - 1e-6, 1.0, 0.0), (rim + 1e-4, 1.0, 0.0)), CENTER, lying(up=False), **shape
    )
    assert distance[0, 0, :2].tolist() == pytest.approx([23.5, 23.5])
    assert y[0, 0, 0] == pytest.approx(-1)
    if shape is CONE:
        assert np.isinf(distance[0, 0, 2])


def test_cone_seen_from_its_tip() -> None:
    """Beside the tip, the depth grows by height / radius; the normal has the angle of the cone."""
    distance, (x, y, z) = ray_frustum(rays((0.01, 1.0, 0.0)), CENTER, lying(up=True), **CONE)
    depth = distance.item()
    assert 0.01 * depth == pytest.approx((depth - 23.5) * 1.5 / 3)
    assert (x.item(), y.item(), z.item()) == pytest.approx((2 / np.sqrt(5), -1 / np.sqrt(5), 0))


@pytest.mark.parametrize("shape", [CYLINDER, CONE])
def test_frustum_hits_lie_on_its_surface_and_misses_pass_it(shape: dict[str, npt.NDArray[np.float64]]) -> None:
    """An independent reference: in its own axes a hit is on the side or on an end, and its normal points out."""
    generator = np.random.default_rng(1)
    rotation = np.linalg.qr(generator.normal(size=(20, 3, 3)))[0]
    rotation *= np.sign(np.linalg.det(rotation))[:, None, None]
    centers = generator.uniform(-2, 2, (20, 3)) + CENTER
    directions = generator.uniform(-0.2, 0.2, (20, 500, 3)) + np.array(AHEAD)
    x, y, z = np.moveaxis(directions, -1, 0)[:, :, None, :]
    foot, top = (np.repeat(shape[name], 20) for name in ("foot_radii", "top_radii"))
    distance, normals = ray_frustum((x, y, z), centers, rotation, foot, top, np.full(20, 3.0))

    def outside(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """An upper bound of the distance of points (n, r, ..., 3) from the frustum; negative inside."""
        local = np.einsum("nij,nr...i->nr...j", rotation, points)
        radius = (foot + top)[0] / 2 + (top - foot)[0] / 3 * local[..., 2]
        aside, along = np.hypot(local[..., 0], local[..., 1]) - radius, np.abs(local[..., 2]) - 1.5
        return np.asarray(np.maximum(aside, along))

    hit = np.isfinite(distance[:, 0])
    assert 400 < hit.sum() < 9000
    points = np.where(hit, distance[:, 0], 25)[..., None] * directions - centers[:, None]
    normal = np.stack([part[:, 0] for part in normals], axis=-1)
    np.testing.assert_allclose(outside(points)[hit], 0, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(normal[hit], axis=-1), 1)
    assert ((normal * directions).sum(axis=-1)[hit] < 0).all()
    assert (outside(points + 1e-4 * normal)[hit] > 0).all()
    passing = directions[:, :, None] * np.linspace(20, 30, 400)[:, None] - centers[:, None, None]
    assert not ((outside(passing) < 0).any(axis=-1) & ~hit).any()
