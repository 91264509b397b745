"""From values as files store them to the inputs of networks, pair by pair and on any device.

A data set keeps what was decoded from its files (8 or 16 bits), which is a fraction of the float32 inputs, and
makes the inputs of a batch when they are needed. The same values give the same bits for any choice of pairs.

Shapes: N pairs of a data set, B selected pairs, H rows, W columns.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from data_utils.geometry import depth_to_xyza
from data_utils.modality import MAX_RANGE_M, Kind


class Decoder(Protocol):
    """Makes measurements of stored values."""

    @property
    def channels(self) -> int:
        """Of the measurements."""
        ...

    @property
    def stored_channels(self) -> int:
        """Of the stored values."""
        ...

    @property
    def points(self) -> Kind | None:
        """The kind of a modality whose measurements are points; None if they are not."""
        ...

    def __call__(self, stored: Tensor, pairs: Tensor) -> Tensor:
        """Float32 measurements (B, C, H, W).

        Args:
            stored: The values of the selected pairs, (B, c, H, W), on any device.
            pairs: Their numbers in the data set, int64 (B,) on the same device.
        """
        ...

    def take(self, pairs: Tensor) -> "Decoder":
        """The decoder of a data set of these pairs only, in their order."""
        ...

    def to(self, device: torch.device | str) -> "Decoder":
        """The decoder of values on a device."""
        ...


@dataclass(frozen=True, eq=False)
class Scaled:
    """Stored values divided by a scale, channel by channel.

    Attributes:
        channels: Of the stored values and of the measurements.
        per_unit: Stored units per unit, such as 1000 for millimeters; float32, () for all pairs or (N,).
    """

    channels: int
    per_unit: Tensor
    points: None = None

    @property
    def stored_channels(self) -> int:
        """The number of measured ones."""
        return self.channels

    def __call__(self, stored: Tensor, pairs: Tensor) -> Tensor:
        """See ``Decoder``."""
        scale = self.per_unit[pairs, None, None, None] if self.per_unit.dim() else self.per_unit
        return stored.float().div_(scale) if stored.dtype != torch.float32 else stored / scale

    def take(self, pairs: Tensor) -> "Scaled":
        """See ``Decoder``."""
        return replace(self, per_unit=self.per_unit[pairs]) if self.per_unit.dim() else self

    def to(self, device: torch.device | str) -> "Scaled":
        """See ``Decoder``."""
        return replace(self, per_unit=self.per_unit.to(device))


@dataclass(frozen=True, eq=False)
class CameraPoints:
    """The points (XYZA) of depth images; see ``geometry.depth_to_xyza``.

    Attributes:
        depth: Makes meters of the stored depth, 0 where nothing was measured.
        intrinsics: fx, fy, cx, cy of every pair; float64 (N, 4).
    """

    depth: Scaled
    intrinsics: Tensor
    channels: ClassVar[int] = 4
    stored_channels: ClassVar[int] = 1
    points: ClassVar[Kind] = "depth"

    def __call__(self, stored: Tensor, pairs: Tensor) -> Tensor:
        """See ``Decoder``."""
        return depth_to_xyza(self.depth(stored, pairs)[:, 0], *self.intrinsics[pairs].unbind(dim=1))

    def take(self, pairs: Tensor) -> "CameraPoints":
        """See ``Decoder``."""
        return CameraPoints(self.depth.take(pairs), self.intrinsics[pairs])

    def to(self, device: torch.device | str) -> "CameraPoints":
        """See ``Decoder``."""
        return CameraPoints(self.depth.to(device), self.intrinsics.to(device))


@dataclass(frozen=True, eq=False)
class ScannerPoints:
    """The points (XYZA) of range images; see ``geometry.range_to_xyza``.

    Attributes:
        directions: The unit vectors of the rays, float32 (3, H, W), the same for all pairs.
        max_range_m: This range and larger ones are not measurements.
    """

    directions: Tensor
    max_range_m: float = MAX_RANGE_M
    channels: ClassVar[int] = 4
    stored_channels: ClassVar[int] = 1
    points: ClassVar[Kind] = "range"

    def __call__(self, stored: Tensor, pairs: Tensor) -> Tensor:  # noqa: ARG002 - one geometry for all pairs
        """See ``Decoder``."""
        points = stored.new_empty((len(stored), 4, *stored.shape[2:]))
        torch.mul(stored, self.directions, out=points[:, :3])
        points[:, 3:] = stored < self.max_range_m
        return points

    def take(self, pairs: Tensor) -> "ScannerPoints":  # noqa: ARG002
        """See ``Decoder``."""
        return self

    def to(self, device: torch.device | str) -> "ScannerPoints":
        """See ``Decoder``."""
        return replace(self, directions=self.directions.to(device))
