"""The simulator compared with closed forms, with its documentation and with what is published of the original."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

import data_utils.simulator.shapes
from data_utils import DataError
from data_utils.geometry import xyza_to_range
from data_utils.simulator.levels import LEVELS
from data_utils.simulator.light import LIGHT, Light
from data_utils.simulator.scenes import Scenes, draw_scenes
from data_utils.simulator.sensors import lidar_angles, photograph, scan
from data_utils.simulator.shapes import Simulation, simulate
from data_utils.simulator.solids import SPHERE_RADIUS_M
from tests.data_utils.samples import shapes
from tools.camera.population import mixture

REPOSITORY = Path(__file__).parents[3]
LIT = 20  # of 255, as in docs/simulated.md
EVEN = Light(strength=1.0, ambient=1.0, coat=0.0)  # shows the whole silhouette


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return simulate(4096, seed=0)


def one_scene(*center: float) -> Scenes:
    """A white object there; the faces of a cube are perpendicular to the axes."""
    return Scenes(np.array([center]), np.ones((1, 3)), np.eye(3)[None], np.ones(1), np.ones(1))


def whole_scan(scenes: Scenes, shape: str) -> npt.NDArray[np.float64]:
    image = np.full((64, 64), 50.0)
    scan(scenes, shape, image[None], np.zeros((1, 1), np.intp))
    return image


def whole_photo(scenes: Scenes, shape: str, light: Light = LIGHT) -> npt.NDArray[np.uint8]:
    image = np.zeros((64, 64, 3), dtype=np.uint8)
    photograph(scenes, shape, image[None], np.zeros((1, 1), np.intp), light)
    return image


def centroid(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Row and column of the middle of a mask."""
    rows, columns = np.nonzero(mask)
    return np.array([rows.mean(), columns.mean()])


@pytest.mark.parametrize(("shape", "nearest"), [("cubes", 25 - 1.5), ("spheres", 25 - SPHERE_RADIUS_M)])
def test_range_on_the_axis(shape: str, nearest: float) -> None:
    image = whole_scan(one_scene(0.0, 25.0, 0.0), shape)
    assert lidar_angles(64)[32] == 0
    assert image[32, 32] == pytest.approx(nearest)
    assert image[0, 0] == 50.0


def test_a_window_loses_no_ray() -> None:
    """Every ray compared with the closed form of a sphere, for a sphere that the border cuts off."""
    center = np.array([-4.9, 20.5, 4.9])
    azimuth, zenith = np.meshgrid(lidar_angles(64), lidar_angles(64), indexing="ij")
    directions = np.stack([-np.sin(azimuth) * np.cos(zenith), np.cos(azimuth) * np.cos(zenith), -np.sin(zenith)])
    along = np.tensordot(center, directions, 1)
    squared_miss = center @ center - along**2
    expected = np.where(
        squared_miss < SPHERE_RADIUS_M**2, along - np.sqrt(np.maximum(SPHERE_RADIUS_M**2 - squared_miss, 0)), 50.0
    )
    assert (expected[-1] < 50).any()  # it is cut off
    np.testing.assert_allclose(whole_scan(one_scene(*center), "spheres"), expected, rtol=1e-9)


def test_a_sphere_far_from_the_middle_of_the_image_is_where_the_pinhole_says() -> None:
    photo = whole_photo(one_scene(4.0, 22.0, -3.0), "spheres", EVEN)
    row, column = centroid(photo.max(axis=-1) > 0)
    assert column + 0.5 == pytest.approx(32 + 73.3 * 4 / 22, abs=0.3)
    assert row + 0.5 == pytest.approx(32 + 73.3 * 3 / 22, abs=0.3)


def test_a_cube_in_front_shows_its_size_without_jagged_edges() -> None:
    """Face-on the cube is 3 * 73.3 / 23.5 pixels wide, and its edge lies within a pixel."""
    values = whole_photo(one_scene(0.0, 25.0, 0.0), "cubes", EVEN)[..., 0].astype(float)
    assert values[32, 32] > 100
    width = values[32].sum() / values[32, 32]
    assert width == pytest.approx(3 * 73.3 / 23.5, abs=0.3)


def test_the_light_comes_from_the_upper_left() -> None:
    """Of a cube below and to the right of the camera the top and left faces are bright, the front is dark."""
    photo = whole_photo(one_scene(4.0, 22.0, -4.0), "cubes")[..., 0]
    lit, shade = photo > 128, (photo > 0) & (photo < 64)
    assert lit.sum() > 5
    assert shade.sum() > 50
    assert (centroid(lit) < centroid(shade)).all()
    from_above_right = whole_photo(one_scene(-4.0, 22.0, 4.0), "cubes")[..., 0]
    assert (from_above_right > 128).sum() == 0


def test_rotating_the_range_image_aligns_it_with_the_photo() -> None:
    """The silhouette in the photo is that of ``range_m.T[:, ::-1]``, 0.64 times as large about the middle."""
    scale, offsets, unrotated = 73.3 * np.deg2rad(0.5), [], []
    scenes = draw_scenes(range(200), 0, LEVELS["shapes"])
    scenes = replace(scenes, albedos=np.ones((200, 3)))
    for pair in range(200):
        scene, shape = scenes[np.array([pair])], ("cubes", "spheres")[pair % 2]
        silhouette = whole_photo(scene, shape, EVEN).max(axis=-1) > 64
        hits = whole_scan(scene, shape) < 50
        if hits[[0, -1]].any() or hits[:, [0, -1]].any():
            continue  # cut off by the border
        expected = [scale * (centroid(h) - 31.5) + 31.5 for h in (hits.T[:, ::-1], hits)]
        offsets.append(np.abs(expected[0] - centroid(silhouette)).max())
        unrotated.append(np.abs(expected[1] - centroid(silhouette)).max())
    assert len(offsets) > 100
    assert max(offsets) < 1.5
    assert np.median(unrotated) > 5


def test_files_have_the_formats_of_the_original(simulation: Simulation) -> None:
    assert simulation.rgb.shape == (4096, 64, 64, 4)
    assert simulation.rgb.dtype == np.uint8
    assert (simulation.rgb[..., 3] == 255).all()
    assert simulation.range_m.shape == (4096, 64, 64)
    assert simulation.range_m.dtype == np.float32
    hits = simulation.range_m < 50
    assert simulation.range_m[hits].min() > 17
    assert simulation.range_m[hits].max() < 33
    for angles in (simulation.azimuth_rad, simulation.zenith_rad):
        np.testing.assert_allclose(angles, np.deg2rad(np.arange(-16, 16, 0.5)))
    assert simulation.labels[:4].tolist() == [0, 1, 0, 1]
    assert simulation.index[:4].tolist() == [0, 0, 1, 1]


def test_images_are_as_bright_as_the_original(simulation: Simulation) -> None:
    """Mean 0.00525 and deviation 0.0589, as published for 2,501 cubes and 9,999 spheres, each to a twentieth.

    The deviation is the mean over batches of 64 images.
    """
    moments = mixture(simulation.rgb[..., :3], simulation.labels == 0, np.random.default_rng(0))
    np.testing.assert_allclose(moments, [0.00525, 0.0589], rtol=0.05)
    assert 235 <= simulation.rgb[..., :3].max() <= 245


@pytest.mark.parametrize(
    ("label", "hits", "lit", "relief_m"),
    [(0, (280, 335), (53, 120), 3.5), (1, (140, 160), (28, 43), 1.3)],
)
def test_objects_are_as_large_as_those_of_the_original(
    simulation: Simulation, label: int, hits: tuple[int, int], lit: tuple[int, int], relief_m: float
) -> None:
    """Few of the original objects are known, so typical objects must be in its ranges, but not all."""
    of_class = simulation.labels == label
    range_m = simulation.range_m[of_class].reshape(-1, 64 * 64)
    assert hits[0] < (range_m < 50).sum(axis=1).mean() < hits[1]
    pixels = (simulation.rgb[of_class, ..., :3].max(axis=-1) > LIT).sum(axis=(1, 2))
    assert lit[0] < np.median(pixels) < lit[1]
    nearest, furthest = range_m.min(axis=1), np.where(range_m < 50, range_m, 0).max(axis=1)
    assert np.median(furthest - nearest) == pytest.approx(relief_m, rel=0.1)


def test_some_objects_are_almost_invisible_to_the_camera_and_none_to_the_lidar(simulation: Simulation) -> None:
    bright = (simulation.rgb[..., :3].max(axis=-1) > LIT).sum(axis=(1, 2))
    assert 0.01 < (bright < 5).mean() < 0.2
    assert (simulation.range_m < 50).sum(axis=(1, 2)).min() > 20


def test_twins_share_place_and_color() -> None:
    scenes = draw_scenes(range(50), 3, LEVELS["shapes"])
    raw = simulate(100, seed=3)
    for index in range(50):
        cube, sphere = raw.range_m[raw.index == index]
        assert ((cube < 50) & (sphere < 50)).sum() > 0.8 * (sphere < 50).sum()
        for image in raw.rgb[raw.index == index]:
            brightest = image[..., :3].reshape(-1, 3)[image[..., :3].sum(axis=-1).argmax()]
            if brightest.max() > LIT:
                assert (np.diff(brightest[np.argsort(scenes.albedos[index])].astype(int)) >= 0).all()


def test_rotations_are_rotations_and_uniform() -> None:
    rotations = draw_scenes(range(2000), 0, LEVELS["shapes"]).rotations
    np.testing.assert_allclose(
        np.einsum("nij,nik->njk", rotations, rotations), np.broadcast_to(np.eye(3), (2000, 3, 3)), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(rotations), 1)
    # An axis that is uniform on the sphere has coordinates of mean 0 and mean square 1/3.
    np.testing.assert_allclose(rotations.mean(axis=0), 0, atol=0.06)
    np.testing.assert_allclose((rotations**2).mean(axis=0), 1 / 3, atol=0.03)


def digest(raw: Simulation) -> str:
    return hashlib.sha256(raw.rgb.tobytes() + raw.range_m.tobytes()).hexdigest()


@pytest.mark.slow
def test_same_bits_in_another_process_with_other_threads() -> None:
    program = (
        "import torch; torch.set_num_threads(1)\n"
        "from data_utils.simulator.shapes import simulate\n"
        "from tests.data_utils.simulator.test_shapes import digest\n"
        "print(digest(simulate(200, 5)))"
    )
    other = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    np.random.seed(1)  # noqa: NPY002 (the global generator has no say)
    assert digest(simulate(200, 5)) == other.stdout.strip()
    assert digest(simulate(200, 6)) != other.stdout.strip()


@pytest.mark.parametrize("name", LEVELS)
def test_chunks_do_not_change_the_values(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a class is rare, some chunks have no pair of it."""
    level = LEVELS[name]
    pairs = 7 * level.cycle
    expected = digest(simulate(pairs, 2, 24, level))
    for scenes in (1, 5):
        monkeypatch.setattr(data_utils.simulator.shapes, "_CHUNK", scenes)
        assert digest(simulate(pairs, 2, 24, level)) == expected


def test_a_larger_simulation_begins_with_a_smaller_one() -> None:
    small, large = shapes(20, 4), shapes(300, 4)
    first = large.take(torch.arange(20))
    assert first.names == small.names
    for modality, values in small.inputs.items():
        assert torch.equal(first.inputs[modality], values)


def test_shapes_is_the_simulation_as_a_data_set() -> None:
    raw, dataset = simulate(10, 1), shapes(10, 1)
    assert dataset.info.classes == ("cubes", "spheres")
    assert list(dataset.info.channels.items()) == [("rgb", 4), ("lidar", 4)]
    assert torch.equal(dataset.inputs["rgb"].permute(0, 2, 3, 1), torch.from_numpy(raw.rgb))
    torch.testing.assert_close(xyza_to_range(dataset.measured("lidar")).float(), torch.from_numpy(raw.range_m))
    assert torch.equal(dataset.groups, torch.from_numpy(raw.index))
    assert dataset.names[:3] == ("cubes/0000", "spheres/0000", "cubes/0001")


def test_another_size_sees_the_same_scene() -> None:
    small, large = simulate(6, 0, image_size=32), simulate(6, 0)
    assert small.rgb.shape == (6, 32, 32, 4)
    np.testing.assert_allclose(small.range_m, large.range_m[:, ::2, ::2], rtol=1e-6)


def test_progress_is_reported() -> None:
    calls: list[tuple[int, int]] = []
    simulate(200, 0, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (200, 200)
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})


@pytest.mark.parametrize("pairs", [0, 1, 7, -2])
def test_odd_numbers_of_pairs_are_refused(pairs: int) -> None:
    with pytest.raises(DataError, match="request a multiple of 2"):
        simulate(pairs, 0)


def test_images_without_pixels_are_refused() -> None:
    assert simulate(2, 0, image_size=1).rgb.shape == (2, 1, 1, 4)
    with pytest.raises(DataError, match="the smallest size is 1"):
        simulate(2, 0, image_size=0)
