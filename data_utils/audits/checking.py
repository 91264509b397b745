"""The report on a data set: its content, and problems that would make results on it wrong.

A ``Report`` is data; ``text`` and ``as_json`` render it. It depends on the content, not on the layout of files.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from data_utils.audits.findings import Finding, Outcome
from data_utils.audits.leaks import (
    JUDGED_PAIRS,
    groups_split_apart,
    label_dependent_inputs,
    pairs_in_both_splits,
    repeated_pairs,
)
from data_utils.dataset import PairedDataset
from data_utils.errors import DataError
from data_utils.geometry import is_scanner, is_xyza
from data_utils.splits import split

VALID_FRACTION = 0.2
"""The validation share of the split that is examined for leaks."""

_ONE_DIRECTION = 1e-4  # radians; float32 points at 50 m are accurate to about 1e-6


@dataclass(frozen=True)
class Modality:
    """The content of one modality.

    Attributes:
        channels: Their number.
        kind: "uint8" or "float32".
        lowest: The smallest value.
        highest: The largest value.
        constant_pairs: Number of pairs whose channels are all constant, such as a black image.
    """

    channels: int
    kind: str
    lowest: float
    highest: float
    constant_pairs: int


@dataclass(frozen=True)
class Sensor:
    """The sensor of a data set, as it follows from the measured points.

    Attributes:
        kind: "scanner" (looks along y) or "depth camera" (along z).
        nearest_m: The smallest measured range; NaN without measurements.
        furthest_m: The largest.
        measured: The share of pixels with a measurement.
        empty_pairs: Number of pairs without any measurement.
        horizontal_deg: Angle between the leftmost and the rightmost measurement.
        vertical_deg: Angle between the lowest and the highest.
        geometries: "one" if every pixel has the same direction in all pairs, otherwise "several".
    """

    kind: str
    nearest_m: float
    furthest_m: float
    measured: float
    empty_pairs: int
    horizontal_deg: float
    vertical_deg: float
    geometries: str


@dataclass(frozen=True)
class Report:
    """The content of a data set and the results of its audits.

    Attributes:
        name: Of the data set.
        pairs: Their number.
        classes: Number of pairs per class.
        groups: Number of groups (scenes, photographs).
        twins: Number of pairs that share their group with another.
        image_size: Rows and columns.
        modalities: By name.
        sensor: None if no modality holds points.
        outcomes: One per audit. Notes of the reader (files left out) are findings.
    """

    name: str
    pairs: int
    classes: dict[str, int]
    groups: int
    twins: int
    image_size: tuple[int, int]
    modalities: dict[str, Modality]
    sensor: Sensor | None
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def findings(self) -> list[Finding]:
        """All problems."""
        return [finding for outcome in self.outcomes for finding in outcome.findings]

    def as_json(self) -> dict[str, object]:
        """The attributes for JSON, and "problems", the number of findings; unknown values are None."""
        sensor = asdict(self.sensor) if self.sensor else None
        if sensor:
            sensor = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in sensor.items()}
        return asdict(self) | {"sensor": sensor, "problems": len(self.findings)}

    def text(self) -> str:
        """The report as text for the terminal."""
        rows, columns = self.image_size
        lines = [
            f"{self.name}: {self.pairs} pairs of {rows} x {columns} pixels in {self.groups} groups "
            f"({self.twins} pairs share their group)",
            "  pairs per class: " + ", ".join(f"{count} {name}" for name, count in self.classes.items()),
        ]
        lines += [
            f"  {name}: {m.channels} channels of {m.kind} from {m.lowest:g} to {m.highest:g}"
            + (f", {m.constant_pairs} pairs are constant" if m.constant_pairs else "")
            for name, m in self.modalities.items()
        ]
        if self.sensor:
            s = self.sensor
            lines.append(
                f"  sensor: {s.kind}, {s.nearest_m:.2f} to {s.furthest_m:.2f} m, {s.horizontal_deg:.1f} x "
                f"{s.vertical_deg:.1f} degrees, {s.geometries} geometr{'y' if s.geometries == 'one' else 'ies'}; "
                f"{100 * s.measured:.1f}% of pixels measured, {s.empty_pairs} pairs without a measurement"
            )
        count = len(self.findings)
        return "\n".join([*lines, *map(str, self.outcomes), f"{count or 'no'} problem{'' if count == 1 else 's'}"])


def check(dataset: PairedDataset, seed: int = 0) -> Report:
    """Audit a data set and one split of it.

    Args:
        dataset: With any modalities.
        seed: Of the split.
    """
    info, labels = dataset.info, dataset.labels
    sizes = labels.bincount(minlength=len(info.classes)).tolist()
    members = dataset.groups.unique(return_counts=True)[1]
    return Report(
        name=info.name,
        pairs=len(dataset),
        classes=dict(zip(info.classes, sizes, strict=True)),
        groups=len(members),
        twins=int(members[members > 1].sum()),
        image_size=info.image_size,
        modalities={name: _modality(values) for name, values in dataset.inputs.items()},
        sensor=next((_sensor(values) for values in dataset.inputs.values() if is_xyza(values)), None),
        outcomes=[*_of_pairs(dataset, sizes), *_of_split(dataset, seed)],
    )


def _of_pairs(dataset: PairedDataset, sizes: Sequence[int]) -> list[Outcome]:
    pairs, judged = f"{len(dataset)} pairs", sum(size >= JUDGED_PAIRS for size in sizes)
    of_classes = f"{judged} of {len(sizes)} classes have the {JUDGED_PAIRS} pairs needed to judge them"
    notes = [Finding("reading", dataset.info.name, note) for note in dataset.notes]
    return [
        Outcome("reading", pairs, notes),
        Outcome("repeated pairs", pairs, repeated_pairs(dataset)),
        Outcome("label-dependent inputs", of_classes, label_dependent_inputs(dataset)),
    ]


def _of_split(dataset: PairedDataset, seed: int) -> list[Outcome]:
    try:
        parts = split(dataset, VALID_FRACTION, seed)
    except DataError as error:
        return [Outcome("split", f"seed {seed}", [Finding("split", dataset.info.name, str(error))])]
    pairs = f"{len(parts.train)} training and {len(parts.valid)} validation pairs (seed {seed})"
    return [
        Outcome("pairs in both splits", pairs, pairs_in_both_splits(dataset, parts)),
        Outcome("groups split apart", pairs, groups_split_apart(dataset, parts)),
    ]


def _modality(values: Tensor) -> Modality:
    lowest, highest = values.amin(dim=(2, 3)), values.amax(dim=(2, 3))
    return Modality(
        channels=values.shape[1],
        kind=str(values.dtype).removeprefix("torch."),
        lowest=float(lowest.min()),
        highest=float(highest.max()),
        constant_pairs=int((lowest == highest).all(dim=1).sum()),
    )


def _sensor(xyza: Tensor) -> Sensor:
    scanner = is_scanner(xyza)
    right, forward, up = (0, 1, 2) if scanner else (0, 2, 1)
    valid = xyza[:, 3] > 0
    bounds = {"range": (math.inf, -math.inf), "azimuth": (math.inf, -math.inf), "elevation": (math.inf, -math.inf)}
    lowest, highest = torch.full((2, *xyza.shape[2:]), torch.inf), torch.full((2, *xyza.shape[2:]), -torch.inf)
    for points, measured in zip(xyza.split(256), valid.split(256), strict=True):
        x, y, z = points[:, right], points[:, forward], points[:, up]
        flat = torch.hypot(x, y)
        views = {"range": torch.hypot(flat, z), "azimuth": torch.atan2(x, y), "elevation": torch.atan2(z, flat)}
        if not measured.any():
            continue
        for name, view in views.items():
            low, high = bounds[name]
            bounds[name] = min(low, float(view[measured].min())), max(high, float(view[measured].max()))
        angles = torch.stack([views["azimuth"], views["elevation"]], dim=1)
        lowest = torch.minimum(lowest, angles.where(measured[:, None], torch.inf).amin(dim=0))
        highest = torch.maximum(highest, angles.where(measured[:, None], -torch.inf).amax(dim=0))
    spread = (highest - lowest)[lowest <= highest]
    nearest, furthest = bounds["range"] if valid.any() else (math.nan, math.nan)
    horizontal, vertical = (
        math.degrees(high - low) if valid.any() else math.nan
        for low, high in (bounds["azimuth"], bounds["elevation"])
    )
    return Sensor(
        kind="scanner" if scanner else "depth camera",
        nearest_m=nearest,
        furthest_m=furthest,
        measured=float(valid.float().mean()),
        empty_pairs=int((~valid.flatten(1).any(dim=1)).sum()),
        horizontal_deg=horizontal,
        vertical_deg=vertical,
        geometries="one" if bool((spread <= _ONE_DIRECTION).all()) else "several",
    )
