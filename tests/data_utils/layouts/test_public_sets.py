"""Public data sets in their official formats, on tiny files with values that can be followed by hand."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from data_utils import DataError, load
from data_utils.errors import UnreadableError
from data_utils.layouts import nyu_depth_v2
from data_utils.layouts.nvidia_tree import write_nvidia_tree
from data_utils.loading import modalities_of
from data_utils.simulator.shapes import simulate


def point(data: Any, pair: int, row: int, column: int) -> list[float]:
    """X, Y, Z and A of a pixel."""
    values: list[float] = data.batch().inputs["lidar"][pair, :, row, column].tolist()
    return values


def save_gray(path: Path, values: object) -> None:
    Image.fromarray(np.asarray(values, dtype=np.uint16)).save(path)


@pytest.fixture
def washington(tmp_path: Path) -> Path:
    """Two categories of two instances with two frames; crops of 4 x 6 pixels at column 301, row 201."""
    for category in ("apple", "bowl"):
        for instance in (1, 2):
            folder = tmp_path / category / f"{category}_{instance}"
            folder.mkdir(parents=True)
            for frame in (1, 2):
                stem = f"{category}_{instance}_1_{frame}"
                Image.new("RGB", (6, 4), (instance, frame, 0)).save(folder / f"{stem}_crop.png")
                save_gray(folder / f"{stem}_depthcrop.png", [[0] * 6, [1140] * 6, [1140] * 6, [20_000] * 6])
                Image.new("L", (6, 4), 255).save(folder / f"{stem}_maskcrop.png")
                (folder / f"{stem}_loc.txt").write_text("301,201")
    return tmp_path


def test_washington_rgbd(washington: Path) -> None:
    data = load(str(washington))
    assert (data.info.name, data.info.classes) == ("washington-rgbd", ("apple", "bowl"))
    assert data.names[:3] == ("apple_1_1_1", "apple_1_1_2", "apple_2_1_1")
    assert data.groups.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]  # instances
    assert data.notes == ()
    assert data.inputs["rgb"][2, :, 0, 0].tolist() == [2, 1, 0, 255]
    # The pixel in column 3 and row 1 of the crop is the 304th column and the 202nd row of the camera's image.
    x, y, z, a = point(data, 0, 1, 3)
    assert z == pytest.approx(1.14)
    assert a == 1
    assert x == pytest.approx((304 - 320) * 1.14 / 570.3)
    assert y == pytest.approx((202 - 240) * 1.14 / 570.3)
    assert point(data, 0, 0, 3) == [0, 0, 0, 0]


@pytest.mark.parametrize("layout", ["washington", "sun"])
def test_a_folder_that_is_missing_is_refused(layout: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(layout)
    (folder / "realsense").symlink_to("/unmounted/disk")
    with pytest.raises(DataError, match="realsense is a link to /unmounted/disk, which does not exist"):
        load(str(folder))


def test_categories_of_washington_rgbd_that_are_not_declared_need_not_be_usable(washington: Path) -> None:
    before = load(str(washington)).sha256
    shutil.copytree(washington / "bowl", washington / "cap")
    (washington / "cap" / "bowl_1" / "bowl_1_1_1_loc.txt").write_text("301")
    (washington / "cap" / "bowl_1" / "bowl_1_1_2_loc.txt").unlink()
    with pytest.raises(DataError):
        load(str(washington))
    (washington / "dataset.toml").write_text('classes = ["bowl", "apple"]')
    data = load(str(washington))
    assert (data.sha256, data.notes) == (before, ())
    (washington / "dataset.toml").write_text('classes = ["bowl", "cup"]')
    with pytest.raises(DataError, match=r"dataset.toml declares a class 'cup'; there are apple, bowl, cap"):
        load(str(washington))


@pytest.mark.parametrize("layout", ["washington", "sun", "nyu"])
def test_modalities_that_the_layout_does_not_use_are_refused(layout: str, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(layout)
    folder = path if path.is_dir() else path.parent
    (folder / "dataset.toml").write_text('[modalities.lidar]\nkind = "depth"\nscale = 5000')
    with pytest.raises(
        DataError, match=r"dataset.toml declares the modalities lidar, but those .* are fixed; remove the tables"
    ):
        load(str(path))


@pytest.mark.parametrize("ending", ["crop.png", "depthcrop.png", "loc.txt"])
def test_washington_rgbd_leaves_incomplete_crops_out(washington: Path, ending: str) -> None:
    whole = load(str(washington))
    folder = Path("apple", "apple_1")
    (washington / folder / f"apple_1_1_1_{ending}").unlink()
    (washington / folder / "apple_1_1_1_maskcrop.png").unlink()  # not used
    data = load(str(washington))
    assert data.names == whole.names[1:]
    left = "depthcrop.png" if ending == "crop.png" else "crop.png"
    assert data.notes == (f"1 file(s) without a partner were left out: {folder / f'apple_1_1_1_{left}'}.",)


def test_washington_rgbd_with_damaged_files(washington: Path) -> None:
    for frame in (1, 2):
        (washington / "apple" / "apple_1" / f"apple_1_1_{frame}_loc.txt").write_text("301")
    with pytest.raises(UnreadableError, match=r"apple_1_1_1_loc.txt holds no column and row") as caught:
        load(str(washington))
    assert [problem.partition(" holds")[0][-19:] for problem in caught.value.problems] == [
        "apple_1_1_1_loc.txt",
        "apple_1_1_2_loc.txt",
    ]
    assert caught.value.usable is not None
    assert len(caught.value.usable) == 6
    for depth in (washington / "apple").glob("*/*_depthcrop.png"):
        depth.unlink()
    with pytest.raises(
        DataError, match=r"the categories \['bowl'\]; .* at least two. 4 file.s. without a partner"
    ):
        load(str(washington))


@pytest.fixture
def sun(tmp_path: Path) -> Path:
    """Two cameras of different resolutions; depth of 2 m, with its bits rotated by three."""
    frames = (
        ("kv1/NYUdata/NYU0001", "kitchen", 8),
        ("kv2/kinect2data/000251_2014-06-02_16-10-03_260595134347_rgbf000045-resize", "bedroom", 16),
        ("kv2/kinect2data/000252_2014-06-02_16-10-03_260595134347_rgbf000177-resize", "bedroom", 16),
        ("xtion/sun3ddata/brown/cafe/seq1/0000026-000001", "kitchen", 8),
        ("xtion/sun3ddata/brown/cafe/seq1/0000027-000002", "kitchen", 8),
    )
    for name, scene, size in frames:
        folder = tmp_path / name
        for part in ("image", "depth", "depth_bfx", "fullres"):
            (folder / part).mkdir(parents=True)
        Image.new("RGB", (size, size), (9, 9, 9)).save(folder / "image" / "0000026.jpg")
        save_gray(folder / "depth" / "0000026.png", np.full((size, size), 2000 << 3))
        for place in (folder, folder / "fullres"):
            (place / "intrinsics.txt").write_text(f"{size} 0 {size / 2 + 1} 0 {size} {size / 2 + 1} 0 0 1 \n")
        (folder / "scene.txt").write_text(scene)
    return tmp_path


def test_sun_rgbd(sun: Path) -> None:
    with pytest.raises(DataError, match=r"different sizes, from 8 x 8 .* to 16 x 16 .*--image-size 8"):
        load(str(sun))
    data = load(str(sun), image_size=8)
    assert data.info.classes == ("bedroom", "kitchen")
    assert data.labels.tolist() == [1, 0, 0, 1, 1]
    assert data.groups.tolist() == [0, 1, 1, 2, 2]  # videos
    assert data.notes == ()
    # MATLAB counts pixels from 1: the fifth column and row is the middle.
    assert point(data, 0, 4, 4) == [0, 0, 2, 1]
    assert point(data, 0, 4, 0) == [-1, 0, 2, 1]
    torch.testing.assert_close(data.batch().inputs["lidar"][1, 0].diff(dim=1), torch.full((8, 7), 0.25))


def test_classes_of_any_layout_can_be_declared(sun: Path) -> None:
    shutil.copytree(sun / "kv1" / "NYUdata" / "NYU0001", sun / "kv1" / "NYUdata" / "NYU0002")
    (sun / "kv1" / "NYUdata" / "NYU0002" / "scene.txt").write_text("office\n")
    (sun / "dataset.toml").write_text('classes = ["office", "kitchen"]')
    for number, frame in enumerate((sun / "kv2" / "kinect2data").iterdir()):  # neither usable nor of these classes
        (frame / "intrinsics.txt").write_text("1") if number else (frame / "intrinsics.txt").unlink()
    data = load(str(sun))  # the others have another size
    assert data.notes == ()
    assert data.info.classes == ("kitchen", "office")
    assert data.labels.tolist() == [0, 1, 0, 0]
    write_nvidia_tree(sun / "tree", simulate(4, 0, 8))
    shutil.copytree(sun / "tree" / "cubes", sun / "tree" / "cones")
    whole = load(str(sun / "tree"))
    (sun / "tree" / "dataset.toml").write_text('classes = ["spheres", "cubes"]')
    data = load(str(sun / "tree"))
    assert data.info.classes == ("cubes", "spheres")
    assert data.names == tuple(name for name in whole.names if not name.startswith("cones"))
    (sun / "tree" / "dataset.toml").write_text('classes = ["spheres", "balls"]')
    with pytest.raises(DataError, match=r"dataset.toml declares a class 'balls'; there are cones, cubes, spheres"):
        load(str(sun / "tree"))


def test_an_unknown_class_is_named_with_all_that_the_data_have(sun: Path) -> None:
    (sun / "dataset.toml").write_text('classes = ["bedroom", "kitchn", "kitchen"]')
    with pytest.raises(DataError, match=r"dataset.toml declares a class 'kitchn'; there are bedroom, kitchen\."):
        load(str(sun), image_size=8)
    (sun / NYU_FRAME / "scene.txt").write_text("office")
    (sun / "dataset.toml").write_text('classes = ["bedroom", "kitchen", "ofice"]')
    with pytest.raises(DataError, match="'ofice'; there are bedroom, kitchen, office"):
        load(str(sun), image_size=8)


def test_links_to_folders_of_sun_rgbd_are_followed_but_not_in_a_circle(
    sun: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = load(str(sun), image_size=8)
    store = tmp_path_factory.mktemp("store")
    for folder in (
        "kv1/NYUdata",
        "xtion/sun3ddata/brown",
        "kv2/kinect2data/000252_2014-06-02_16-10-03_260595134347_rgbf000177-resize",
    ):
        (sun / folder).rename(store / Path(folder).name)
        (sun / folder).symlink_to(store / Path(folder).name)
    (store / "brown" / "again").symlink_to(sun / "xtion")
    (sun / "kv1" / "NYU").symlink_to(store / "NYUdata")
    (sun / "kv1" / "__MACOSX").symlink_to(store)
    data = load(str(sun), image_size=8)
    assert sorted(data.digests) == sorted(before.digests)
    assert len(data) == 5


NYU_FRAME = Path("kv1", "NYUdata", "NYU0001")


@pytest.mark.parametrize("lacking", ["image/0000026.jpg", "image", "depth", "intrinsics.txt", "scene.txt"])
def test_sun_rgbd_leaves_incomplete_frames_out(sun: Path, lacking: str) -> None:
    (sun / "kv1" / "NYUdata" / "readme.txt").touch()
    path = sun / NYU_FRAME / lacking
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    data = load(str(sun), image_size=8)
    assert len(data) == 4
    assert data.notes == (f"1 file(s) without a partner were left out: {NYU_FRAME}.",)


def test_sun_rgbd_with_unreadable_frames(sun: Path) -> None:
    (sun / NYU_FRAME / "scene.txt").write_bytes(b"caf\xe9")
    (sun / "xtion/sun3ddata/brown/cafe/seq1/0000026-000001/intrinsics.txt").write_text("1 2 3")
    with pytest.raises(UnreadableError, match=r"intrinsics.txt holds no matrix of 3 x 3") as caught:
        load(str(sun), image_size=8)
    assert caught.value.usable is not None
    assert caught.value.usable.labels.tolist() == [0, 0, 1]
    assert str(NYU_FRAME) in caught.value.usable.notes[0]


def test_sun_rgbd_of_one_camera_and_with_unknown_scenes(sun: Path) -> None:
    for camera in ("kv1", "kv2"):
        shutil.rmtree(sun / camera)
    frames = sun / "xtion" / "sun3ddata" / "brown" / "cafe" / "seq1"
    for number, scene in enumerate(("idk", "office")):
        frame = shutil.copytree(frames / "0000026-000001", frames / f"000003{number}-000001")
        (frame / "scene.txt").write_text(scene)
    data = load(str(sun))
    assert data.info.classes == ("kitchen", "office")
    assert data.notes == ("1 frames of an unknown scene ('idk') are not used.",)


@pytest.mark.parametrize("apart", [False, True], ids=["", "videos apart"])
def test_the_official_split_of_sun_rgbd_is_kept(sun: Path, apart: bool) -> None:
    names = load(str(sun), image_size=8).names
    test = [names[1], names[3]] if apart else names[1:3]  # the second and third are of one video
    paths = {name: f"/n/fs/sun3d/data/SUNRGBD/{name}{'/' * number}" for number, name in enumerate(names)}
    cells = {"alltrain": [paths[name] for name in names if name not in test], "alltest": [paths[n] for n in test]}
    savemat(sun / "allsplit.mat", {name: np.array([entries], dtype=object) for name, entries in cells.items()})
    data = load(str(sun), image_size=8)
    if apart:
        assert data.assigned == ()
        assert data.notes[0].startswith("allsplit.mat is not used, as 2 groups are in both parts (")
    else:
        assert data.assigned == ("train", "test", "test", "train", "train")
        assert data.notes == ()


def test_depth_of_sun_rgbd_ends_at_8_m_as_in_its_toolbox(sun: Path) -> None:
    far = np.array([[2000 << 3, 8000 << 3, 8001 << 3, 3]] * 8, dtype=np.uint16).repeat(2, axis=1)
    save_gray(sun / NYU_FRAME / "depth" / "0000026.png", far)  # the last bits are the highest ones of the distance
    data = load(str(sun), image_size=8)
    assert data.batch().inputs["lidar"][0, 2, 0].tolist() == [2, 2, 8, 8, 8, 8, 8, 8]
    assert data.notes == (
        "lidar: 4.5% of pixels are beyond 8 m and count as 8 m, as in the toolbox of SUN RGB-D.",
    )


@pytest.fixture
def nyu(tmp_path: Path) -> Path:
    """Two frames of two scenes. Each has a chair and a lamp of 40 x 40 pixels and a cup that is too small."""
    h5py = pytest.importorskip("h5py")
    file = tmp_path / nyu_depth_v2.FILE_NAME
    labels = np.zeros((2, 640, 480), dtype=np.uint16)
    labels[:, 300:340, 200:240] = 2  # columns and rows, as MATLAB's arrays are transposed
    labels[:, 400:440, 200:240] = 1
    labels[:, 500:510, 200:210] = 3
    depth = np.zeros((2, 640, 480), dtype=np.float32)
    depth[:, 300:340, 200:239] = 2.0
    images = np.zeros((2, 3, 640, 480), dtype=np.uint8)
    images[:, 0, 300, 200] = 7
    with h5py.File(file, "w") as content:
        instances = (labels > 0).astype(np.uint8)
        for name, values in (
            ("images", images),
            ("rawDepths", depth),
            ("depths", depth + 1),
            ("labels", labels),
            ("instances", instances),
        ):
            content.create_dataset(name, data=values, chunks=(1, *np.shape(values)[1:]), compression="gzip")
        for name, texts in (("names", ("chair", "lamp", "cup")), ("scenes", ("kitchen_0004", "office_0001"))):
            references = content.create_dataset(name, (1, len(texts)), dtype=h5py.ref_dtype)
            for number, text in enumerate(texts):
                letters = content.create_dataset(f"#refs#/{name}{number}", data=[[ord(letter)] for letter in text])
                references[0, number] = letters.ref
    return file


def test_nyu_depth_v2_is_neither_listed_nor_decoded_again(
    nyu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    first = load(str(nyu), cache=cache, image_size=8)
    assert modalities_of(str(nyu)) == tuple(first.info.channels)
    assert load(str(nyu), cache=cache).sha256 != first.sha256  # other sizes are other data
    opened: list[Path] = []
    monkeypatch.setattr(nyu_depth_v2, "_opened", opened.append)
    second = load(str(nyu.parent), cache=cache, image_size=8)
    assert (second.sha256, second.names, second.notes) == (first.sha256, first.names, first.notes)
    assert modalities_of(str(nyu)) == tuple(first.info.channels)
    assert opened == []
    monkeypatch.undo()
    (nyu.parent / "Dataset.TOML").write_text('classes = ["lamp", "cup"]\n')
    with pytest.raises(DataError, match="declares a class 'cup'; there are chair, lamp"):  # no cup is large enough
        load(str(nyu), cache=cache, image_size=8)


@pytest.mark.parametrize("given", ["file", "folder"])
def test_nyu_depth_v2(nyu: Path, given: str) -> None:
    data = load(str(nyu if given == "file" else nyu.parent))
    assert (data.info.name, data.info.classes, data.info.image_size) == (
        "nyu-depth-v2",
        ("chair", "lamp"),
        (40, 40),
    )
    assert data.names == ("chair/0000-200-400", "lamp/0000-200-300", "chair/0001-200-400", "lamp/0001-200-300")
    assert data.groups.tolist() == [0, 0, 1, 1]  # scenes
    assert data.inputs["rgb"][1, :, 0, 0].tolist() == [7, 0, 0, 255]
    # The depth as measured, not as filled in. The first pixel is the 301st column and the 201st row.
    x, y, z, a = point(data, 1, 0, 0)
    assert (z, a) == (2, 1)
    assert x == pytest.approx((301 - 325.582245) * 2 / 518.857901, abs=1e-6)
    assert y == pytest.approx((201 - 253.736166) * 2 / 519.469611, abs=1e-6)
    assert point(data, 1, 39, 0) == [0, 0, 0, 0]
    assert data.notes == data.assumptions
    assert "Of 2 labels the most frequent objects are the classes: chair, lamp" in data.notes[0]


def damage(file: Path, array: str, frame: int) -> None:
    """Zero the compressed chunk that holds a frame."""
    import h5py

    with h5py.File(file) as content:
        chunk = content[array].id.get_chunk_info(frame)
    with file.open("r+b") as stream:
        stream.seek(chunk.byte_offset)
        stream.write(bytes(chunk.size))


def replace_array(file: Path, array: str, values: object) -> None:
    import h5py

    with h5py.File(file, "a") as content:
        del content[array]
        if values is not None:
            content[array] = values


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            lambda file: replace_array(file, "instances", None),
            "has no instances; give .*, nyu_depth_v2_labeled.mat, or save the pairs of another data set as files",
            id="array missing",
        ),
        pytest.param(
            lambda file: replace_array(file, "rawDepths", np.zeros((1, 640, 480), np.float32)),
            r"rawDepths of the shape \(1, 640, 480\) and images of the shape \(2, 3, 640, 480\)",
            id="another shape",
        ),
        pytest.param(
            lambda file: file.write_bytes(b"MATLAB 5.0 MAT-file, Platform: GLNXA64"),
            "is a MATLAB file of version 5, not HDF5; give the labeled part",
            id="another file of the page",
        ),
        pytest.param(lambda file: os.truncate(file, 5000), "cannot be read as HDF5 .*download it again", id="cut"),
        pytest.param(
            lambda file: file.write_text("<html>"), "cannot be read as HDF5 .*download it again", id="HTML"
        ),
        pytest.param(
            lambda file: damage(file, "labels", 1), "has damaged labels .*; download it again", id="damaged labels"
        ),
    ],
)
def test_nyu_depth_v2_refuses_other_files(nyu: Path, change: Callable[[Path], object], message: str) -> None:
    change(nyu)
    with pytest.raises(DataError, match=message) as caught:
        load(str(nyu))
    assert str(caught.value).startswith(str(nyu))
    assert str(caught.value).endswith(".")


def test_the_other_frames_of_a_damaged_nyu_depth_v2_are_usable(nyu: Path) -> None:
    damage(nyu, "images", 1)
    with pytest.raises(UnreadableError, match=r"has damaged images .* 1 more rgb file.s. cannot") as caught:
        load(str(nyu))
    assert caught.value.usable is not None
    assert caught.value.usable.names == ("chair/0000-200-400", "lamp/0000-200-300")


def save_split(nyu: Path, **frames: list[int]) -> None:
    savemat(nyu.with_name("splits.mat"), {name: np.array(of_part)[:, None] for name, of_part in frames.items()})


def test_the_official_split_of_nyu_depth_v2_is_kept(nyu: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert load(str(nyu), cache=cache).assigned == ()
    save_split(nyu, trainNdxs=[2], testNdxs=[1])  # frames are counted from 1
    data = load(str(nyu.parent), cache=cache)
    assert data.assigned == ("test", "test", "train", "train")
    assert data.notes == data.assumptions
    assert len(data.notes) == 1


def test_a_split_that_lacks_frames_is_not_kept(nyu: Path) -> None:
    save_split(nyu, trainNdxs=[1], testNdxs=[3])
    data = load(str(nyu))
    assert data.assigned == ()
    assert data.notes[1] == "splits.mat is not used, as it does not list 1."


@pytest.mark.parametrize("content", ["another", "damaged"])
def test_another_file_than_the_split_of_nyu_depth_v2(nyu: Path, content: str) -> None:
    if content == "damaged":
        nyu.with_name("splits.mat").write_bytes(b"MATLAB 5.0")
    else:
        save_split(nyu, testNdxs=[1])
    with pytest.raises(DataError, match=r"splits.mat holds no split with trainNdxs and testNdxs .*; download it"):
        load(str(nyu))


def test_nyu_depth_v2_is_found_under_the_names_of_browsers_and_shows_its_progress(nyu: Path) -> None:
    whole = load(str(nyu))
    renamed = nyu.rename(nyu.with_name("nyu_depth_v2_labeled (1).mat"))
    shown: list[tuple[int, int]] = []
    assert load(str(renamed), progress=lambda *done: shown.append(done)).sha256 == whole.sha256
    assert shown == [(1, 2), (2, 2), *((pair, 8) for pair in range(1, 9))]  # frames, then crops
    assert load(str(renamed.parent)).sha256 == whole.sha256


def test_nyu_depth_v2_without_its_package_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    (tmp_path / nyu_depth_v2.FILE_NAME).touch()
    with pytest.raises(
        DataError, match=r"needs the package h5py; install it with: pip install 'fusiongauge\[hdf5\]'"
    ):
        load(str(tmp_path))


def test_a_copy_of_cubes_and_spheres_as_archives_hold_it(tmp_path: Path) -> None:
    """In a folder of its own, with fewer sphere images than scans and copies of some scans."""
    raw = simulate(8, 0, image_size=8)
    root = tmp_path / "archive" / "data" / "assessment"
    write_nvidia_tree(root, raw)
    (root / "spheres" / "rgb" / "0003.png").unlink()
    shutil.copy(root / "cubes" / "lidar" / "0001.npy", root / "cubes" / "lidar" / "0001-2.npy")
    data = load(str(tmp_path / "archive"))
    assert data.labels.bincount().tolist() == [4, 3]
    assert data.notes[0].startswith("2 file(s) without a partner were left out: ")
    assert data.notes[1] == "The data set was found in the folder data/assessment."
