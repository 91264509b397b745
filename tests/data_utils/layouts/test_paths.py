"""Names of files: what systems leave behind, what Windows writes, and what leads out of a data set."""

import os
import shutil
from pathlib import Path

import pytest

from data_utils import DataError, load
from data_utils.layouts.nvidia_tree import write_nvidia_tree
from data_utils.layouts.paths import Inside
from data_utils.simulator.levels import LEVELS
from data_utils.simulator.shapes import simulate
from tests.data_utils.layouts.files import write_pairs


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write_nvidia_tree(tmp_path / "tree", simulate(4, 0, 8, LEVELS["shapes"]))
    return tmp_path / "tree"


def litter(folder: Path) -> None:
    """Everything that systems and editors leave in folders."""
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        (path.parent / f"._{path.name}").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        ")
    for place in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
            (place / name).write_bytes(b"x")
        if (place / "rgb").is_dir() or place == folder:
            shutil.copytree(folder, place / "__MACOSX", ignore=lambda *_: ["__MACOSX"], dirs_exist_ok=True)
            shutil.copytree(
                folder, place / ".ipynb_checkpoints", ignore=lambda *_: ["__MACOSX", ".ipynb_checkpoints"]
            )


@pytest.mark.parametrize("layout", ["tree", "class-folders"])
def test_what_systems_leave_behind_is_no_data(tree: Path, layout: str) -> None:
    if layout == "class-folders":
        for folder in tree.iterdir():
            shutil.copytree(folder / "rgb", folder / "nir")
            shutil.rmtree(folder / "lidar")
            for name in ("azimuth.npy", "zenith.npy"):
                (folder / name).unlink()
    before = load(str(tree))
    litter(tree)
    assert load(str(tree)).sha256 == before.sha256
    assert load(str(tree)).notes == before.notes


def test_rows_of_such_files_are_left_out(tmp_path: Path) -> None:
    manifest = write_pairs(tmp_path) / "manifest.csv"
    before = load(str(tmp_path)).sha256
    manifest.write_text(manifest.read_text() + "rgb/._0.png,depth/._0.png,a,0,2,2,0,0\n")
    data = load(str(tmp_path))
    assert data.sha256 == before
    assert data.notes[0] == "1 row(s) of files whose names begin with a dot were left out: rgb/._0.png."


def test_backslashes_separate_folders_where_no_file_has_one(tmp_path: Path) -> None:
    manifest = write_pairs(tmp_path) / "manifest.csv"
    before = load(str(tmp_path)).sha256
    manifest.write_text(manifest.read_text().replace("/", "\\"))
    assert load(str(tmp_path)).sha256 == before
    (tmp_path / "rgb\\0.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"rgb\\0.png is empty"):
        load(str(tmp_path))


def test_names_in_another_case_or_encoding_are_found(tmp_path: Path) -> None:
    (tmp_path / "Bilder").mkdir()
    (tmp_path / "Bilder" / "STÜHLE.PNG").touch()
    try:
        (tmp_path / os.fsdecode("würfel.png".encode("latin-1"))).touch()
    except OSError:
        pytest.skip("this file system has names in UTF-8 alone")
    path = Inside(tmp_path, "table").path
    assert path("bilder/Stühle.png").name == "STÜHLE.PNG"
    assert os.fsencode(path("würfel.png").name) == "würfel.png".encode("latin-1")
    assert path("bilder/gone.png") == tmp_path / "bilder" / "gone.png"
    (tmp_path / "Bilder" / "stühle.PNG").touch()
    assert path("Bilder/stühle.PNG").name == "stühle.PNG"
    assert not Inside(tmp_path, "table").path("bilder/StühlE.png").exists()  # two could be meant


@pytest.mark.parametrize("name", ["../a.png", "b/../../a.png", "/etc/a.png", "C:\\a.png", "..\\a.png", ".."])
def test_names_that_lead_out_of_the_folder_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"table names .*, which is outside of its folder; move the file"
    ) as caught:
        Inside(tmp_path, "table").path(name)
    assert repr(name) in str(caught.value)


def test_names_that_stay_in_the_folder_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    path = Inside(tmp_path, "table").path
    assert path("b/../a.png") == path("./a.png") == path(str(tmp_path / "a.png")) == tmp_path / "a.png"


@pytest.mark.parametrize("layout", ["tree", "manifest"])
def test_links_into_a_cache_are_followed_in_every_layout(layout: str, tree: Path, tmp_path: Path) -> None:
    folder = tree if layout == "tree" else write_pairs(tmp_path / "pairs")
    before = load(str(folder)).sha256
    (tmp_path / "cache").mkdir()
    for number, file in enumerate(file for file in folder.rglob("*") if file.is_file()):
        file.rename(tmp_path / "cache" / f"{number:032x}")
        file.symlink_to(tmp_path / "cache" / f"{number:032x}")
    assert load(str(folder)).sha256 == before


def test_a_data_set_in_a_folder_below_is_found(tree: Path, tmp_path: Path) -> None:
    before = load(str(tree)).sha256
    outer = tmp_path / "data" / "data" / "set"
    shutil.copytree(tree, outer)
    data = load(str(tmp_path / "data"))
    assert (data.sha256, data.info.name) == (before, "set")
    assert data.notes == ("The data set was found in the folder data/set.",)
    shutil.copytree(tree, outer.parent / "other")
    with pytest.raises(DataError, match=r"holds several data sets; give the path of one: .*other, .*set\."):
        load(str(tmp_path / "data"))


def test_classes_whose_names_are_not_utf_8_are_escaped(tree: Path) -> None:
    try:
        (tree / "cubes").rename(tree / os.fsdecode("würfel".encode("latin-1")))
    except OSError:
        pytest.skip("this file system has names in UTF-8 alone")
    data = load(str(tree))
    assert data.info.classes == ("spheres", r"w\xfcrfel")
    assert all(name.encode("utf-8") for name in data.names)
    for file in tree.glob("w*/rgb/0000.png"):
        file.write_bytes(b"")
    with pytest.raises(DataError, match="is empty"):
        load(str(tree))
