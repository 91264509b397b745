from dataclasses import replace

import numpy as np
import pytest
import torch

from data_utils import load
from data_utils.audits.pictures import contact_sheet, pictures
from data_utils.geometry import depth_to_xyza, range_to_xyza
from data_utils.modality import Modality
from tests.data_utils.samples import tiny_dataset


def test_a_sheet_shows_every_pair_as_three_tiles() -> None:
    dataset = load("shapes", pairs=8)
    sheet = np.asarray(contact_sheet(dataset, [0, 1, 2]))
    photo = dataset.inputs["rgb"][0, :3].permute(1, 2, 0).numpy().repeat(2, axis=0).repeat(2, axis=1)
    assert photo.max() > 100
    assert (sheet[62 : 62 + 128, 8 : 8 + 128] == photo).all()
    one = np.asarray(contact_sheet(dataset, [0]))
    assert one.shape[1] == 3 * 128 + 5 * 8
    assert len(sheet) > len(one)


def test_letters_of_names_are_drawn() -> None:
    dataset = load("shapes", pairs=2)
    sheets = [contact_sheet(replace(dataset, names=(name, "")), [0]) for name in ("Wärme", "Wörme", "Wörme")]
    assert sheets[0].tobytes() != sheets[1].tobytes() == sheets[2].tobytes()


def test_captions_end_before_the_next_pair() -> None:
    dataset = load("shapes", pairs=2)
    info = replace(dataset.info, classes=("Spülmaschinentablett aus Edelstahl mit zwei Griffen " * 3, "b"))
    long, pairs = replace(dataset, info=info), [0, 0, 0, 0]
    sheet = np.asarray(contact_sheet(replace(long, names=("fault 1", "")), pairs))
    cell = (sheet.shape[1] - 8) // 2  # two pairs side by side
    ink = np.asarray((sheet[44:60] > 200).all(axis=2).any(axis=0))
    assert ink[8:200].any()
    assert not ink[cell : cell + 8].any()
    other = np.asarray(contact_sheet(replace(long, names=("fault 2", "")), pairs))
    assert (sheet != other).any()  # the name is seen, and the class is cut
    contact_sheet(replace(long, names=("w" * 500, "")), pairs)


def test_points_lie_over_the_object_in_the_image() -> None:
    """In the orientation and scale of the image, the dots are where the silhouette is."""
    dataset = load("shapes", pairs=40)
    for pair in range(0, 40, 2):
        bright = dataset.inputs["rgb"][pair, :3].amax(dim=0).numpy() > 0
        sheet = np.asarray(contact_sheet(dataset, [pair]))[62 : 62 + 128, 8 + 2 * 136 : 8 + 2 * 136 + 128]
        dots = sheet.max(axis=-1) > 0
        if bright.sum() < 30:
            continue
        middle = [np.argwhere(mask).mean(axis=0) for mask in (bright.repeat(2, axis=0).repeat(2, axis=1), dots)]
        assert np.abs(middle[0] - middle[1]).max() < 6


def test_depth_is_blended_pixel_by_pixel() -> None:
    dataset = load("shapes", pairs=4)
    depth = torch.zeros(4, 64, 64)
    depth[:, :32] = 2.0
    focal = torch.full((4,), 60.0)
    points = depth_to_xyza(depth, focal, focal, focal / 2, focal / 2)
    sheet = np.asarray(
        contact_sheet(replace(dataset.decoded(), inputs={"rgb": dataset.inputs["rgb"], "lidar": points}), [0])
    )
    over = sheet[62 : 62 + 128, 8 + 2 * 136 : 8 + 2 * 136 + 128]
    assert (over[:64].max(axis=-1) > 50).all()
    photo = dataset.inputs["rgb"][0, :3].permute(1, 2, 0).numpy().repeat(2, axis=0).repeat(2, axis=1)
    assert (over[64:] == photo[64:]).all()


def test_other_modalities_have_the_mean_of_their_channels_as_a_color() -> None:
    sheet = np.asarray(contact_sheet(tiny_dataset([0, 1]), [0, 1]))
    assert sheet.shape[1] == 2 * 128 + 4 * 8  # rgb and lidar have one channel each: no photo, no points over it
    for top, color in ((62, (254, 240, 180)), (62 + 154, (90, 24, 130))):  # the lowest and the highest value
        for left in (8, 8 + 136):
            assert (sheet[top : top + 128, left : left + 128] == color).all()


def test_pictures_are_the_tiles_of_the_sheet() -> None:
    dataset = load("shapes", pairs=4)
    sheet = np.asarray(contact_sheet(dataset, [3]))[62 : 62 + 128]
    for modality, left in (("rgb", 8), ("lidar", 8 + 136)):
        (picture,) = pictures(dataset.measured(modality)[3:], dataset.modality(modality))
        assert (picture.repeat(2, axis=0).repeat(2, axis=1) == sheet[:, left : left + 128]).all()


POINTS = Modality("range", 4, points=True)
LIGHT, DARK, NOTHING = [254, 240, 180], [90, 24, 130], [40, 42, 60]
SCAN = range_to_xyza(torch.tensor([[[10.0, 20.0, 50.0], [10.0, 15.0, 20.0]]]), torch.zeros(2), torch.zeros(3))


def test_colors_stay_as_they_are() -> None:
    colors = torch.arange(2 * 4 * 3 * 5, dtype=torch.uint8).reshape(2, 4, 3, 5)
    assert (pictures(colors, Modality("image", 4)) == colors[:, :3].permute(0, 2, 3, 1).numpy()).all()


def test_points_have_the_colors_of_their_ranges_in_the_orientation_of_the_images() -> None:
    (picture,) = pictures(SCAN, POINTS)
    assert picture.shape == (3, 2, 3)  # rows become columns, last row first
    assert picture[:, 1].tolist() == [LIGHT, DARK, NOTHING]
    assert (picture[0, 0].tolist(), picture[2, 0].tolist()) == (LIGHT, DARK)


def test_the_points_of_a_depth_camera_are_not_rotated() -> None:
    focal, middle = torch.tensor([60.0]), torch.tensor([0.0])
    points = depth_to_xyza(torch.tensor([[[1.0, 2.0, 0.0]]]), focal, focal, middle, middle)
    (picture,) = pictures(points, Modality("depth", 4, points=True))
    assert picture.tolist() == [[LIGHT, DARK, NOTHING]]


def test_all_pictures_have_one_color_scale() -> None:
    first, second = pictures(torch.cat([SCAN, SCAN * torch.tensor([2.0, 2, 2, 1])[:, None, None]]), POINTS)
    assert first[0, 1].tolist() == LIGHT
    assert second[1, 1].tolist() == DARK != first[1, 1].tolist()


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_other_channels_become_colors_by_their_mean(channels: int) -> None:
    values = torch.tensor([0.0, 1.0]).expand(3, channels, 1, 2)
    assert pictures(values, Modality("raw", channels)).tolist() == [[[LIGHT, DARK]]] * 3


def test_distances_of_0_are_not_measured() -> None:
    (picture,) = pictures(torch.tensor([[[[1.0, 2.0, 0.0]]]]), Modality("depth", 1))
    assert picture.tolist() == [[LIGHT, DARK, NOTHING]]


def test_images_of_16_bits_are_drawn_with_8() -> None:
    colors = torch.tensor([257, 514, 65535, 65535], dtype=torch.uint16).reshape(1, 4, 1, 1)
    assert pictures(colors, Modality("image", 4)).tolist() == [[[[1, 2, 255]]]]
