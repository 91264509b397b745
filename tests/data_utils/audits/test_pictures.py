from dataclasses import replace

import numpy as np
import pytest
import torch

from data_utils import DataError, load
from data_utils.audits.pictures import contact_sheet, views
from data_utils.geometry import depth_to_xyza
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
        contact_sheet(replace(dataset, inputs={"rgb": dataset.inputs["rgb"], "lidar": points}), [0])
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


def test_views_are_the_tiles_of_the_sheet() -> None:
    dataset = load("shapes", pairs=4)
    sheet = np.asarray(contact_sheet(dataset, [3]))[62 : 62 + 128]
    (view,) = views(dataset, [3])
    for tile, left in ((view.photo, 8), (view.range_image, 8 + 136)):
        assert (tile.repeat(2, axis=0).repeat(2, axis=1) == sheet[:, left : left + 128]).all()


def test_views_need_images_and_points() -> None:
    with pytest.raises(DataError, match=r"views need a modality of color images .* and one of points"):
        views(tiny_dataset([0, 1]), [0])
