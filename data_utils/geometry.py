"""From measured distances to points: range images with their angles, depth images with a pinhole camera.

Units are meters and radians. Shapes: any leading dimensions (...); R rows and C columns of a range image, H rows
and W columns of a depth image. A point has four channels XYZA, where A is 1 for a measurement and 0 for none.
"""

import torch
from torch import Tensor

from data_utils.modality import MAX_RANGE_M


def range_to_xyza(
    range_m: Tensor, azimuth_rad: Tensor, zenith_rad: Tensor, max_range_m: float = MAX_RANGE_M
) -> Tensor:
    """Points measured by a scanner whose rows are azimuths and whose columns are zeniths.

    With d the range, following the notebooks that come with NVIDIA's cubes-and-spheres data:
    x = d sin(-azimuth) cos(-zenith), y = d cos(-azimuth) cos(-zenith), z = d sin(-zenith), a = 1 where
    d < max_range_m. So x points right, y forward and z up, a positive azimuth is left and a positive "zenith"
    is below the horizon. A ray without return keeps its point on the sphere of radius max_range_m, with a = 0.

    Args:
        range_m: (..., R, C), not negative; max_range_m where the ray met nothing.
        azimuth_rad: (R,).
        zenith_rad: (C,).
        max_range_m: This range and larger ones are not measurements.

    Returns:
        float32 (..., 4, R, C).
    """
    distance = range_m.float()
    xyza = distance.new_empty((*distance.shape[:-2], 4, *distance.shape[-2:]))
    torch.mul(distance.unsqueeze(-3), ray_directions(azimuth_rad, zenith_rad), out=xyza[..., :3, :, :])
    xyza[..., 3, :, :] = distance < max_range_m
    return xyza


def ray_directions(azimuth_rad: Tensor, zenith_rad: Tensor) -> Tensor:
    """The unit vectors of a scanner's rays, float32 (3, R, C); see ``range_to_xyza``."""
    azimuth, zenith = azimuth_rad.double(), zenith_rad.double()
    directions = (
        torch.sin(-azimuth)[:, None] * torch.cos(-zenith),
        torch.cos(-azimuth)[:, None] * torch.cos(-zenith),
        torch.sin(-zenith).expand(len(azimuth), len(zenith)),
    )
    return torch.stack(directions).float()


def xyza_to_range(xyza: Tensor, max_range_m: float = MAX_RANGE_M) -> Tensor:
    """The inverse of ``range_to_xyza``: the length of each point, and max_range_m where a = 0.

    Args:
        xyza: (..., 4, R, C).
        max_range_m: The range where nothing was measured.

    Returns:
        float64 (..., R, C).
    """
    squares = xyza[..., :3, :, :].double().square().sum(dim=-3)
    return torch.where(xyza[..., 3, :, :] > 0, squares.sqrt(), max_range_m)


def depth_to_xyza(depth_m: Tensor, fx: Tensor, fy: Tensor, cx: Tensor, cy: Tensor) -> Tensor:
    """Points measured by a pinhole depth camera.

    With u the column, v the row and Z the depth: X = (u - cx) Z / fx, Y = (v - cy) Z / fy, a = 1 where Z > 0.
    So x points right, y down and z forward, the usual frame of depth cameras. A pixel without measurement
    (Z = 0) has x = y = z = a = 0.

    Args:
        depth_m: (..., H, W), distance along the optical axis, not negative, 0 where nothing was measured.
        fx: (...), focal length in pixel widths, positive.
        fy: (...), focal length in pixel heights, positive.
        cx: (...), column of the principal point; outside the image for a crop.
        cy: (...), row of the principal point.

    Returns:
        float32 (..., 4, H, W).
    """
    depth = depth_m.double()
    height, width = depth.shape[-2:]
    column = torch.arange(width, dtype=torch.float64, device=depth.device)
    row = torch.arange(height, dtype=torch.float64, device=depth.device)[:, None]
    fx, fy, cx, cy = (intrinsic.double()[..., None, None] for intrinsic in (fx, fy, cx, cy))
    points = ((column - cx) * depth / fx, (row - cy) * depth / fy, depth, (depth > 0).double())
    return torch.stack(points, dim=-3).float()


def is_xyza(values: Tensor) -> bool:
    """Whether values (N, C, H, W) are points: float32 in four channels, the last of which is 0 or 1."""
    return (
        values.dtype == torch.float32
        and values.shape[1] == 4
        and bool(((values[:, 3] == 0) | (values[:, 3] == 1)).all())
    )


def is_scanner(xyza: Tensor) -> bool:
    """Whether points (N, 4, H, W) lie forward along y, as a scanner's, and not along z, as a depth camera's."""
    _, y, z, _ = xyza.abs().sum(dim=(0, 2, 3)).tolist()
    return bool(y > z)
