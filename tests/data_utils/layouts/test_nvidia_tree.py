import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_utils import DataError, PairedDataset, load
from data_utils.layouts.nvidia_tree import is_nvidia_tree, list_nvidia_tree, write_nvidia_tree
from data_utils.layouts.reading import read_listing
from data_utils.simulator.shapes import simulate


def read(path: Path) -> PairedDataset:
    return read_listing(list_nvidia_tree(path))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Three scenes, so three pairs of cubes and three of spheres."""
    root = tmp_path / "drei Körper"
    write_nvidia_tree(root, simulate(6, seed=0))
    return root


def test_the_files_are_those_of_the_original(tree: Path) -> None:
    assert is_nvidia_tree(tree)
    names = sorted(path.name for path in (tree / "cubes").iterdir())
    assert names == ["azimuth.npy", "lidar", "rgb", "zenith.npy"]
    with Image.open(tree / "spheres" / "rgb" / "0002.png") as image:
        assert (image.mode, image.size) == ("RGBA", (64, 64))
    range_m = np.load(tree / "spheres" / "lidar" / "0002.npy")
    assert (range_m.dtype, range_m.shape) == (np.float32, (64, 64))


def test_files_without_a_partner_are_counted_and_named(tree: Path) -> None:
    (tree / "spheres" / "rgb" / "0001.png").unlink()
    shutil.copy(tree / "cubes" / "lidar" / "0000.npy", tree / "cubes" / "lidar" / "0000-2.npy")
    dataset = read(tree)
    assert dataset.names == ("cubes/0000", "spheres/0000", "cubes/0001", "cubes/0002", "spheres/0002")
    left_out = ", ".join(
        str(Path(*parts)) for parts in (("cubes", "lidar", "0000-2.npy"), ("spheres", "lidar", "0001.npy"))
    )
    assert dataset.notes == (f"2 file(s) without a partner were left out: {left_out}.",)


def test_many_files_without_a_partner_are_not_all_named(tree: Path) -> None:
    for number in range(3, 10):
        shutil.copy(tree / "cubes" / "rgb" / "0000.png", tree / "cubes" / "rgb" / f"{number}.png")
    (note,) = read(tree).notes
    assert note.startswith("7 file(s)")
    assert note.endswith("5.png and 4 more.")


def test_copies_of_a_scene_are_in_its_group_and_scenes_are_sorted_by_number(tree: Path) -> None:
    for part, suffix in (("rgb", "png"), ("lidar", "npy")):
        for copy in ("0001-2", "10", "9", "other"):
            shutil.copy(tree / "cubes" / part / f"0001.{suffix}", tree / "cubes" / part / f"{copy}.{suffix}")
    dataset = read(tree)
    group = dict(zip(dataset.names, dataset.groups.tolist(), strict=True))
    assert group["cubes/0001-2"] == group["cubes/0001"] == group["spheres/0001"]
    assert [group[f"cubes/{stem}"] for stem in ("0000", "0001", "0002", "9", "10", "other")] == list(range(6))


def test_a_third_class_is_a_third_folder(tree: Path) -> None:
    shutil.copytree(tree / "cubes", tree / "pyramids")
    dataset = read(tree)
    assert dataset.info.classes == ("cubes", "pyramids", "spheres")
    assert dataset.labels.bincount().tolist() == [3, 3, 3]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def save(name: str, array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Callable[[Path], None]:
    return lambda root: np.save(root / name, array)


def save_image(name: str, mode: str, size: tuple[int, int]) -> Callable[[Path], None]:
    return lambda root: Image.new(mode, size).save(root / name)


SCAN = np.full((64, 64), 20.0, dtype=np.float32)
SCAN_FILE = "cubes/lidar/0001.npy"
IMAGE_FILE = "cubes/rgb/0001.png"


def remove_an_azimuth(root: Path) -> None:
    for name in ("cubes", "spheres"):
        np.save(root / name / "azimuth.npy", np.zeros(63))


def shrink_all_images(root: Path) -> None:
    for path in root.glob("*/rgb/*.png"):
        Image.new("RGBA", (32, 32)).save(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(lambda root: shutil.rmtree(root / "spheres"), "1 class folder", id="one class"),
        pytest.param(lambda root: shutil.rmtree(root / "cubes/lidar"), "lidar does not exist", id="no folder"),
        pytest.param(
            lambda root: [path.unlink() for path in (root / "cubes/rgb").iterdir()],
            "cubes has 0 file.s. in rgb and 3 in lidar",
            id="empty class",
        ),
        pytest.param(
            lambda root: (root / "cubes/zenith.npy").unlink(),
            "copy it from another class or name that class .for check, show and stats --angles-of",
            id="no angles",
        ),
        pytest.param(
            save("cubes/zenith.npy", np.linspace(0, 1, 64)), "would reveal the class to a model", id="leak"
        ),
        pytest.param(
            save("cubes/azimuth.npy", np.full(64, np.nan)), "store the angles in radians", id="NaN angle"
        ),
        pytest.param(save("cubes/azimuth.npy", np.zeros((64, 1))), "numbers with 1 dimension", id="angle shape"),
        pytest.param(remove_an_azimuth, "64 rows and 64 columns, but there are 63 azimuths", id="angle count"),
        pytest.param(save(SCAN_FILE, SCAN[None, None]), r"shape \(1, 1, 64, 64\)", id="4-D"),
        pytest.param(save(SCAN_FILE, SCAN[:32]), "32 rows and 64 columns, but there are 64", id="another size"),
        pytest.param(lambda root: cut(root / SCAN_FILE), "0001.npy cannot be read", id="cut npy"),
        pytest.param(lambda root: (root / SCAN_FILE).write_bytes(b""), "0001.npy cannot be read", id="empty npy"),
        pytest.param(lambda root: (root / IMAGE_FILE).write_bytes(b""), "0001.png is empty", id="empty PNG"),
        pytest.param(
            lambda root: (root / IMAGE_FILE).write_bytes(b"x" * 99),
            "0001.png is truncated or in an unknown format",
            id="no PNG",
        ),
        pytest.param(
            save_image(IMAGE_FILE, "RGBA", (64, 32)),
            "rgb files have different sizes, from 32 x 64",
            id="size of an image",
        ),
        pytest.param(save_image(IMAGE_FILE, "L", (5000, 5000)), "5000 x 5000 pixels, and the limit", id="huge"),
        pytest.param(shrink_all_images, "different sizes, from 32 x 32 .* to 64 x 64", id="sizes"),
    ],
)
def test_refuses_in_one_sentence(tree: Path, damage: Callable[[Path], object], message: str) -> None:
    read(tree)
    damage(tree)
    with pytest.raises(DataError, match=message) as caught:
        read(tree)
    assert str(tree) in str(caught.value)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_other_folders_are_not_trees(tmp_path: Path) -> None:
    assert not is_nvidia_tree(tmp_path)
    assert not is_nvidia_tree(tmp_path / "missing")


def test_names_of_folders_and_angles_may_have_capitals(tree: Path) -> None:
    before = read(tree)
    for name, other in (("rgb", "RGB"), ("lidar", "LiDAR"), ("azimuth.npy", "Azimuth.npy")):
        (tree / "cubes" / name).rename(tree / "cubes" / other)
    assert is_nvidia_tree(tree)
    assert read(tree).sha256 == before.sha256
    assert read(tree).notes == ()
    (tree / "spheres" / "rgb").rename(tree / "spheres" / "Rgb")
    (tree / "spheres" / "lidar").rename(tree / "spheres" / "LIDAR")
    assert load(str(tree)).sha256 == before.sha256


def test_folders_of_files_that_are_not_read_are_a_problem(tree: Path) -> None:
    before = read(tree)
    for folder in ("cubes/thermal", "spheres/RGB", "cones/images/train"):
        shutil.copytree(tree / "spheres" / "rgb", tree / folder)
    (tree / "spheres" / "notes").mkdir()
    data = read(tree)
    assert data.sha256 == before.sha256
    (note,) = set(data.notes) - set(data.assumptions)
    unread = [str(Path("cones")), str(Path("cubes", "thermal")), str(Path("spheres", "RGB"))]
    assert note.startswith(f"Folders of images or arrays are not read: {', '.join(unread)}; ")
    assert "dataset.toml declares all of them" in note


def test_an_unknown_class_of_angles_is_refused_with_those_that_there_are(tree: Path) -> None:
    with pytest.raises(DataError, match=r"has no angles of a class 'balls'; the classes are cubes, spheres\."):
        list_nvidia_tree(tree, angles_of="balls")


def test_folders_of_a_split_are_no_classes(tree: Path) -> None:
    for name, part in (("cubes", "train"), ("spheres", "Val")):
        (tree / name).rename(tree / part)
    with pytest.raises(
        DataError, match=r"the folders Val, train in place of classes; list the pairs in a manifest"
    ):
        load(str(tree))


def test_trees_without_any_angles_are_class_folders_of_ranges(tree: Path) -> None:
    for file in tree.glob("*/*.npy"):
        file.unlink()
    assert not is_nvidia_tree(tree)
    data = load(str(tree))
    assert {name: data.modality(name).channels for name in data.inputs} == {"rgb": 4, "lidar": 1}
    assert data.modality("lidar").kind == "range"
    assert data.notes == data.assumptions
    assert "lidar: nothing tells the angles of a scanner" in data.notes[0]
    assert 0 < data.measured("lidar").max() < 50  # rays without return are 0


@pytest.mark.parametrize(
    ("link", "message"),
    [
        (True, r"azimuth.npy is a link to .*, which does not exist"),
        (False, r"azimuth.npy is not there, only its pointer azimuth.npy.dvc"),
    ],
)
def test_a_tree_whose_angles_were_not_fetched_is_a_tree(tree: Path, link: bool, message: str) -> None:
    for file in tree.glob("*/*.npy"):
        file.unlink()
        if link:
            file.symlink_to("../.git/annex/objects/gone")
        else:
            file.with_name(f"{file.name}.dvc").touch()
    with pytest.raises(DataError, match=message):
        load(str(tree))


def replace_by_a_link(root: Path) -> None:
    shutil.rmtree(root / "cubes")
    (root / "cubes").symlink_to("gone")


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(remove_an_azimuth, id="other angles"),
        pytest.param(lambda root: shutil.rmtree(root / "cubes/lidar"), id="no ranges"),
        pytest.param(replace_by_a_link, id="link"),
    ],
)
def test_name_and_classes_can_be_declared(tree: Path, damage: Callable[[Path], object]) -> None:
    """A class that is not declared need not be usable; names with accents are equal in both encodings."""
    shutil.copytree(tree / "spheres", tree / "wu\u0308rfel")
    azimuth = tree / "spheres" / "azimuth.npy"
    angles = np.load(azimuth)
    damage(tree)
    for name in ("spheres", "wu\u0308rfel"):
        np.save(tree / name / "azimuth.npy", angles)
    with pytest.raises(DataError):
        load(str(tree))
    (tree / "dataset.toml").write_text('name = "room"\nclasses = ["w\u00fcrfel", "spheres"]', encoding="utf-8")
    data = load(str(tree), angles_of="wu\u0308rfel")
    assert (data.info.name, data.info.classes, data.notes) == ("room", ("spheres", "w\u00fcrfel"), ())
    assert data.sha256 == load(str(tree)).sha256 == load(str(tree), angles_of="w\u00fcrfel").sha256


def test_files_of_types_that_are_not_read_are_named(tree: Path) -> None:
    for stem in ("0001", "0002"):
        (tree / "cubes" / "rgb" / f"{stem}.png").rename(tree / "cubes" / "rgb" / f"{stem}.heic")
    shutil.copytree(tree / "cubes" / "rgb", tree / "cubes" / "rgb" / "old")
    (tree / "cubes" / "radar").mkdir()
    (tree / "cubes" / "radar" / "0001.bin").touch()
    alone, others, unread = read(tree).notes
    assert alone.startswith("2 file(s) without a partner were left out: cubes/lidar/0001.npy")
    assert others.startswith("2 file(s) of types that are not read were left out: cubes/rgb/0001.heic, ")
    assert unread.startswith("Folders of images or arrays are not read: cubes/radar, cubes/rgb/old; ")
    (tree / "cubes" / "rgb" / "0000.png").unlink()
    with pytest.raises(DataError, match=r"not read \(rgb/0001.heic, rgb/0002.heic\); save images as PNG"):
        read(tree)


def test_a_folder_that_is_missing_is_refused(tree: Path) -> None:
    (tree / "cones").mkdir()
    (tree / "cones" / "rgb").symlink_to("/unmounted/rgb")
    with pytest.raises(DataError, match="cones/rgb is a link to /unmounted/rgb, which does not exist"):
        load(str(tree))
