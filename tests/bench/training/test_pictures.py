import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from bench.training.modalities import is_points, kind_of, sensed_channels
from bench.training.pictures import pictures, png
from data_utils.geometry import depth_to_xyza, range_to_xyza

COLORS = torch.arange(2 * 4 * 3 * 5, dtype=torch.uint8).reshape(2, 4, 3, 5)
SCAN = range_to_xyza(torch.tensor([[[10.0, 20.0, 50.0], [10.0, 15.0, 20.0]]]), torch.zeros(2), torch.zeros(3))
LIGHT, DARK, NOTHING = [254, 240, 180], [90, 24, 130], [40, 42, 60]


@pytest.mark.parametrize("channels", [3, 4])
def test_colors_stay_as_they_are(channels: int) -> None:
    expected = COLORS[:, :3].permute(0, 2, 3, 1).numpy()
    assert (pictures(COLORS[:, :channels]) == expected).all()


def test_points_have_the_colors_of_their_ranges_turned_as_the_images_of_a_scanner() -> None:
    (shown,) = pictures(SCAN)
    assert shown.shape == (3, 2, 3)
    # Rows become columns, last row first.
    assert shown[:, 1].tolist() == [LIGHT, DARK, NOTHING]
    assert shown[0, 0].tolist() == LIGHT
    assert shown[2, 0].tolist() == DARK


def test_the_points_of_a_depth_camera_are_not_turned() -> None:
    focal, middle = torch.tensor([60.0]), torch.tensor([0.0])
    (shown,) = pictures(depth_to_xyza(torch.tensor([[[1.0, 2.0, 0.0]]]), focal, focal, middle, middle))
    assert shown.tolist() == [[LIGHT, DARK, NOTHING]]


def test_all_ranges_are_on_one_scale() -> None:
    near_and_far = torch.cat([SCAN, SCAN * torch.tensor([2.0, 2, 2, 1])[:, None, None]])
    first, second = pictures(near_and_far)
    assert first[0, 1].tolist() == LIGHT
    assert second[1, 1].tolist() == DARK != first[1, 1].tolist()


def test_one_channel_is_gray_on_one_scale() -> None:
    thermal = torch.tensor([[[[280.0, 300.0]]], [[[290.0, 320.0]]]])
    assert pictures(thermal)[..., 0].tolist() == [[[0, 128]], [[64, 255]]]
    assert (pictures(thermal) == pictures(thermal)[..., :1]).all()
    assert pictures(torch.full((1, 1, 2, 2), 7.0)).tolist() == np.zeros((1, 2, 2, 3)).tolist()


@pytest.mark.parametrize("channels", [2, 3, 5])
def test_of_other_channels_the_first_become_colors(channels: int) -> None:
    values = torch.randn(4, channels, 6, 6, generator=torch.Generator().manual_seed(0))
    shown = pictures(values)
    assert shown.shape == (4, 6, 6, 3)
    assert [shown[..., color].min() for color in range(3)] == [0, 0, 0]
    assert [shown[..., color].max() for color in range(3)] == [255, 255, 255]


def test_a_png_gives_the_picture_back() -> None:
    (picture, _) = pictures(COLORS)
    with Image.open(io.BytesIO(base64.b64decode(png(picture)))) as image:
        assert (np.asarray(image) == picture).all()


@pytest.mark.parametrize(
    ("values", "kind", "channels"),
    [
        (COLORS, "image", 3),
        (COLORS[:, :3], "image", 3),
        (COLORS[:, :1], "image", 1),
        (SCAN, "points", 4),
        (SCAN * 0.5, "other", 4),  # a validity of a half
        (SCAN[:, :3], "other", 3),
    ],
)
def test_values_tell_their_kind(values: Tensor, kind: str, channels: int) -> None:
    assert kind_of(values) == kind
    assert is_points(values) is (kind == "points")
    assert sensed_channels(values) == channels
