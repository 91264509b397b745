from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from data_utils import DataError, PairedDataset
from data_utils.layouts.manifest import is_manifest, list_manifest, manifest_modalities
from data_utils.layouts.reading import read_listing


def read(path: Path) -> PairedDataset:
    return read_listing(list_manifest(path))


HEADER = "rgb,depth,label,group,fx,fy,cx,cy"
ROWS = (
    "Stühle/rgb 1.png,Stühle/depth 1.png,chair,kitchen,2,4,1,1",
    "b.png,b.npy,bed,room 2,2,4,0,0",
    "c.png,c.png16.png,chair,kitchen,1e2,100.5,-3,70.25",
)
DEPTH_MM = np.array([[0, 1000, 2000], [4000, 4000, 65535]], dtype=np.uint16)


def write_table(folder: Path, *rows: str, header: str = HEADER) -> None:
    (folder / "manifest.csv").write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")


def write_rgb(path: Path, mode: str = "RGB", size: tuple[int, int] = (3, 2)) -> None:
    Image.new(mode, size, (10, 20, 30, 40)[: len(mode)]).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pairs of 2 x 3 pixels, with every kind of file and unusual names."""
    (tmp_path / "Stühle").mkdir()
    write_rgb(tmp_path / "Stühle" / "rgb 1.png")
    Image.fromarray(DEPTH_MM).save(tmp_path / "Stühle" / "depth 1.png")
    write_rgb(tmp_path / "b.png", "RGBA")
    np.save(tmp_path / "b.npy", DEPTH_MM.astype(np.float64) / 1000)
    write_rgb(tmp_path / "c.png")
    Image.fromarray(DEPTH_MM).save(tmp_path / "c.png16.png")
    write_table(tmp_path, *ROWS)
    return tmp_path


@pytest.mark.parametrize("given", ["", "manifest.csv"])
def test_reads_the_rows(folder: Path, given: str) -> None:
    assert is_manifest(folder / given)
    dataset = read(folder / given)
    assert dataset.info.name == folder.name
    assert dataset.info.classes == ("bed", "chair")
    assert dataset.info.image_size == (2, 3)
    assert dataset.labels.tolist() == [1, 0, 1]
    assert dataset.groups.tolist() == [0, 1, 0]
    assert dataset.names[0] == "Stühle/rgb 1.png"
    rgb = dataset.inputs["rgb"]
    assert rgb.dtype == torch.uint8
    assert rgb[:, :, 0, 0].tolist() == [[10, 20, 30, 255], [10, 20, 30, 40], [10, 20, 30, 255]]


def test_points_use_the_intrinsics_of_the_row(folder: Path) -> None:
    points = read(folder).batch().inputs["lidar"]
    assert points.shape == (3, 4, 2, 3)
    assert points[0, :, 0, 0].tolist() == [0, 0, 0, 0]  # no measurement
    assert points[0, :, 1, 0].tolist() == [-2, 0, 4, 1]  # a column left of the principal point, and in its row
    assert points[1, :, 1, 1].tolist() == [2, 1, 4, 1]  # the same depth from a npy, the principal point elsewhere
    torch.testing.assert_close(points[2, 0, 1, 1], torch.tensor((1 + 3) * 4 / 100))
    torch.testing.assert_close(points[:, 2, 1, 2], torch.tensor((0, 65.535, 0)))


def test_a_byte_order_mark_and_more_columns_are_accepted(folder: Path) -> None:
    text = f"{HEADER},comment\n" + "".join(f'{row},"one, two"\n' for row in ROWS)
    (folder / "manifest.csv").write_text(text, encoding="utf-8-sig")
    assert len(read(folder)) == 3


def test_labels_are_text_even_if_they_look_like_numbers_or_gaps(folder: Path) -> None:
    write_table(folder, ROWS[0].replace("chair", "NA"), ROWS[1].replace("bed", "007"))
    assert read(folder).info.classes == ("007", "NA")


@pytest.mark.parametrize("column", HEADER.split(","))
def test_a_missing_column_is_named(folder: Path, column: str) -> None:
    write_table(folder, *ROWS, header=HEADER.replace(column, "other"))
    with pytest.raises(DataError, match=rf"has no column '{column}'; a manifest needs the columns {HEADER}"):
        read(folder)


@pytest.mark.parametrize("column", range(8))
def test_an_empty_value_is_named(folder: Path, column: int) -> None:
    row = ROWS[1].split(",")
    row[column] = " "
    write_table(folder, ROWS[0], ",".join(row))
    with pytest.raises(DataError, match=f"no value in column '{HEADER.split(',')[column]}' of row 2"):
        read(folder)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param((), "has no rows", id="no rows"),
        pytest.param((ROWS[0], ROWS[2]), r"classes \['chair'\]; a classifier needs", id="one class"),
        pytest.param((*ROWS, ROWS[0]), r"rgb 1.png' again in row 4", id="twice"),
        pytest.param((ROWS[0], "b.png,b.npy,bed,r,0,4,0,0"), "'0' in column 'fx' of row 2", id="fx 0"),
        pytest.param((ROWS[0], "b.png,b.npy,bed,r,2,-1,0,0"), "'-1' in column 'fy' of row 2", id="fy < 0"),
        pytest.param((ROWS[0], "b.png,b.npy,bed,r,2,4,left,0"), "'left' in column 'cx' of row 2", id="no number"),
        pytest.param((ROWS[0], "b.png,b.npy,bed,r,2,4,0,nan"), "'nan' in column 'cy' of row 2", id="NaN"),
        pytest.param((ROWS[0], "b.png,b.npy,bed,r,2,4,0,inf"), "'inf' in column 'cy' of row 2", id="infinity"),
        pytest.param((ROWS[0], "../b.png,b.npy,bed,r,2,4,0,0"), "outside of its folder", id="parent folder"),
        pytest.param((ROWS[0], "b.png,/etc/b.npy,bed,r,2,4,0,0"), "outside of its folder", id="absolute path"),
        pytest.param((ROWS[0], "gone.png,b.npy,bed,r,2,4,0,0"), "gone.png does not exist", id="no image"),
        pytest.param((ROWS[0], "b.png,gone.npy,bed,r,2,4,0,0"), "gone.npy does not exist", id="no depth"),
        pytest.param(
            (ROWS[0], "b.png,c.png,bed,r,2,4,0,0"), "c.png has 3 channels, but a distance", id="color depth"
        ),
        pytest.param(
            (ROWS[0] + ",1,2", ROWS[1], ROWS[2] + ",1,2,3,4"), "row 1 has 10 values for 8 columns", id="ragged"
        ),
    ],
)
def test_refuses_rows(folder: Path, rows: tuple[str, ...], message: str) -> None:
    write_table(folder, *rows)
    refuses(folder, message)


def save_depth(depth: npt.NDArray[np.generic]) -> Callable[[Path], None]:
    return lambda folder: np.save(folder / "b.npy", depth)


def enlarge_all(folder: Path) -> None:
    for name in ("Stühle/rgb 1.png", "b.png", "c.png"):
        write_rgb(folder / name, size=(6, 4))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(save_depth(np.full((2, 3), -1.0)), "b.npy contains negative distances", id="negative"),
        pytest.param(
            save_depth(np.zeros((3, 2))), "lidar files have different sizes.*--image-size 8,", id="shape"
        ),
        pytest.param(
            lambda f: write_rgb(f / "b.png", size=(4, 2)),
            "rgb files have different sizes.*--image-size 8,",
            id="image",
        ),
        pytest.param(enlarge_all, "rgb and lidar files have different sizes, from 2 x 3 .* to 4 x 6", id="sizes"),
        pytest.param(
            lambda f: (f / "manifest.csv").write_bytes(b"\xff\xfe\x00"), "is not a CSV .*utf-16", id="bytes"
        ),
        pytest.param(lambda f: (f / "manifest.csv").write_bytes(b""), "is not a CSV .it is empty", id="empty"),
    ],
)
def test_refuses_files(folder: Path, damage: Callable[[Path], object], message: str) -> None:
    read(folder)
    damage(folder)
    refuses(folder, message)


def refuses(folder: Path, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(folder)
    assert str(folder) in str(caught.value)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_links_in_the_folder_are_followed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    cache = tmp_path_factory.mktemp("cache") / "be784e46"
    before = read(folder)
    (folder / "b.png").rename(cache)
    (folder / "b.png").symlink_to(cache)
    assert read(folder).sha256 == before.sha256
    cache.unlink()
    refuses(folder, "b.png is a link to .*, which does not exist")


def test_a_link_to_itself_is_refused(folder: Path) -> None:
    (folder / "b.png").unlink()
    (folder / "b.png").symlink_to(folder / "b.png")
    refuses(folder, "a broken link|cannot be read")


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    assert not is_manifest(tmp_path)
    with pytest.raises(DataError, match=r"gone.csv does not exist; check the path"):
        read(tmp_path / "gone.csv")


@pytest.mark.parametrize(
    ("columns", "modalities"),
    [
        ("rgb,thermal", {"rgb": "image", "thermal": "thermal"}),
        ("image,lwir,temperature", {"image": "image", "lwir": "thermal", "temperature": "thermal"}),
        ("rgb,image,depth", {"rgb": "image", "depth": "depth"}),  # of two columns of images the usual one
        ("depth,color,thermal", {"color": "image", "depth": "depth", "thermal": "thermal"}),
    ],
)
def test_usual_names_of_columns_need_no_declaration(
    columns: str, modalities: dict[str, str], tmp_path: Path
) -> None:
    names = columns.split(",")
    for pair in range(4):
        write_rgb(tmp_path / f"{pair}.jpg")
        Image.fromarray(DEPTH_MM).save(tmp_path / f"{pair}.tiff")
    files = [
        [f"{pair}.{'jpg' if name in ('rgb', 'image', 'color') else 'tiff'}" for name in names] for pair in range(4)
    ]
    rows = [";".join((*of_pair, "ab"[pair % 2], str(pair))) for pair, of_pair in enumerate(files)]
    write_table(tmp_path, *rows, header=";".join((*names, "label", "group")))
    dataset = read(tmp_path)
    assert {name: dataset.modality(name).kind for name in dataset.inputs} == modalities


def test_files_that_nothing_tells_the_kind_of_are_noted(folder: Path) -> None:
    write_table(folder, *(f"{row},x {number}.TIF" for number, row in enumerate(ROWS)), header=f"{HEADER},nir")
    assert list(read(folder).inputs) == ["rgb", "lidar"]
    note = (
        "manifest.csv names files in 'nir', which are not used, as nothing tells what they measure; declare all "
    )
    assert note + "modalities in dataset.toml." in read(folder).notes


def test_usual_columns_may_have_capitals(folder: Path) -> None:
    whole = read(folder)
    rows = [f"{row},500" for row in ROWS]
    write_table(folder, *rows, header="RGB,Depth,Label,GROUP,Fx,fy,cx,cy,Depth_Scale")
    dataset = read(folder)
    assert manifest_modalities(folder) == ("rgb", "lidar")
    assert torch.equal(dataset.inputs["rgb"], whole.inputs["rgb"])
    assert dataset.batch().inputs["lidar"][0, 2].max() == 8  # the scale per row counts too
    (folder / "dataset.toml").write_text('[modalities.RGB]\nkind = "image"\n')
    assert list(read(folder).inputs) == ["RGB"]  # a declared name stays as it is
    write_table(folder, *rows, header="RGB,Depth,Label,label,fx,fy,cx,cy,n")
    with pytest.raises(DataError, match=r"has no column 'group'; .*'group' is the same word .*; number the rows"):
        read(folder)


@pytest.mark.parametrize(
    ("intrinsics", "doubt"),
    [
        pytest.param(["1.2,0.9,0.5,0.48"] * 2, "as if the intrinsics were shares", id="shares"),
        pytest.param(["1.2,0.9,0.5,8"] * 2, "", id="small"),
        pytest.param(["40,40,15.5,15.5"] * 2, "as if they were in pixels of larger images", id="twice the size"),
        pytest.param(["99,99,60,60"] * 2, "as if they were in pixels of larger images", id="larger images"),
        pytest.param(["40,40,60,7"] * 2, "", id="crops of the left"),
        pytest.param(["40,40,60,60", "40,40,-20,-9"], "", id="crops of all sides"),
    ],
)
def test_intrinsics_that_cannot_be_those_of_the_files_are_doubted(
    intrinsics: list[str], doubt: str, tmp_path: Path
) -> None:
    for number, label in enumerate("ab"):
        write_rgb(tmp_path / f"{label}.png", size=(16, 16))
        np.save(tmp_path / f"{label}.npy", np.full((16, 16), 1.0 + number))
    rows = (f"{label}.png,{label}.npy,{label},{label}" for label in "ab")
    write_table(tmp_path, *(",".join(row) for row in zip(rows, intrinsics, strict=True)))
    data = read(tmp_path)
    doubts = [note for note in data.notes if note not in data.assumptions]
    assert [bool(doubt) and doubt in note for note in doubts] == [True] * bool(doubt)


@pytest.mark.parametrize(
    ("header", "declared"),
    [
        ("RGB,Depth,Depth_scale", "Depth"),
        ("RGB,Depth,Depth_SCALE", "Depth"),
        ("rgb,depth,Depth_Scale", "depth"),
        ("rgb,ToF,tof_scale", "ToF"),
        ("rgb,tof,TOF_Scale", "ToF"),
    ],
)
def test_the_scale_of_a_declared_column_is_found_in_any_case(header: str, declared: str, folder: Path) -> None:
    rows = ("b.png,c.png16.png,4000,x,1", "c.png,Stühle/depth 1.png,2000,y,2")
    write_table(folder, *rows, header=f"{header},label,group")
    (folder / "dataset.toml").write_text(f'[modalities.far]\nkind = "depth"\ncolumn = "{declared}"\n')
    data = read(folder)
    assert data.batch().inputs["far"][:, 0, 1, 0].tolist() == [1, 2]
    assert data.notes == (
        "far: 16.7% of pixels hold 65535, the largest value of their type, and count as not measured.",
    )


@pytest.mark.parametrize("kind", ["depth", "range", "thermal", "raw"])
def test_every_kind_of_measurement_has_the_scale_of_its_row(kind: str, folder: Path) -> None:
    rows = ("b.png,c.png16.png,4000,x,1", "c.png,Stühle/depth 1.png,2000,y,2")
    write_table(folder, *rows, header="rgb,far,far_scale,label,group")
    (folder / "dataset.toml").write_text(f'[modalities.far]\nkind = "{kind}"\n')
    assert read(folder).batch().inputs["far"][:, 0, 1, 0].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("depths", "groups", "noted"),
    [
        pytest.param("bbc", "123", True, id="in two groups"),
        pytest.param("bbc", "112", False, id="in one group"),
        pytest.param("bbb", "123", False, id="in all rows"),
    ],
)
def test_a_file_that_rows_of_several_groups_share_is_a_problem(
    depths: str, groups: str, noted: bool, folder: Path
) -> None:
    images, files = (
        ("Stühle/rgb 1.png", "b.png", "c.png"),
        {"b": ("b.npy", "./B.npy", "b.npy"), "c": ("c.png16.png",) * 3},
    )
    rows = [
        f"{images[row]},{files[depth][row]},{'xyx'[row]},{group},2,2,0,0"
        for row, (depth, group) in enumerate(zip(depths, groups, strict=True))
    ]
    write_table(folder, *rows)
    data = read(folder)
    problems = [note for note in data.notes if note not in data.assumptions]
    shared = "manifest.csv names 1 lidar file(s) in rows of several groups, so they can be in both training and "
    assert any(problem.startswith(shared) for problem in problems) == noted


def test_a_link_to_a_table_names_the_data_set_after_its_own_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (folder / "manifest.csv").rename(tmp_path / "cache" / "0a1b")
    (folder / "manifest.csv").symlink_to(tmp_path / "cache" / "0a1b")
    assert list_manifest(folder).name == folder.name


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("d41d8cd98f00b204e9800998ecf8427e  b.png", False),
        ("Made in May, by us, for all\nin a, b, c, and d", False),
        ("", False),
        (HEADER, True),
        ("Image\tLABEL", True),
    ],
)
def test_a_manifest_txt_of_another_kind_is_none(header: str, taken: bool, tmp_path: Path) -> None:
    (tmp_path / "manifest.txt").write_text(header)
    assert is_manifest(tmp_path) == taken
    (tmp_path / "manifest.parquet").touch()
    assert is_manifest(tmp_path)


def test_a_table_of_hidden_files_alone_is_refused(folder: Path) -> None:
    write_table(folder, *(f"._b{row}.png,b.npy,{'xy'[row]},{row},2,2,0,0" for row in range(2)))
    refuses(folder, "lists only files whose names begin with a dot, which are not read")
