"""Folders of classes and modalities, in both orders and with any names."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from data_utils import DataError, load
from data_utils.layouts.class_folders import is_class_folders
from data_utils.layouts.media import Values
from tests.data_utils.layouts.files import write_class_folders

RGB = np.zeros((8, 8, 3), dtype=np.uint8)
DEPTH = np.full((8, 8), 1500, dtype=np.uint16)


@pytest.mark.parametrize("order", ["class", "modality"])
@pytest.mark.parametrize(
    "names",
    [
        pytest.param({"rgb": RGB, "depth": DEPTH}, id="usual"),
        pytest.param({"left": RGB, "depth": DEPTH}, id="one usual"),
        pytest.param({"NIR": RGB, "RGB": RGB}, id="capitals"),
        pytest.param({"rgb": RGB, "nir": RGB[..., 0]}, id="no distances"),
        pytest.param({"left": RGB, "nir": RGB[..., 0]}, id="told by the files"),
    ],
)
def test_both_orders_and_any_names(order: str, names: dict[str, Values], tmp_path: Path) -> None:
    write_class_folders(tmp_path, names, order, stems="012")
    assert is_class_folders(tmp_path)
    data = load(str(tmp_path))
    assert data.info.classes == ("a", "b")
    assert list(data.inputs) == sorted(names, key=lambda name: (name == "depth", name))
    assert data.names == ("a/0", "a/1", "a/2", "b/0", "b/1", "b/2")
    assert data.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert len(data.groups.unique()) == 6
    if "depth" in names:
        assert data.modality("depth").kind == "depth"
        assert torch.equal(data.batch().inputs["depth"], torch.full((6, 1, 8, 8), 1.5))


def test_three_modalities_and_images_of_any_format(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"rgb": RGB, "thermal": DEPTH, "depth": DEPTH}, "class", "01")
    for file in tmp_path.glob("*/rgb/*.png"):
        file.rename(file.with_suffix(".jpg"))
    assert load(str(tmp_path)).info.channels == {"rgb": 4, "depth": 1, "thermal": 1}


def test_stems_may_hold_the_name_of_the_modality(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"rgb": RGB, "depth": DEPTH}, "class", "01")
    for modality, pattern in (("rgb", "{}_RGB.png"), ("depth", "depth-{}.png")):
        for file in tmp_path.glob(f"*/{modality}/*"):
            file.rename(file.parent / pattern.format(file.stem))
    assert load(str(tmp_path)).names == ("a/0", "a/1", "b/0", "b/1")
    shutil.copy(tmp_path / "a" / "rgb" / "0_RGB.png", tmp_path / "a" / "rgb" / "0.png")
    data = load(str(tmp_path))
    assert data.names == ("a/0", "a/1", "b/0", "b/1")
    assert data.notes[0] == "1 file(s) without a partner were left out: a/rgb/0_RGB.png."


def test_nothing_is_dropped_silently(tmp_path: Path) -> None:
    """An empty class, and tables that list groups perhaps."""
    write_class_folders(tmp_path, {"rgb": RGB, "depth": DEPTH}, "class", "01")
    for modality in ("rgb", "depth"):
        (tmp_path / "c" / modality).mkdir(parents=True)
    (tmp_path / "pairs.csv").touch()
    (tmp_path / "manifest.csv.gz").touch()
    (tmp_path / "README.txt").touch()
    data = load(str(tmp_path))
    (problem,) = set(data.notes) - set(data.assumptions)
    assert problem.endswith("were left out: c/depth, c/rgb.")
    assert "manifest.csv.gz, pairs.csv is not read; give its path if it lists the pairs." in data.assumptions


def test_a_table_of_another_program_is_to_be_saved_as_csv(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"rgb": RGB, "depth": DEPTH}, "class", "01")
    (tmp_path / "labels.xlsx").touch()
    (tmp_path / "labels.csv.gz").touch()
    note = "labels.csv.gz, labels.xlsx is not read; if it lists the pairs, save it as CSV and give its path."
    assert note in load(str(tmp_path)).assumptions


def test_a_declaration_names_folders_kinds_and_geometry(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"c1": RGB, "c2": DEPTH}, "modality", "01")
    (tmp_path / "dataset.toml").write_text(
        '[modalities.lidar]\nfolder = "c2"\nkind = "depth"\nscale = 1000\nintrinsics = [8, 8, 3.5, 3.5]\n'
        '[modalities.rgb]\nfolder = "c1"\nkind = "image"\n'
    )
    data = load(str(tmp_path))
    assert data.info.channels == {"lidar": 4, "rgb": 4}
    assert data.notes == ()
    torch.testing.assert_close(
        data.batch().inputs["lidar"][0, :, 0, 0], torch.tensor([-3.5 / 8, -3.5 / 8, 1, 2 / 3]) * 1.5
    )


def test_files_without_a_partner_and_copies(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"rgb": RGB, "depth": DEPTH}, "class", "01")
    for modality in ("rgb", "depth"):
        shutil.copy(tmp_path / "a" / modality / "0.png", tmp_path / "a" / modality / "0-2.png")
    (tmp_path / "b" / "rgb" / "1.png").unlink()
    data = load(str(tmp_path))
    assert data.names == ("a/0", "a/0-2", "a/1", "b/0")
    assert data.groups.tolist() == [0, 0, 1, 2]
    assert data.notes[0] == "1 file(s) without a partner were left out: b/depth/1.png."


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: shutil.rmtree(folder / name)


@pytest.mark.parametrize(
    ("names", "damage", "message"),
    [
        ({"rgb": RGB, "depth": DEPTH}, remove("b"), "has one class, 'a', with the modalities depth, rgb"),
        ({"rgb": RGB, "depth": DEPTH}, remove("b/depth"), "has no depth of the class 'b'; add them, or leave"),
        (
            {"rgb": RGB, "depth": DEPTH},
            lambda f: shutil.copytree(f / "b" / "depth", f / "b" / "depth" / "old"),
            r"has no depth of the class 'b'; .* \(not read: b/depth\)",
        ),
        (
            {"a b": RGB, "a_b": RGB, "rgb": RGB},
            lambda _: None,
            "modalities 'a b', 'a_b', 'rgb', whose names differ",
        ),
        (
            {"rgb": RGB, "x": DEPTH},
            lambda _: None,
            r"folders 'x' of values \(uint16\).*\[modalities.x\] with kind",
        ),
        (
            {"left": RGB, "right": RGB},
            lambda _: None,
            "neither level is known to hold the modalities; declare them",
        ),
        (
            {"rgb": RGB, "depth": DEPTH},
            lambda f: [p.rename(p.with_stem(f"x{p.stem}")) for p in list(f.glob("b/rgb/*"))],
            r"class 'b' \(1 in rgb, 1 in depth\), but none with the same stem",
        ),
        (
            {"rgb": RGB, "depth": DEPTH},
            lambda f: shutil.copy(f / "a/rgb/0.png", f / "a/rgb/0.bmp"),
            "0.png has the stem of 0.bmp; keep one of the two files",
        ),
        (
            {"rgb": RGB, "depth": DEPTH},
            lambda f: (f / "dataset.toml").write_text('[modalities.nir]\nkind = "image"\n'),
            "declares the folders nir, but there are a, b and in them depth, rgb",
        ),
    ],
)
def test_refuses_in_one_sentence(
    names: dict[str, Values], damage: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    write_class_folders(tmp_path, names, "class", "0")
    damage(tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        load(str(tmp_path))
    assert str(tmp_path) in str(caught.value)
    assert str(caught.value).endswith(".")


def test_folders_of_splits_and_of_anything_are_no_data_sets(tmp_path: Path) -> None:
    assert not is_class_folders(tmp_path)
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    assert not is_class_folders(tmp_path)
    (tmp_path / "a" / "b" / "notes.txt").touch()
    assert not is_class_folders(tmp_path)


@pytest.mark.parametrize("order", ["class", "modality"])
@pytest.mark.parametrize("parts", [("train", "val"), ("Training", "TEST")])
def test_folders_of_a_split_are_no_classes(order: str, parts: tuple[str, str], tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"rgb": RGB, "depth": DEPTH}, order, "01")
    for label, part in zip("ab", parts, strict=True):
        for folder in [tmp_path / label] if order == "class" else [tmp_path / m / label for m in ("rgb", "depth")]:
            folder.rename(folder.with_name(part))
    with pytest.raises(
        DataError, match=r"in place of classes; list the pairs in a manifest.csv, whose columns label"
    ):
        load(str(tmp_path))
    if order == "class":
        (tmp_path / parts[0]).rename(tmp_path / "trains")
        assert load(str(tmp_path)).info.classes == tuple(sorted(("trains", parts[1])))


def test_a_split_of_whole_data_sets_is_named_with_the_table_that_keeps_it(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write_class_folders(tmp_path / part, {"rgb": RGB, "depth": DEPTH}, "class", "0")
    with pytest.raises(
        DataError, match=r"several data sets; give the path of one, or list .* a column split: .*train\.$"
    ):
        load(str(tmp_path))


@pytest.mark.parametrize(
    ("stems", "paired"),
    [
        pytest.param(("0001_chair", "0001_chair"), "0001_chair", id="the end of a word"),
        pytest.param(("irish_1", "irish_1"), "irish_1", id="the start of a word"),
        pytest.param(("0001_ir", "0001_ir"), "0001_ir", id="equal though set apart"),
        pytest.param(("0001_chair_rgb", "0001_chair"), "0001_chair", id="one of two"),
        pytest.param(("0001_chair", "0001_chair_ir"), "0001_chair", id="the other one"),
        pytest.param(("0001rgb", "ir0001"), "0001", id="beside digits"),
        pytest.param(("chairRGB", "chairIR"), "chair", id="capitals"),
        pytest.param(("rgb chair", "IR chair"), "chair", id="spaces"),
    ],
)
def test_only_a_name_that_is_set_apart_is_no_part_of_a_stem(
    stems: tuple[str, str], paired: str, tmp_path: Path
) -> None:
    write_class_folders(tmp_path, {"rgb": RGB, "ir": RGB[..., 0]}, "class", "0")
    for modality, stem in zip(("rgb", "ir"), stems, strict=True):
        for file in tmp_path.glob(f"*/{modality}/0.png"):
            file.rename(file.with_stem(stem))
    data = load(str(tmp_path))
    assert data.names == (f"a/{paired}", f"b/{paired}")
    assert data.notes == ()


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("near ir", DEPTH, r'\[modalities.NAME\] .* with folder = "near ir" and kind = "image", "depth"'),
        (
            "近赤外",
            RGB[..., 0],
            r'folders .近赤外., which cannot name a modality; .*\[modalities.NAME\] .*"近赤外" and',
        ),
        ("values", RGB[..., 0], r'\[modalities.NAME\] .* with folder = "values" and kind'),
        ("nir", DEPTH, r'\[modalities.nir\] with kind = "image", "depth"'),
    ],
)
def test_what_must_be_declared_is_told_as_it_is_written(
    name: str, values: Values, message: str, tmp_path: Path
) -> None:
    write_class_folders(tmp_path, {"rgb": RGB, name: values}, "class", "0")
    with pytest.raises(DataError, match=message):
        load(str(tmp_path))
    table = f'[modalities.other]\nfolder = "{name}"\nkind = "raw"\n[modalities.rgb]\nkind = "image"\n'
    (tmp_path / "dataset.toml").write_text(table, encoding="utf-8")
    assert list(load(str(tmp_path)).inputs) == ["other", "rgb"]


def test_folders_of_files_in_other_places_are_a_problem(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"rgb": RGB, "depth": DEPTH}, "class", "0")
    before = load(str(tmp_path))
    shutil.copytree(tmp_path / "a" / "rgb", tmp_path / "cup")
    shutil.copytree(tmp_path / "a", tmp_path / "test" / "mug")
    shutil.copy(tmp_path / "a" / "rgb" / "0.png", tmp_path / "a" / "preview.png")
    data = load(str(tmp_path))
    assert data.sha256 == before.sha256
    (note,) = set(data.notes) - set(data.assumptions)
    assert note.endswith("in folders of a class and a modality, were left out: cup, test.")


def move(pattern: str, to: str) -> Callable[[Path], object]:
    """Move the files or folders of a pattern, each relative to its folder."""

    def moved(folder: Path) -> None:
        for path in sorted(folder.glob(pattern)):
            (target := path.parent / to.format(path.stem)).parent.mkdir(exist_ok=True)
            path.rename(target)

    return moved


@pytest.mark.parametrize("order", ["class", "modality"])
@pytest.mark.parametrize(
    ("damage", "left_out"),
    [
        pytest.param(move("**/rgb/**/*.png", "{}.heic"), "rgb", id="a usual name"),
        pytest.param(move("**/nir/**/*.png", "{}.bin"), "nir", id="any name"),
    ],
)
def test_a_modality_of_a_type_that_is_not_read_is_a_problem(
    order: str, damage: Callable[[Path], object], left_out: str, tmp_path: Path
) -> None:
    write_class_folders(tmp_path, {"rgb": RGB, "depth": DEPTH, "nir": RGB[..., 0]}, order, "0")
    damage(tmp_path)
    data = load(str(tmp_path))
    assert left_out not in data.inputs
    (problem,) = set(data.notes) - set(data.assumptions)
    folders = [f"{c}/{left_out}" if order == "class" else f"{left_out}/{c}" for c in "ab"]
    assert problem.endswith(f"were left out: {', '.join(folders)}.")


def test_folders_of_media_below_those_of_modalities_are_a_problem(tmp_path: Path) -> None:
    """What was set aside, a modality whose files were set aside, and one that is a level too deep."""
    write_class_folders(
        tmp_path, {"rgb": RGB, "nir": RGB[..., 0], "depth": DEPTH, "ir": RGB[..., 0]}, "class", "01"
    )
    for folder in [tmp_path / "a", tmp_path / "b"]:
        shutil.move(folder / "ir", folder / "camera" / "ir")
        for modality, aside in (("rgb", "1.png"), ("nir", "*.png")):
            (folder / modality / "old").mkdir()
            for file in list((folder / modality).glob(aside)):
                shutil.copy(file, folder / modality / "old" / file.name)
    data = load(str(tmp_path))
    assert list(data.inputs) == ["rgb", "depth"]
    assert len(data) == 4
    (problem,) = set(data.notes) - set(data.assumptions)
    assert problem.endswith("were left out: a/camera, a/nir, a/rgb/old and 3 more.")


def test_files_of_types_that_are_not_read_are_a_problem_unless_another_has_their_stem(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"rgb": RGB, "depth": DEPTH}, "class", "01")
    (tmp_path / "a" / "rgb" / "0.dng").touch()
    assert len(load(str(tmp_path)).notes) == 1
    move("a/rgb/1.png", "1.heic")(tmp_path)
    data = load(str(tmp_path))
    assert len(data) == 3
    assert "1 file(s) of types that are not read were left out: a/rgb/1.heic; save images as PNG" in data.notes[1]
    move("a/depth/0.png", "2.png")(tmp_path)
    with pytest.raises(DataError, match=r"none with the same stem; .* and save images as .* \(1.heic is not read"):
        load(str(tmp_path))


@pytest.mark.parametrize(("order", "name"), [("class", "a/nir"), ("class", "c"), ("modality", "thermal")])
@pytest.mark.parametrize("link", [True, False])
def test_a_folder_that_is_missing_is_refused(order: str, name: str, link: bool, tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"rgb": RGB, "depth": DEPTH}, order, "0")
    if link:
        (tmp_path / name).symlink_to("/unmounted/disk")
    else:
        (tmp_path / f"{name}.dvc").touch()
    reason = "is a link to /unmounted/disk, which does not exist" if link else r"only its pointer \w+.dvc \(fetch"
    with pytest.raises(DataError, match=rf"{name} .*{reason}.*; mount or fetch the folder, or remove the"):
        load(str(tmp_path))
    declared = 'classes = ["a", "b"]\n[modalities.depth]\nkind = "depth"\n'
    (tmp_path / "dataset.toml").write_text(declared)
    assert list(load(str(tmp_path)).inputs) == ["depth"]


def test_links_to_files_that_are_missing_are_not_refused(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"rgb": RGB, "depth": DEPTH}, "class", "0")
    (tmp_path / "LICENSE").symlink_to(".git/annex/objects/gone")
    (tmp_path / "a" / "notes.pdf").symlink_to("gone")
    (tmp_path / "a.dvc").touch()  # a is there
    assert len(load(str(tmp_path)).notes) == 1


@pytest.mark.parametrize("order", ["class", "modality"])
def test_capitals_may_differ_between_folders(order: str, tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"rgb": RGB, "depth": DEPTH}, order, "0")
    before = load(str(tmp_path))
    first, second = ("a", "rgb") if order == "class" else ("rgb", "a")
    (tmp_path / first / second).rename(tmp_path / first / second.upper())
    data = load(str(tmp_path))
    assert (data.sha256, data.names, list(data.inputs)) == (before.sha256, before.names, list(before.inputs))
    shutil.copytree(tmp_path / first / second.upper(), tmp_path / first / second)
    with pytest.raises(DataError, match=r"has no [rR][gG][bB] of the class|has no depth of the class 'A'"):
        load(str(tmp_path))


@pytest.mark.parametrize("order", ["class", "modality"])
def test_classes_that_are_not_declared_need_not_be_usable(order: str, tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"rgb": RGB, "depth": DEPTH}, order, "0")
    other = tmp_path / ("c/rgb" if order == "class" else "rgb/c")
    shutil.copytree(tmp_path / ("a/rgb" if order == "class" else "rgb/a"), other)
    with pytest.raises(DataError, match="has no depth of the class 'c'"):
        load(str(tmp_path))
    (tmp_path / "dataset.toml").write_text('classes = ["a", "b"]')
    data = load(str(tmp_path))
    assert data.info.classes == ("a", "b")
    assert data.notes == data.assumptions
    (tmp_path / "dataset.toml").write_text('classes = ["a", "d"]')
    with pytest.raises(DataError, match=r"dataset.toml declares a class 'd'; there are a, b, c"):
        load(str(tmp_path))
