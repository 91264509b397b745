"""The same simulated pairs in every layout of files, with one sensor for all classes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from data_utils import LAYOUTS, DataError, PairedDataset, load
from data_utils.simulator.levels import LEVELS
from data_utils.simulator.shapes import Progress, Simulation, as_dataset, no_progress, simulate


def write(layout: str, folder: Path, simulation: Simulation, progress: Progress = no_progress) -> None:
    write_files = LAYOUTS[layout]().write
    assert write_files is not None
    write_files(folder, simulation, progress)


def assert_equal(one: PairedDataset, other: PairedDataset) -> None:
    assert one.info.image_size == other.info.image_size
    for modality in one.inputs:
        assert one.measured(modality).dtype == other.measured(modality).dtype
        assert torch.equal(one.measured(modality), other.measured(modality))
        assert one.modality(modality) == other.modality(modality)
    assert torch.equal(one.labels, other.labels)
    assert torch.equal(one.groups, other.groups)


WRITTEN = [name for name, layout in LAYOUTS.items() if layout().write]


@pytest.mark.parametrize("level", ["shapes", "shapes-uneven", "shapes-four", "shapes-hard"])
@pytest.mark.parametrize("layout", WRITTEN)
def test_what_is_written_is_read_back_bit_for_bit(layout: str, level: str, tmp_path: Path) -> None:
    raw = simulate(20, 3, image_size=16, difficulty=LEVELS[level])
    write(layout, tmp_path / "zwei Körper", raw)
    read = load(str(tmp_path / "zwei Körper"))
    assert_equal(read, as_dataset(level, raw))
    assert [name.rstrip("s") for name in read.info.classes] == [name.rstrip("s") for name in raw.classes]
    assert read.info.name == "zwei Körper"
    assert read.notes == ()


@pytest.mark.parametrize("layout", WRITTEN)
def test_progress_of_writing_is_reported(layout: str, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    write(layout, tmp_path, simulate(6, 0, 8), lambda done, total: calls.append((done, total)))
    assert calls == [(pair, 6) for pair in range(1, 7)]


def rotate_tree(folder: Path) -> None:
    angles = folder / "spheres" / "azimuth.npy"
    np.save(angles, np.load(angles) + 0.01)


def rotate_export(folder: Path) -> None:
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata["info"]["azimuth_spheres"] = [angle + 0.01 for angle in metadata["info"]["azimuth_spheres"]]
    (folder / "metadata.json").write_text(json.dumps(metadata))


def rotate_manifest(folder: Path) -> None:
    np.save(folder / "rotated.npy", np.load(folder / "azimuth.npy") + 0.01)
    rows = (folder / "manifest.csv").read_text().splitlines()
    rotated = [row.replace(",azimuth.npy", ",rotated.npy") if "spheres" in row else row for row in rows]
    (folder / "manifest.csv").write_text("\n".join(rotated) + "\n")


@pytest.mark.parametrize(
    ("layout", "rotate", "first"),
    [
        ("nvidia-tree", rotate_tree, "cubes"),
        ("fiftyone", rotate_export, "cube"),
        ("manifest", rotate_manifest, "cubes"),
    ],
)
def test_angles_that_reveal_the_class_are_refused_until_one_class_is_chosen(
    layout: str, rotate: Callable[[Path], None], first: str, tmp_path: Path
) -> None:
    raw = simulate(6, 0, image_size=16)
    write(layout, tmp_path, raw)
    rotate(tmp_path)
    with pytest.raises(
        DataError, match=f"differ from those of '{first}'.*would reveal the class to a model"
    ) as caught:
        load(str(tmp_path))
    assert f"--angles-of {first}, in Python load(..., angles_of='{first}')" in str(caught.value)
    assert f"copy those of '{first}' to the other classes" in str(caught.value)  # pytest bench has no such option
    assert_equal(load(str(tmp_path), angles_of=first), as_dataset("shapes", raw))
    other = load(str(tmp_path), angles_of=first.replace("cube", "sphere"))
    assert not torch.equal(other.measured("lidar"), as_dataset("shapes", raw).measured("lidar"))
    with pytest.raises(DataError, match="no angles of a class 'cone'"):
        load(str(tmp_path), angles_of="cone")


def test_rounded_angles_count_as_equal(tmp_path: Path) -> None:
    write("nvidia-tree", tmp_path, simulate(6, 0, image_size=16))
    angles = tmp_path / "spheres" / "azimuth.npy"
    np.save(angles, np.load(angles).astype(np.float32))
    assert len(load(str(tmp_path))) == 6


def test_the_incomplete_public_copy(tmp_path: Path) -> None:
    """It has fewer sphere images than range images, and duplicates of some range images."""
    raw = simulate(40, 0, image_size=16)
    write("nvidia-tree", tmp_path, raw)
    for scene in range(12, 20):
        (tmp_path / "spheres" / "rgb" / f"{scene:04d}.png").unlink()
    for scene in (3, 5):
        lidar = tmp_path / "spheres" / "lidar"
        shutil.copy(lidar / f"{scene:04d}.npy", lidar / f"{scene:04d}-2.npy")
    dataset = load(str(tmp_path))
    assert dataset.labels.bincount().tolist() == [20, 12]
    assert dataset.notes[0].startswith("10 file(s) without a partner were left out: spheres/lidar/0003-2.npy, ")
    whole = as_dataset("shapes", raw)
    kept = torch.tensor([whole.names.index(name) for name in dataset.names])
    assert_equal(dataset, whole.take(kept))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(
            lambda f: np.save(f / "azimuth.npy", np.zeros(15)), "but there are 15 azimuths", id="angle count"
        ),
        pytest.param(
            lambda f: (f / "manifest.csv").write_text(
                (f / "manifest.csv").read_text().replace(",azimuth.npy", ",zenith.npy", 1)
            ),
            "several angles for class 'cubes'",
            id="angles by row",
        ),
        pytest.param(lambda f: (f / "azimuth.npy").unlink(), "azimuth.npy does not exist", id="no angles"),
    ],
)
def test_a_manifest_of_range_images_refuses(
    damage: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    write("manifest", tmp_path, simulate(6, 0, image_size=16))
    damage(tmp_path)
    with pytest.raises(DataError, match=message):
        load(str(tmp_path))
