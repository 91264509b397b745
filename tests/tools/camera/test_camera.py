"""The fit finds a light and poses again that the simulator drew, and the documentation shows what it says."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from data_utils import DataError
from data_utils.simulator.difficulty import Difficulty
from data_utils.simulator.levels import LEVELS
from data_utils.simulator.light import LIGHT, Light
from tools.camera import documents, facts
from tools.camera.__main__ import main
from tools.camera.documents import picture_of
from tools.camera.pictures import CLASSES, Picture, read, softened, statistics
from tools.camera.population import fit_exposure, mixture, simulated, visible
from tools.camera.poses import Pose, fit_direction, fit_pose, lit_faces

KNOWN = Light(phase_deg=70.0, elevation_deg=30.0, strength=12.0)
POSES = (
    Pose("cubes", np.array([1.0, 23.0, -2.0]), np.array([0.5, 0.4, 0.9]), np.array([0.9, 0.4, 0.2])),
    Pose("cubes", np.array([-3.0, 25.0, 1.0]), np.array([-0.8, 0.2, 0.3]), np.array([0.3, 0.8, 0.6])),
    Pose("spheres", np.array([2.0, 22.0, 3.0]), np.zeros(3), np.array([0.5, 0.5, 0.9])),
)


def pictures(light: Light) -> list[Picture]:
    return [
        Picture(f"{number}", pose.solid, softened(picture_of(pose, light)[None])[0])
        for number, pose in enumerate(POSES)
    ]


def rectangle(rows: slice, columns: slice, value: float = 200.0) -> npt.NDArray[np.float64]:
    picture = np.zeros((64, 64, 3))
    picture[rows, columns] = value
    return picture


def test_statistics_of_shapes_that_one_can_count() -> None:
    square = statistics(rectangle(slice(10, 20), slice(30, 40)))
    assert (square["lit"], square["bright"], square["brightest"]) == (100, 100, 200)
    assert square["mean"] == pytest.approx(200 / 255 * 100 / 64**2)
    assert (square["inside"], square["spread"]) == (200, 0)
    assert square["elongation"] == pytest.approx(1)
    assert square["convexity"] == pytest.approx(1)
    bar = statistics(rectangle(slice(10, 12), slice(10, 30)))
    assert bar["elongation"] == pytest.approx(10)
    corner = np.maximum(rectangle(slice(10, 12), slice(10, 20)), rectangle(slice(10, 20), slice(10, 12), 40))
    assert statistics(corner)["lit"] == 36
    assert statistics(corner)["bright"] == 20
    assert statistics(corner)["convexity"] == pytest.approx(36 / 68)  # of its hull a triangle is missing
    dark = statistics(np.zeros((64, 64, 3)))
    assert dark["lit"] == 0
    assert np.isnan(dark["convexity"])


def test_the_statistics_of_a_mixture_weigh_cubes_and_spheres_one_to_four() -> None:
    images = np.zeros((40, 8, 8, 3), dtype=np.uint8)
    images[:20] = 255
    mean, deviation = mixture(images, np.arange(40) < 20, np.random.default_rng(0))
    assert mean == pytest.approx(2501 / 12500)
    assert deviation == pytest.approx(0.4, abs=0.01)  # of a share of a fifth


@pytest.mark.slow  # fits nine numbers per picture
def test_poses_and_direction_of_known_pictures_are_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.camera.poses._ROTATIONS", 100)
    monkeypatch.setattr("tools.camera.poses._STARTS", 2)
    known = pictures(KNOWN)
    start = replace(KNOWN, phase_deg=78.0, elevation_deg=37.0)
    poses = [fit_pose(picture, start, np.random.default_rng(0)) for picture in known]
    light, poses, error = fit_direction(known, poses, start)
    assert light.phase_deg == pytest.approx(70, abs=2)
    assert light.elevation_deg == pytest.approx(30, abs=2)
    assert error < 3
    for pose, truth in zip(poses, POSES, strict=True):
        np.testing.assert_allclose(pose.parameters[:2], truth.parameters[:2], atol=0.3)
        np.testing.assert_allclose(pose.center[1], truth.center[1], atol=1)
        np.testing.assert_allclose(pose.color, truth.color, atol=0.15)


@pytest.mark.slow
def test_strength_and_phase_are_found_again_from_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = replace(LIGHT, phase_deg=75.0, strength=5.0)
    drawn = simulated(truth, 30, seed=5)
    images = np.concatenate([drawn["cubes"], drawn["spheres"]])
    mean, deviation = mixture(images, np.arange(60) < 30, np.random.default_rng(0))
    monkeypatch.setattr("tools.camera.population.MEAN", mean)
    monkeypatch.setattr("tools.camera.population.DEVIATION", deviation)
    originals = {solid: visible(softened(drawn[solid])) for solid in CLASSES.values()}
    start = replace(LIGHT, phase_deg=80.0, strength=7.0)
    light = fit_exposure(originals, start, direction_error_deg=100.0, scenes=30, seed=5)
    assert light.phase_deg == pytest.approx(75, abs=1)
    assert light.strength == pytest.approx(5, rel=0.05)


def test_lit_faces_are_counted() -> None:
    """A cube whose faces look to the left and up, and one that turns a single face to the camera."""
    light = replace(LIGHT, phase_deg=90.0, elevation_deg=45.0)
    corner = Pose("cubes", np.array([5.0, 25.0, -5.0]), np.zeros(3), np.ones(3))
    assert lit_faces(corner, light) == 2
    assert lit_faces(replace(corner, center=np.array([0.0, 25.0, 0.0])), light) == 0


def test_generated_parts_of_the_page_are_current() -> None:
    originals, page = facts.load(), documents.PAGE.read_text(encoding="utf-8")
    for name, content in documents.contents(originals).items():
        assert documents.written(page, name, content) == page, f"run python -m tools.camera document ({name})"
    sheet, expected = Image.open(documents.SHEET).convert("RGB"), documents.contact_sheet(originals)
    assert sheet.size == expected.size
    for number in range(len(originals)):  # the text between the tiles depends on the version of the font
        box = documents.tile(number)
        np.testing.assert_array_equal(np.asarray(sheet.crop(box)), np.asarray(expected.crop(box)))


def test_every_setting_of_every_level_is_described() -> None:
    assert set(documents.SETTINGS) == {field.name for field in fields(Difficulty)}
    table = documents.level_table()
    rows = dict(row.strip("| ").split("` | ") for row in table.splitlines()[2:])
    assert list(rows) == [f"`{name}" for name in LEVELS]
    assert "noise with a standard deviation of 2 levels" in rows["`shapes-hard"]
    assert rows["`shapes-noisy"].count(";") == 1  # two settings


def test_facts_survive_writing_and_reading(tmp_path: Path) -> None:
    originals = facts.load()
    assert [o.pose.solid for o in originals].count("cubes") == 19
    assert all(original.shows for original in originals)
    file = tmp_path / "original.json"
    facts.save(pictures(LIGHT), POSES, file)
    again = facts.load(file)
    np.testing.assert_allclose(again[1].pose.parameters, POSES[1].parameters, atol=0.02)
    assert again[0].statistics["lit"] == statistics(pictures(LIGHT)[0].values)["lit"]


def test_a_folder_without_pictures_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match="no pictures"):
        read(tmp_path)
    Image.new("RGB", (32, 32)).save(tmp_path / "cube_00.png")
    assert main(["fit", str(tmp_path)]) == 2
    assert "32 x 32 pixels; give 64 x 64" in capsys.readouterr().err
