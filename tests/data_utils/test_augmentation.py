import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as torchvision

from data_utils.augmentation import Orientation, moved, orientation, recolored
from data_utils.geometry import depth_to_xyza, range_to_xyza
from data_utils.modality import Modality
from tests.data_utils.samples import shapes

IMAGE, DEPTH, THERMAL = Modality("image", 4), Modality("depth", 1), Modality("thermal", 1)
CAMERA, SCANNER = Modality("depth", 4, points=True), Modality("range", 4, points=True)

UPRIGHT = Orientation()
"""As images lie."""

PICTURE = torch.arange(1.0, 17.0).view(1, 1, 4, 4)
"""
 1  2  3  4
 5  6  7  8
 9 10 11 12
13 14 15 16
"""


def move(
    values: Tensor,
    modality: Modality,
    lies: Orientation = UPRIGHT,
    *,
    mirrored: bool = False,
    right: int = 0,
    down: int = 0,
) -> Tensor:
    """One pair, moved and mirrored."""
    flags, shifts = torch.tensor([mirrored]), (torch.tensor([right]), torch.tensor([down]))
    return moved(values, modality, lies, flags, *shifts)


def rows(values: Tensor) -> list[list[float]]:
    return values[0, 0].tolist()


def test_a_picture_is_mirrored_from_left_to_right() -> None:
    assert rows(move(PICTURE, DEPTH, mirrored=True)) == [
        [4, 3, 2, 1],
        [8, 7, 6, 5],
        [12, 11, 10, 9],
        [16, 15, 14, 13],
    ]


def test_a_picture_that_is_moved_has_nothing_measured_outside() -> None:
    expected = [[7, 8, 0, 0], [11, 12, 0, 0], [15, 16, 0, 0], [0, 0, 0, 0]]
    for modality in (DEPTH, IMAGE):
        assert rows(move(PICTURE, modality, right=2, down=1)) == expected
    assert rows(move(PICTURE, DEPTH, right=-1, down=-2)) == [[0] * 4, [0] * 4, [0, 1, 2, 3], [0, 5, 6, 7]]


def test_other_values_are_as_the_nearest_pixel_outside() -> None:
    assert rows(move(PICTURE, THERMAL, right=2, down=1)) == [
        [7, 8, 8, 8],
        [11, 12, 12, 12],
        [15, 16, 16, 16],
        [15, 16, 16, 16],
    ]


def test_a_picture_is_moved_first_and_mirrored_then() -> None:
    together = move(PICTURE, DEPTH, mirrored=True, right=1, down=1)
    assert rows(together) == [[0, 8, 7, 6], [0, 12, 11, 10], [0, 16, 15, 14], [0] * 4]
    assert torch.equal(together, move(move(PICTURE, DEPTH, right=1, down=1), DEPTH, mirrored=True))


def test_nothing_is_changed_where_nothing_is_asked_for() -> None:
    for modality in (IMAGE, DEPTH, THERMAL):
        assert torch.equal(move(PICTURE, modality), PICTURE)


def test_images_need_not_be_square() -> None:
    wide = torch.arange(1.0, 7.0).view(1, 1, 2, 3)
    assert rows(move(wide, DEPTH, mirrored=True, right=1)) == [[0, 3, 2], [0, 6, 5]]
    assert rows(move(wide, DEPTH, down=1)) == [[4, 5, 6], [0, 0, 0]]
    assert rows(move(wide, DEPTH, Orientation(transposed=True), mirrored=True, right=1)) == [[0, 0, 0], [4, 5, 6]]


def test_each_pair_is_moved_by_itself() -> None:
    two = torch.cat([PICTURE, PICTURE])
    mirrored, right, down = torch.tensor([True, False]), torch.tensor([0, 1]), torch.tensor([0, 0])
    result = moved(two, DEPTH, UPRIGHT, mirrored, right, down)
    assert rows(result[:1]) == rows(move(PICTURE, DEPTH, mirrored=True))
    assert rows(result[1:]) == rows(move(PICTURE, DEPTH, right=1))


# Points


def camera(depth: Tensor, cx: float) -> Tensor:
    """The points of a camera with a focal length of 2 pixels and the principal point in this column."""
    one = torch.ones(len(depth))
    return depth_to_xyza(depth, 2 * one, 2 * one, cx * one, 1.5 * one)


def test_points_of_a_mirrored_camera_are_those_of_the_mirrored_scene() -> None:
    depth = torch.tensor([[[1.0, 2.0, 0.0, 4.0]] * 4])
    points = camera(depth, cx=0.5)
    # What a camera measures whose scene and principal point are mirrored; the third column measured nothing.
    expected = camera(depth.flip(2), cx=3 - 0.5)
    mirrored = move(points, CAMERA, mirrored=True)
    assert torch.equal(mirrored, expected)
    assert mirrored[0, 0, 0].tolist() == [-5.0, 0.0, -0.5 * 2 / 2, 0.25]  # x: (3 - 0.5) * 4 / 2 was on the right
    assert mirrored[0, 3, 0].tolist() == [1, 0, 1, 1]
    assert not torch.equal(points.flip(3), expected)  # as x would keep its sign


def test_points_that_are_moved_stay_where_they_were_measured() -> None:
    depth = torch.arange(1.0, 17.0).view(1, 4, 4)
    result = move(camera(depth, cx=1.5), CAMERA, right=1, down=-1)
    assert torch.equal(result[:, :, 1:, :3], camera(depth, cx=1.5)[:, :, :3, 1:])
    assert not result[:, :, 0].any()
    assert not result[:, :, :, 3].any()


def scanned(ranges: Tensor, azimuth: list[float]) -> Tensor:
    """The points of a scanner that looks up and down as far as to the left and right."""
    return range_to_xyza(ranges, torch.tensor(azimuth), torch.tensor([-0.3, -0.1, 0.1, 0.3]))


ANGLES = [-0.3, -0.1, 0.1, 0.3]
"""Radians; positive is left, so row 0 is the rightmost. Of the zeniths, positive is down: columns go down."""


def test_a_scanner_is_mirrored_along_its_azimuths() -> None:
    ranges = torch.rand(1, 4, 4, generator=torch.Generator().manual_seed(0)) + 5
    points = scanned(ranges, ANGLES)
    lies = orientation(points, SCANNER)
    assert lies == Orientation(transposed=True, right=-1, down=1)
    mirrored = move(points, SCANNER, lies, mirrored=True)
    torch.testing.assert_close(mirrored, scanned(ranges.flip(1), ANGLES))
    assert (mirrored[0, 0, :2] > 0).all()  # right again
    assert not torch.allclose(mirrored, scanned(ranges.flip(2), ANGLES))


def test_a_scanner_looks_to_the_same_side_as_the_camera() -> None:
    ranges = torch.arange(1.0, 17.0).view(1, 4, 4) + 4
    points = scanned(ranges, ANGLES)
    lies = orientation(points, SCANNER)
    right = move(points, SCANNER, lies, right=1)
    assert torch.equal(right[:, :, 1:], points[:, :, :3])  # what was at the right is now in the middle
    assert not right[:, :, 0].any()
    down = move(points, SCANNER, lies, down=1)
    assert torch.equal(down[..., :3], points[..., 1:])
    assert not down[..., 3].any()


@pytest.mark.parametrize("reverse", [False, True])
def test_the_orientation_of_points_is_told_by_their_directions(reverse: bool) -> None:
    depth = torch.rand(5, 6, 8, generator=torch.Generator().manual_seed(0)) * 3 + 1
    depth[:, :3, :4] = 0  # not measured
    points = camera(depth, cx=40.0)  # crops far from the middle of a photograph
    assert orientation(points, CAMERA) == Orientation()
    axes = (2, 3) if reverse else (3,)
    assert orientation(points.flip(axes), CAMERA) == Orientation(right=-1, down=-1 if reverse else 1)
    assert orientation(points.transpose(2, 3), CAMERA) == Orientation(transposed=True)


def test_the_simulated_scanner_lies_as_its_pictures_show_it() -> None:
    dataset = shapes(20, 0)
    points = dataset.measured("lidar", torch.arange(20))
    assert orientation(points, dataset.modality("lidar")) == Orientation(transposed=True, right=-1, down=1)


def test_what_has_no_directions_lies_as_an_image() -> None:
    assert orientation(torch.zeros(2, 4, 4, 4), CAMERA) == Orientation()
    assert orientation(torch.rand(2, 1, 4, 4), Modality("range", 1)) == Orientation()


# Colors


def picture(channels: int) -> Tensor:
    return torch.rand(3, channels, 5, 4, generator=torch.Generator().manual_seed(0))


FACTORS = torch.tensor([[1.3, 0.6, 1.4], [0.7, 1.5, 0.2], [1.0, 1.0, 1.0]])


def test_colors_are_changed_as_torchvision_does() -> None:
    images = picture(3)
    for image, (brightness, contrast, saturation), result in zip(
        images, FACTORS.tolist(), recolored(images, FACTORS), strict=True
    ):
        expected = torchvision.adjust_brightness(image, brightness)
        expected = torchvision.adjust_contrast(expected, contrast)
        torch.testing.assert_close(result, torchvision.adjust_saturation(expected, saturation), atol=1e-6, rtol=0)


def test_alpha_stays_and_gray_stays_gray() -> None:
    images = picture(4)
    result = recolored(images, FACTORS)
    assert torch.equal(result[:, 3], images[:, 3])
    assert torch.equal(result[:, :3], recolored(images[:, :3], FACTORS))
    gray = picture(1)
    expected = torchvision.adjust_contrast(torchvision.adjust_brightness(gray[0], 1.3), 0.6)
    torch.testing.assert_close(recolored(gray, FACTORS)[0], expected, atol=1e-6, rtol=0)


def test_factors_of_1_change_nothing() -> None:
    images = picture(4)
    torch.testing.assert_close(recolored(images, torch.ones(3, 3)), images, atol=1e-7, rtol=0)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_an_image_has_the_same_bits_in_any_batch(layout: torch.memory_format) -> None:
    images = torch.rand(67, 4, 31, 17, generator=torch.Generator().manual_seed(0)).contiguous(memory_format=layout)
    factors = torch.rand(67, 3, generator=torch.Generator().manual_seed(1)) + 0.5
    together = recolored(images, factors)
    for chosen in (torch.tensor([5]), torch.tensor([66, 5, 3])):
        assert torch.equal(recolored(images[chosen].clone(), factors[chosen]), together[chosen])
