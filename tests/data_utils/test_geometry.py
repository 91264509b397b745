import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_utils.geometry import depth_to_xyza, is_scanner, range_to_xyza, xyza_to_range

QUARTER = math.pi / 2
RANGES = st.lists(st.floats(0, 60, width=32), min_size=6, max_size=6)
ANGLES = st.floats(-0.5, 0.5)


@pytest.mark.parametrize(
    ("azimuth", "zenith", "point"),
    [
        (0.0, 0.0, (0, 10, 0)),  # ahead
        (QUARTER, 0.0, (-10, 0, 0)),  # left
        (-QUARTER, 0.0, (10, 0, 0)),  # right
        (0.0, QUARTER, (0, 0, -10)),  # below
        (math.pi / 6, 0.0, (-5, 10 * math.cos(math.pi / 6), 0)),
    ],
)
def test_directions_of_a_scan(azimuth: float, zenith: float, point: tuple[float, float, float]) -> None:
    xyza = range_to_xyza(torch.tensor([[10.0]]), torch.tensor([azimuth]), torch.tensor([zenith]))
    torch.testing.assert_close(xyza.flatten(), torch.tensor([*point, 1.0]), atol=1e-5, rtol=1e-5)


def test_rows_are_azimuths_and_columns_are_zeniths() -> None:
    xyza = range_to_xyza(torch.ones(2, 3), torch.tensor([0.0, QUARTER]), torch.tensor([-QUARTER, 0.0, QUARTER]))
    assert xyza.shape == (4, 2, 3)
    torch.testing.assert_close(xyza[2], torch.tensor([[1.0, 0.0, -1.0]] * 2))


@pytest.mark.parametrize(("distance", "alpha"), [(49.99, 1.0), (50.0, 0.0), (0.0, 1.0)])
def test_alpha_distinguishes_returns_from_misses(distance: float, alpha: float) -> None:
    assert range_to_xyza(torch.tensor([[distance]]), torch.zeros(1), torch.zeros(1))[3].item() == alpha


@settings(max_examples=50, deadline=None)
@given(RANGES, st.lists(ANGLES, min_size=2, max_size=2), st.lists(ANGLES, min_size=3, max_size=3))
def test_ranges_follow_from_points(ranges: list[float], azimuth: list[float], zenith: list[float]) -> None:
    range_m = torch.tensor(ranges).reshape(2, 3)
    xyza = range_to_xyza(range_m[None], torch.tensor(azimuth), torch.tensor(zenith))
    torch.testing.assert_close(xyza_to_range(xyza)[0].float(), range_m.clamp(max=50.0), rtol=1e-6, atol=1e-30)


def test_pinhole_of_hand_made_numbers() -> None:
    depth = torch.full((1, 3, 3), 4.0)
    depth[0, 0, 0] = 0.0
    fx, fy, cx, cy = (torch.tensor([number]) for number in (2.0, 4.0, 1.0, 1.0))
    xyza = depth_to_xyza(depth, fx, fy, cx, cy)
    assert xyza.shape == (1, 4, 3, 3)
    assert xyza[0, :, 1, 1].tolist() == [0.0, 0.0, 4.0, 1.0]  # the principal point
    assert xyza[0, :, 1, 2].tolist() == [2.0, 0.0, 4.0, 1.0]  # a column to the right: Z / fx
    assert xyza[0, :, 2, 1].tolist() == [0.0, 1.0, 4.0, 1.0]  # a row down: Z / fy
    assert xyza[0, :, 0, 0].tolist() == [0.0] * 4  # no measurement


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(0.1, 20), min_size=2, max_size=2),
    st.floats(10, 500),
    st.floats(10, 500),
    st.floats(-200, 200),
    st.floats(-200, 200),
)
def test_pinhole_points_project_back_with_the_intrinsics_of_their_row(
    depths: list[float], fx: float, fy: float, cx: float, cy: float
) -> None:
    depth = torch.tensor(depths)[:, None, None].expand(2, 4, 5)
    intrinsics = [torch.tensor([value, 2 * value + 1]).double() for value in (fx, fy, cx, cy)]
    points = depth_to_xyza(depth, *intrinsics).double()
    f_x, f_y, c_x, c_y = (value[:, None, None] for value in intrinsics)
    column, row = f_x * points[:, 0] / points[:, 2] + c_x, f_y * points[:, 1] / points[:, 2] + c_y
    torch.testing.assert_close(column, torch.arange(5.0).double().expand(2, 4, 5), atol=1e-3, rtol=0)
    torch.testing.assert_close(row, torch.arange(4.0).double()[:, None].expand(2, 4, 5), atol=1e-3, rtol=0)


def test_a_scanner_looks_along_y_and_a_depth_camera_along_z() -> None:
    focal, middle = torch.tensor([60.0]), torch.tensor([1.0])
    assert is_scanner(range_to_xyza(torch.full((1, 2, 2), 25.0), torch.zeros(2), torch.zeros(2)))
    assert not is_scanner(depth_to_xyza(torch.full((1, 2, 2), 25.0), focal, focal, middle, middle))
