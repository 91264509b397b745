"""Names of files: what systems leave behind, what Windows writes, and what leads out of a data set."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from data_utils import DataError, load
from data_utils.layouts.nvidia_tree import write_nvidia_tree
from data_utils.layouts.paths import Inside
from data_utils.simulator.levels import LEVELS
from data_utils.simulator.shapes import simulate
from tests.data_utils.layouts.files import write_class_folders, write_pairs


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write_nvidia_tree(tmp_path / "tree", simulate(4, 0, 8, LEVELS["shapes"]))
    return tmp_path / "tree"


def litter(folder: Path) -> None:
    """Everything that systems and editors leave in folders."""
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        (path.parent / f"._{path.name}").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        ")
    for place in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        for name in (".DS_Store", "Thumbs.db", "thumbs.db", "desktop.ini", "Desktop.ini"):
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
    for name in ("$Recycle.Bin", "System Volume Information", "lost+found", "#recycle", ".Trash-1000"):
        for modality in ("rgb", "lidar" if layout == "tree" else "nir"):
            (tree / name / modality).mkdir(parents=True)
            shutil.copy(tree / "cubes" / "rgb" / "0000.png", tree / name / modality / "0000.png")
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


def test_addresses_are_paths_where_no_file_has_the_name(tmp_path: Path) -> None:
    (tmp_path / "rgb ü").mkdir()
    (tmp_path / "rgb ü" / "0.png").touch()
    (tmp_path / "100%25.png").touch()
    path = Inside(tmp_path, "table").path
    for name in ("rgb%20%C3%BC/0.png", r"rgb%20%C3%BC\0.png", f"file://{tmp_path}/rgb%20%C3%BC/0.png"):
        assert path(name) == tmp_path / "rgb ü" / "0.png"
    assert path("100%25.png").exists()
    assert path("gone%20.png") == tmp_path / "gone%20.png"
    with pytest.raises(DataError, match="outside of its folder"):
        Inside(tmp_path / "rgb ü", "table").path("%2e%2e/100%2525.png")


def test_a_path_of_another_machine_is_refused_with_the_one_to_write(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    for name in ("/home/me/data/rgb/0.png", r"C:\data\rgb\0.png", r"\\server\data\rgb\0.png", "~/data/rgb/0.png"):
        with pytest.raises(DataError, match=r"outside of its folder; write 'rgb/0\.png', which is there"):
            Inside(tmp_path, "table").path(name)


def test_a_file_that_is_listed_under_two_spellings_is_listed_twice(tmp_path: Path) -> None:
    manifest = write_pairs(tmp_path) / "manifest.csv"
    rows = manifest.read_text()
    for name in (r"rgb\0.png", "./rgb/0.png", "RGB/0.PNG", f"{tmp_path}/rgb/0.png", "depth/../rgb/0.png"):
        manifest.write_text(f"{rows}{name},depth/1.png,a,new,2,2,0,0\n")
        with pytest.raises(DataError, match=r"again in row 5; list every image once"):
            load(str(tmp_path))


def test_labels_in_two_encodings_are_one_class(tmp_path: Path) -> None:
    manifest = write_pairs(tmp_path) / "manifest.csv"
    rows = manifest.read_text().replace(",b,", ",w\u00fcrfel,")
    manifest.write_text(rows.replace("w\u00fcrfel", "wu\u0308rfel", 1), encoding="utf-8")
    assert load(str(tmp_path)).info.classes == ("a", "w\u00fcrfel")


@pytest.mark.parametrize("layout", ["tree", "class", "modality"])
def test_folders_and_files_in_two_encodings_or_cases_belong_together(
    layout: str, tree: Path, tmp_path: Path
) -> None:
    """A zip of macOS unpacked over a copy of Linux: accents are letters of their own in half of the names."""
    composed, decomposed = "w\u00fcrfel", "wu\u0308rfel"
    if layout != "tree":
        values = {"rgb": np.zeros((8, 8, 3), np.uint8), "nir": np.zeros((8, 8), np.uint8)}
        tree = write_class_folders(tmp_path / layout, values, layout, "01")
    second = "lidar" if layout == "tree" else "rgb"
    for file in sorted(tree.rglob("*0.*")):
        file.rename(file.with_stem(f"{decomposed.upper() if second in file.parts else composed}-0"))
    if layout == "modality":
        (tree / "nir" / "a").rename(tree / "nir" / composed)
        (tree / second / "a").rename(tree / second / decomposed)
    data = load(str(tree))
    assert sum(name.endswith(f"/{composed}-0") for name in data.names) == 2
    assert data.notes == ()
    assert len(data) == 4
    assert data.info.classes[-1] == {"tree": "spheres", "class": "b", "modality": composed}[layout]


def test_stems_that_differ_in_case_alone_are_not_confused(tree: Path) -> None:
    for folder, suffix in (("rgb", ".png"), ("lidar", ".npy")):
        shutil.copy(tree / "cubes" / folder / f"0000{suffix}", tree / "cubes" / folder / f"x{suffix}")
        shutil.copy(tree / "cubes" / folder / f"0001{suffix}", tree / "cubes" / folder / f"X{suffix}")
    data = load(str(tree))
    pairs = dict(zip(data.names, data.digests, strict=True))
    assert pairs["cubes/x"] == pairs["cubes/0000"] != pairs["cubes/0001"] == pairs["cubes/X"]


def test_classes_that_differ_little_are_doubted(tmp_path: Path) -> None:
    manifest = write_pairs(tmp_path) / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",b,", ",A,"))
    data = load(str(tmp_path))
    assert set(data.notes) - set(data.assumptions) == {
        "The classes 'A', 'a' differ only in the case or the encoding of letters, or in spaces; if they are one "
        "class, give it one name."
    }


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


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("s3://bucket/a.png", "'s3://bucket/a.png', an address on the network; download the file into the folder"),
        ("HTTPS://host/a.png", "an address on the network"),
        ("data:image/png;base64," + 999 * "A", "A[.]{3}, which cannot be the name of a file; save the file"),
        ("b\0.png", "which cannot be the name of a file"),
        ("b\ud800.png", "which cannot be the name of a file"),
    ],
)
def test_what_no_file_can_be_called_is_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"^table names .*{message}") as caught:
        Inside(tmp_path, "table").path(name)
    assert len(str(caught.value)) < 320


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
