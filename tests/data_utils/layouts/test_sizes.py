"""Files of any size at one size: hand-made images, and depth that keeps the directions of its camera."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data_utils import DataError, load
from data_utils.__main__ import main
from data_utils.layouts.nvidia_tree import write_nvidia_tree
from data_utils.layouts.sizes import ImageSize
from data_utils.simulator.shapes import simulate
from tests.data_utils.layouts.files import write_depth, write_image, write_pairs


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64", ImageSize(64, 64)),
        ("48x64", ImageSize(48, 64)),
        ("48X64:crop", ImageSize(48, 64, "crop")),
        (" 8:pad ", ImageSize(8, 8, "pad")),
    ],
)
def test_a_size_is_rows_and_columns_and_how_images_fit(text: str, size: ImageSize) -> None:
    assert ImageSize.parse(text) == size
    assert ImageSize.parse(str(size)) == size


@pytest.mark.parametrize("text", ["", "0", "64x", "x64", "-1", "4097", "64x4097", "64:zoom", "8x8x8"])
def test_other_texts_are_no_sizes(text: str) -> None:
    with pytest.raises(DataError, match="is not an image size; write rows or rows x columns, such as 64 or 48x64"):
        ImageSize.parse(text)


COLUMNS = np.arange(6, dtype=np.float32)[None, :, None].repeat(3, axis=0)  # (3, 6, 1), each value its column


@pytest.mark.parametrize(
    ("size", "columns"),
    [
        ("3x6", [0, 1, 2, 3, 4, 5]),
        ("3x3", [1, 3, 5]),
        ("3x12", [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]),
        ("3x2:crop", [2, 3]),
        ("3x8:pad", [-9, 0, 1, 2, 3, 4, 5, -9]),
        ("6x4:crop", [2, 2, 3, 3]),
        ("6x6:pad", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_distances_are_taken_from_the_nearest_pixel(size: str, columns: list[int]) -> None:
    resampled = ImageSize.parse(size).resampling(3, 6).nearest(COLUMNS, margin=-9)
    measured = resampled[resampled.shape[0] // 2, :, 0]
    assert measured.tolist() == columns


def test_images_are_antialiased_and_margins_transparent() -> None:
    stripes = np.zeros((8, 8, 4), dtype=np.uint8)
    stripes[:, ::2] = 200
    assert (ImageSize(4, 4).resampling(8, 8).smooth(stripes)[:, 1:3] == 100).all()
    assert set(np.unique(ImageSize(4, 4).resampling(8, 8).nearest(stripes))) <= {0, 200}
    deep = ImageSize(4, 4).resampling(8, 8).smooth(stripes.astype(np.uint16) * 257)
    assert deep.dtype == np.uint16
    assert (deep[:, 1:3] == 25700).all()
    padded = ImageSize(8, 16, "pad").resampling(8, 8).smooth(stripes + 1)
    assert not padded[:, :4].any()
    assert (padded[:, 4:12] == stripes + 1).all()


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from(["stretch", "crop", "pad"]),
)
def test_a_pixel_keeps_its_direction_within_half_a_pixel(
    files: tuple[int, int], wanted: tuple[int, int], fit: str
) -> None:
    resampling = ImageSize.parse(f"{wanted[0]}x{wanted[1]}:{fit}").resampling(*files)
    before = np.array([50.0, 60.0, 3.0, 7.0])
    after = resampling.intrinsics(before)
    for axis, focal, middle in ((resampling.columns, 0, 2), (resampling.rows, 1, 3)):
        source, pixels = axis.nearest, np.arange(axis.size)
        inside = source >= 0
        assert (source[inside] < axis.source).all()
        direction_before = (source - before[middle]) / before[focal]
        direction_after = (pixels - after[middle]) / after[focal]
        half_a_pixel = 0.5 / before[focal] + 1e-9
        assert (np.abs(direction_before - direction_after)[inside] <= half_a_pixel).all()
        if axis.source == axis.scaled:
            np.testing.assert_allclose(direction_before[inside], direction_after[inside], atol=1e-12)


def test_a_camera_of_another_resolution_sees_the_same_points(tmp_path: Path) -> None:
    """Each depth pixel becomes four; the plane that they lie on stays where it is."""
    write_pairs(tmp_path, np.full((8, 8), 2000, dtype=np.uint16))
    small, large = (load(str(tmp_path), image_size=size).batch().inputs["lidar"] for size in (None, 16))
    assert large.shape[2:] == (16, 16)
    blocks = large.unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(4, 5))
    torch.testing.assert_close(blocks, small)


def test_pairs_of_many_sizes_need_one(tmp_path: Path) -> None:
    write_pairs(tmp_path, np.full((20, 28), 1000, dtype=np.uint16))
    write_image(tmp_path / "rgb" / "2.png", (34, 25))
    write_depth(tmp_path / "depth" / "2.png", np.full((25, 34), 1000, dtype=np.uint16))
    with pytest.raises(
        DataError, match=r"rgb and lidar files have different sizes, from 20 x 28.*to 25 x 34"
    ) as c:
        load(str(tmp_path))
    assert 'with --image-size 24x32, in Python with load(..., image_size="24x32").' in str(c.value)
    data = load(str(tmp_path), image_size="24x32")
    assert data.info.image_size == (24, 32)
    spans = data.batch().inputs["lidar"][:, 0, 0, [0, -1]].diff()  # wider files see wider, at the same depth
    torch.testing.assert_close(spans[2] / spans[0], torch.tensor([34 / 28]))
    assert data.notes == data.assumptions


def test_depth_of_another_size_than_the_image_needs_one(tmp_path: Path) -> None:
    write_pairs(tmp_path, np.full((8, 8), 1000, dtype=np.uint16))
    for image in (tmp_path / "rgb").iterdir():
        write_image(image, (32, 32))
    with pytest.raises(DataError, match=r"rgb and lidar files have different sizes.*--image-size 8,"):
        load(str(tmp_path))
    assert load(str(tmp_path), image_size=8).info.image_size == (8, 8)
    assert load(str(tmp_path), image_size=32).inputs["lidar"].shape == (4, 1, 32, 32)


@pytest.mark.parametrize(
    ("image", "depth", "problem"), [((8, 16), (16, 8), True), ((8, 16), (8, 8), False), ((8, 16), (4, 20), False)]
)
def test_an_image_that_its_orientation_turned_away_from_its_depth_is_a_problem(
    image: tuple[int, int], depth: tuple[int, int], problem: bool, tmp_path: Path
) -> None:
    """Sizes are columns and rows; that of the image is the one after it was turned."""
    write_pairs(tmp_path, np.full(depth[::-1], 1000, dtype=np.uint16))
    exif = Image.Exif()
    exif[274] = 6
    for file in (tmp_path / "rgb").iterdir():
        Image.new("RGB", image[::-1]).save(file, exif=exif)
    data = load(str(tmp_path), image_size=8)
    problems = [note for note in data.notes if note not in data.assumptions]
    assert [note.startswith("4 pairs have files in portrait and in landscape format (") for note in problems] == [
        True
    ] * problem
    assert all("0.png and " in note and "EXIF orientation turned the image alone" in note for note in problems)


@pytest.mark.parametrize(
    ("image", "depth", "noted"),
    [
        ((32, 18), (16, 12), True),
        ((16, 12), (16, 16), True),
        ((40, 30), (16, 12), False),
        ((41, 30), (16, 12), False),
    ],
)
def test_files_of_different_aspect_ratios_are_noted(
    image: tuple[int, int], depth: tuple[int, int], noted: bool, tmp_path: Path
) -> None:
    """Sizes are columns and rows. Two cameras may differ, so it is no problem."""
    write_pairs(tmp_path, np.full(depth[::-1], 1000, dtype=np.uint16))
    for file in (tmp_path / "rgb").iterdir():
        write_image(file, image)
    data = load(str(tmp_path), image_size=8)
    rgb, lidar = (f"{rows} x {columns} pixels" for columns, rows in (image, depth))
    note = (
        f"4 pairs have files of different aspect ratios (rgb of {rgb} and lidar of {lidar}), so their pixels may "
    )
    assert [one.startswith(note) for one in data.assumptions if "aspect" in one] == [True] * noted
    assert data.notes == data.assumptions


@pytest.mark.parametrize("size", ["8", "16x8:pad", "8x12:crop"])
def test_the_rays_of_a_scanner_are_resampled_with_its_ranges(size: str, tmp_path: Path) -> None:
    write_nvidia_tree(tmp_path, simulate(4, 0, image_size=16))
    full, part = load(str(tmp_path)), load(str(tmp_path), image_size=size)
    wanted = part.info.image_size
    rows, columns = (axis.nearest for axis in ImageSize.parse(size).resampling(16, 16))
    picked = full.batch().inputs["lidar"][:, :, rows.clip(0)][:, :, :, columns.clip(0)]
    points = part.batch().inputs["lidar"]
    assert points.shape[2:] == wanted
    inside = torch.from_numpy((rows >= 0)[:, None] & (columns >= 0))
    assert bool(inside.all()) == (":pad" not in size)
    assert torch.equal(points[..., inside], picked[..., inside])
    assert not points[:, 3, ~inside].any()  # no returns in a margin


def test_simulated_data_are_made_at_the_size() -> None:
    assert load("shapes", pairs=2, image_size=16).info.image_size == (16, 16)
    assert load("shapes", pairs=2, image_size=64).sha256 == load("shapes", pairs=2).sha256
    with pytest.raises(DataError, match="'shapes' is simulated at square sizes, not at 16x8"):
        load("shapes", pairs=2, image_size="16x8")


def test_check_takes_the_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pairs(tmp_path, np.full((20, 28), 1000, dtype=np.uint16))
    assert main(["check", str(tmp_path), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    (finding,) = [f for o in report["outcomes"] for f in o["findings"] if f["audit"] == "image size"]
    assert "20 x 28 pixels, and models that halve them three times need multiples of 8" in finding["message"]
    assert "--image-size 24x32" in finding["message"]
    assert not finding["stops"]
    main(["check", str(tmp_path), "--image-size", "24x32"])
    assert "24 x 32 pixels" in capsys.readouterr().out
    assert main(["show", str(tmp_path), "--image-size", "64:zoom"]) == 2
    assert "'64:zoom' is not an image size" in capsys.readouterr().err
