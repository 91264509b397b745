"""``dataset.toml``: what it declares, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
import torch

from data_utils import DataError, load
from data_utils.layouts.declared import read_declaration
from data_utils.loading import modalities_of
from tests.data_utils.layouts.files import DEPTH_M, write_class_folders, write_pairs

DEPTH = '[modalities.depth]\nkind = "depth"\n'


def write(folder: Path, text: str) -> Path:
    (folder / "dataset.toml").write_text(text, encoding="utf-8-sig")
    return folder


def test_modalities_of_any_number_and_name(tmp_path: Path) -> None:
    write_pairs(tmp_path, header=",ir", row=",rgb/0.png")
    write(
        tmp_path,
        'name = "Küche"\n'
        '[modalities.color]\ncolumn = "rgb"\nkind = "image"\n'
        '[modalities.tof]\ncolumn = "depth"\nkind = "depth"\nscale = 1000\n'
        '[modalities.plain]\ncolumn = "depth"\nkind = "depth"\nscale = 1000\nintrinsics = [4, 4, 1.0, 0]\n'
        '[modalities.ir]\nkind = "raw"\nscale = 255\n',
    )
    data = load(str(tmp_path))
    assert data.info.name == "Küche"
    assert data.info.channels == {"color": 4, "tof": 4, "plain": 4, "ir": 3}
    assert [data.modality(m).kind for m in data.inputs] == ["image", "depth", "depth", "raw"]
    inputs = data.batch().inputs
    torch.testing.assert_close(inputs["plain"][0, 0, 1], torch.tensor(DEPTH_M[1] * [-1, 0, 1] / 4).float())
    assert torch.equal(inputs["plain"][:, 2], inputs["tof"][:, 2])
    torch.testing.assert_close(inputs["ir"][0, :, 0, 0], torch.tensor([0, 20, 30]) / 255)
    assert data.notes == ()
    assert modalities_of(str(tmp_path)) == tuple(data.inputs)


def test_depth_without_intrinsics_is_one_channel_in_meters(tmp_path: Path) -> None:
    manifest = write_pairs(tmp_path) / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",fx,fy,cx,cy", ",a,b,c,d"))
    data = load(str(tmp_path))
    assert data.info.channels == {"rgb": 4, "depth": 1}
    torch.testing.assert_close(data.batch().inputs["depth"][0, 0], torch.tensor(DEPTH_M).float())
    assert modalities_of(str(tmp_path)) == ("rgb", "depth")


def test_a_folder_without_declaration_has_none(tmp_path: Path) -> None:
    assert read_declaration(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "cannot be read as TOML"),
        ('classes = ["a"]', "write at least two, or leave the entry out"),
        ("name = 5", "needs name = "),
        ("modalities = 5", "modalities as tables"),
        ("[modalities]\nrgb = 5", r"has rgb as a value; make it a table, \[modalities.rgb\]"),
        ("title = 5", "unknown entry 'title'; the entries are name, classes, modalities"),
        (
            '[modalities."../x"]\nkind = "raw"',
            r"has a modality '../x', which cannot name a part of a network; use",
        ),
        ('[modalities."near ir"]\nkind = "raw"', "has a modality 'near ir', which cannot name"),
        ('[modalities.values]\nkind = "raw"', "has a modality 'values', which cannot name"),
        (DEPTH + "offset = 5", r"unknown entry 'offset' in \[modalities.depth\]"),
        ('[modalities.a]\nkind = "sound"', "kind = 'sound' in .*; use one of image, depth, range, thermal, raw"),
        ("[modalities.a]", "kind = None"),
        (DEPTH + "column = 5", "column = 5 in .*; write a text"),
        (DEPTH + "scale = 0", "scale = 0 in .* such as 1000 for millimeters"),
        (DEPTH + "scale = inf", "scale = inf"),
        (DEPTH + 'scale = "mm"', "scale = 'mm'"),
        (DEPTH + "scale = true", "scale = True"),
        ('[modalities.t]\nkind = "raw"\nscale = "sun-rgbd"', "which is for depth; write a number"),
        ('[modalities.i]\nkind = "image"\nscale = 4095', 'remove it, or write kind = "thermal" or "raw"'),
        (
            '[modalities.i]\nkind = "image"\ninvalid = [0]',
            "has invalid in .*, but the values of images are divided",
        ),
        (DEPTH + "invalid = 0", r"invalid = 0 in .*such as \[0, 65535\]"),
        (
            DEPTH + f"invalid = [{999 * '7, '}'x']",
            r"invalid = \[7, 7, .{193}\.\.\. in .*; write a list of numbers",
        ),
        (DEPTH + 'invalid = ["none"]', "invalid = .'none'."),
        (DEPTH + "intrinsics = [1, 1, 0]", r"write \[fx, fy, cx, cy\]"),
        (DEPTH + "intrinsics = [0, 1, 0, 0]", r"write \[fx, fy, cx, cy\]"),
        (DEPTH + "intrinsics = [1, 1, nan, 0]", r"write \[fx, fy, cx, cy\]"),
        (DEPTH + "intrinsics = [1, 1, 0, inf]", r"write \[fx, fy, cx, cy\]"),
        ('[modalities.r]\nkind = "range"\nazimuth = "a.npy"', "only one of azimuth and zenith"),
        (
            DEPTH + 'azimuth = "a.npy"\nzenith = "z.npy"',
            'azimuth and zenith in .* for scanners; remove them, or write kind = "range"',
        ),
        ('[modalities.i]\nkind = "image"\nintrinsics = [1, 1, 0, 0]', 'a modality with kind = "depth"'),
        (DEPTH + "max_range = 5", 'a modality with kind = "range"'),
    ],
)
def test_refuses_in_one_sentence(text: str, message: str, tmp_path: Path) -> None:
    write(tmp_path, text)
    with pytest.raises(DataError, match=message) as caught:
        read_declaration(tmp_path)
    assert str(tmp_path / "dataset.toml") in str(caught.value)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_the_name_of_the_file_may_have_capitals(tmp_path: Path) -> None:
    write(tmp_path, DEPTH)
    (tmp_path / "dataset.toml").rename(tmp_path / "Dataset.TOML")
    assert read_declaration(tmp_path) is not None


@pytest.mark.parametrize("name", ["dataset.toml", "manifest.csv"])
@pytest.mark.parametrize("link", [True, False])
def test_a_file_that_is_missing_is_not_taken_for_none(name: str, link: bool, tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"rgb": np.zeros((2, 2, 3), "u1"), "depth": np.ones((2, 2), "u2")}, "class", "0")
    if link:
        (tmp_path / name).symlink_to("gone")
    else:
        (tmp_path / f"{name}.dvc").touch()
    with pytest.raises(DataError, match=rf"{name} (is a link to gone|.* only its pointer {name}.dvc)"):
        load(str(tmp_path))


def test_a_file_with_the_name_of_another_stands_for_it(tmp_path: Path) -> None:
    (write(tmp_path, 'name = "kitchen"') / "dataset.toml").rename(tmp_path / "real.toml")
    (tmp_path / "dataset.toml").write_text("real.toml")
    declared = read_declaration(tmp_path)
    assert declared is not None
    assert declared.name == "kitchen"
    (tmp_path / "dataset.toml").write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(DataError, match=r"dataset.toml is a pointer of Git LFS, not the file itself; fetch it"):
        read_declaration(tmp_path)


def test_accents_count_as_equal_in_both_encodings(tmp_path: Path) -> None:
    manifest = write_pairs(tmp_path) / "manifest.csv"
    rows = manifest.read_text().replace("depth,label", "tiefe \u00fc,label").replace(",b,", ",w\u00fcrfel,")
    manifest.write_text(rows, encoding="utf-8")
    write(tmp_path, 'classes = ["a", "wu\u0308rfel"]\n' + DEPTH + 'column = "tiefe u\u0308"')
    assert load(str(tmp_path)).info.classes == ("a", "w\u00fcrfel")


def test_rows_of_classes_that_are_not_declared_need_not_be_complete(tmp_path: Path) -> None:
    manifest = write_pairs(tmp_path) / "manifest.csv"
    write(tmp_path, 'classes = ["a", "b"]')
    before = load(str(tmp_path)).sha256
    manifest.write_text(manifest.read_text() + "rgb/5.png,,c,5,,,,\n")
    assert load(str(tmp_path)).sha256 == before
    manifest.write_text(manifest.read_text() + "rgb/5.png,depth/0.png,,5,2,2,0,0\n")
    with pytest.raises(DataError, match="no value in column 'label' of row 6"):
        load(str(tmp_path))


def test_a_missing_column_of_a_declared_modality_is_named(tmp_path: Path) -> None:
    write(write_pairs(tmp_path), DEPTH.replace("modalities.depth", "modalities.tof"))
    with pytest.raises(DataError, match="has no column 'tof'; a manifest needs the columns tof,label,group,fx"):
        load(str(tmp_path))


def test_ranges_have_the_declared_angles_and_largest_range(tmp_path: Path) -> None:
    for label in "ab":
        for stem in ("0", "1"):
            (tmp_path / label / "scan").mkdir(parents=True, exist_ok=True)
            np.save(tmp_path / label / "scan" / f"{stem}.npy", np.array([[0, 10, 60], [120, 130, np.nan]], "f4"))
    np.save(tmp_path / "az.npy", np.zeros(2))
    np.save(tmp_path / "ze.npy", np.zeros(3))
    table = '[modalities.scan]\nkind = "range"\nazimuth = "az.npy"\nzenith = "ze.npy"\n'
    write(tmp_path, table)
    data = load(str(tmp_path))
    assert data.batch().inputs["scan"][0, 3].tolist() == [[1, 1, 0], [0, 0, 0]]
    assert any("50.0% of pixels are beyond 50 m, up to 130.00 m, and count as no return" in n for n in data.notes)
    write(tmp_path, table + "max_range = 120\ninvalid = [0]")
    data = load(str(tmp_path))
    points = data.batch().inputs["scan"][0]
    assert points[3].tolist() == [[0, 1, 1], [0, 0, 0]]
    assert points[1].tolist() == [[120, 10, 60], [120, 130, 120]]  # forward; no returns are at the largest range
    assert data.modality("scan").points
