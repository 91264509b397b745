"""The report on a data set: its content, and problems that would make results on it wrong.

A ``Report`` is data; ``text`` and ``as_json`` render it. It depends on the content, not on the layout of files.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import torch
from torch import Tensor

from data_utils.audits.findings import Finding, Outcome
from data_utils.audits.leaks import audit_dataset, audit_world, extents
from data_utils.dataset import PairedDataset
from data_utils.errors import DataError
from data_utils.splits import Shares
from data_utils.worlds import split_world

SHARES = Shares(valid=0.2, test=0.2)
"""Of the split that is examined for leaks; what the data declare is kept."""

_ONE_DIRECTION = 1e-4  # radians; float32 points at 50 m are accurate to about 1e-6


DOWNSAMPLED = 8
"""Most models halve images three times, so they need multiples of this."""


@dataclass(frozen=True)
class Content:
    """The content of one modality.

    Attributes:
        channels: Of the network's input.
        kind: The type of the stored values.
        lowest: Of the measurements; ``highest``: likewise.
        constant_pairs: Number of pairs whose channels are constant, such as a black image.
        measures: Its kind (``modality.KINDS``), and "points" if it is XYZA; with the unit.
    """

    channels: int
    kind: str
    lowest: float
    highest: float
    constant_pairs: int
    measures: str


@dataclass(frozen=True)
class Sensor:
    """The sensor of a data set, as it follows from the measured points.

    Attributes:
        kind: "scanner" (looks along y) or "depth camera" (along z).
        nearest_m: The smallest measured range; NaN without measurements, as the largest and the angles.
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
        modalities: The content of each modality, by its name.
        sensor: None if no modality holds points.
        outcomes: One per audit, those with the worst findings first. Notes of the reader (files left out) are
            findings, except what it took for granted.
        assumptions: What the reader took for granted, such as the scale of depth.
    """

    name: str
    pairs: int
    classes: dict[str, int]
    groups: int
    twins: int
    image_size: tuple[int, int]
    modalities: dict[str, Content]
    sensor: Sensor | None
    outcomes: list[Outcome]
    assumptions: tuple[str, ...] = ()

    @property
    def findings(self) -> list[Finding]:
        """All problems."""
        return [finding for outcome in self.outcomes for finding in outcome.findings]

    def as_json(self) -> dict[str, Any]:
        """The attributes for JSON, and "problems", the number of findings; unknown values are None."""
        return {**msgspec.json.decode(msgspec.json.encode(self)), "problems": len(self.findings)}

    def text(self) -> str:
        """The report as text for the terminal."""
        rows, columns = self.image_size
        lines = [
            f"{self.name}: {self.pairs} pairs of {rows} x {columns} pixels in {self.groups} groups "
            f"({self.twins} pairs share their group)",
            "  pairs per class: " + ", ".join(f"{count} {name}" for name, count in self.classes.items()),
        ]
        lines += [
            f"  {name}: {m.channels} channel{'s'[: m.channels > 1]} of {m.kind} "
            f"from {m.lowest:g} to {m.highest:g}, {m.measures}"
            + (f", {m.constant_pairs} pairs are constant" if m.constant_pairs else "")
            for name, m in self.modalities.items()
        ]
        lines += [f"  {assumption}" for assumption in self.assumptions]
        if self.sensor:
            s = self.sensor
            lines.append(
                f"  sensor: {s.kind}, {s.nearest_m:.2f} to {s.furthest_m:.2f} m, {s.horizontal_deg:.1f} x "
                f"{s.vertical_deg:.1f} degrees, {s.geometries} geometr{'y' if s.geometries == 'one' else 'ies'}; "
                f"{100 * s.measured:.1f}% of pixels measured, {s.empty_pairs} pairs without a measurement"
            )
        count = len(self.findings)
        return "\n".join([*lines, *map(str, self.outcomes), f"{count or 'no'} problem{'' if count == 1 else 's'}"])


def check(dataset: PairedDataset, seed: int = 0, problems: Sequence[str] = ()) -> Report:
    """Audit a data set and one split of it.

    Args:
        dataset: What could be read.
        seed: Decides the split.
        problems: What could not be read; a run stops because of it.
    """
    info = dataset.info
    sizes = dataset.labels.bincount(minlength=len(info.classes)).tolist()
    members = dataset.groups.unique(return_counts=True)[1]
    outcomes = [*_of_reading(dataset, problems), *audit_dataset(dataset), *_of_split(dataset, seed)]
    points = (name for name in info.channels if dataset.modality(name).points)
    return Report(
        name=info.name,
        pairs=len(dataset),
        classes=dict(zip(info.classes, sizes, strict=True)),
        groups=len(members),
        twins=int(members[members > 1].sum()),
        image_size=info.image_size,
        modalities={name: _content(dataset, name) for name in dataset.inputs},
        sensor=next((_sensor(dataset, name) for name in points), None),
        outcomes=sorted(outcomes, key=lambda outcome: -max((1 + f.stops for f in outcome.findings), default=0)),
        assumptions=dataset.assumptions,
    )


def _of_reading(dataset: PairedDataset, problems: Sequence[str]) -> list[Outcome]:
    """What the reader noticed, and whether the size of the images fits models."""
    info = dataset.info
    notes = [note for note in dataset.notes if note not in dataset.assumptions]
    reading = [Finding("reading", info.name, problem, stops=True) for problem in problems]
    reading += [Finding("reading", info.name, note) for note in notes]
    rows, columns = info.image_size
    odd = []
    if rows % DOWNSAMPLED or columns % DOWNSAMPLED:
        nearest = "x".join(
            str(DOWNSAMPLED * max(1, math.floor(side / DOWNSAMPLED + 0.5))) for side in info.image_size
        )
        odd.append(
            Finding(
                "image size",
                info.name,
                f"Images have {rows} x {columns} pixels, and models that halve them three times need multiples of "
                f"{DOWNSAMPLED}; --image-size {nearest} brings them there, otherwise a run skips these models.",
            )
        )
    return [
        Outcome("reading", f"{len(dataset)} pairs", reading),
        Outcome("image size", f"{rows} x {columns} pixels", odd),
    ]


def _of_split(dataset: PairedDataset, seed: int) -> list[Outcome]:
    try:
        outcomes = audit_world(split_world(dataset, SHARES, seed))
    except DataError as error:
        return [Outcome("split", f"seed {seed}", [Finding("split", dataset.info.name, str(error), stops=True)])]
    return [replace(outcome, looked_at=f"{outcome.looked_at} (seed {seed})") for outcome in outcomes]


def _content(dataset: PairedDataset, name: str) -> Content:
    modality, values = dataset.modality(name), dataset.inputs[name]
    lowest, highest, constant = math.inf, -math.inf, 0
    for pairs in dataset.parts():
        measured = dataset.measured(name, pairs).float()
        low, high = measured.amin(dim=(2, 3)), measured.amax(dim=(2, 3))
        lowest, highest = min(lowest, float(low.min())), max(highest, float(high.max()))
        constant += int((low == high).all(dim=1).sum())
    measures = f"{modality.kind} as points" if modality.points else modality.kind
    return Content(
        channels=modality.channels,
        kind=str(values.dtype).removeprefix("torch."),
        lowest=lowest,
        highest=highest,
        constant_pairs=constant,
        measures=f"{measures} in {modality.unit}" if modality.unit else measures,
    )


def _sensor(dataset: PairedDataset, name: str) -> Sensor:
    scanner = dataset.modality(name).kind == "range"
    measured, empty = 0, 0

    def views() -> Iterator[Tensor]:
        nonlocal measured, empty
        for part in dataset.parts():
            points = dataset.measured(name, part)
            hits = points[:, 3].count_nonzero(dim=(1, 2))
            measured, empty = measured + int(hits.sum()), empty + int((hits == 0).sum())
            yield _views(points, scanner)

    low, high, pairs = extents(views())
    seen = pairs[0] > 0
    if not seen.any():
        low = high = torch.full_like(low, torch.nan)
    (nearest, left, bottom), (furthest, right, top) = low.amin(dim=(1, 2)).tolist(), high.amax(dim=(1, 2)).tolist()
    spread = (high - low)[1:, seen]
    return Sensor(
        kind="scanner" if scanner else "depth camera",
        nearest_m=nearest,
        furthest_m=furthest,
        measured=measured / (len(dataset) * math.prod(dataset.info.image_size)),
        empty_pairs=empty,
        horizontal_deg=math.degrees(right - left),
        vertical_deg=math.degrees(top - bottom),
        geometries="one" if bool((spread <= _ONE_DIRECTION).all()) else "several",
    )


def _views(xyza: Tensor, scanner: bool) -> Tensor:
    """Range, azimuth and elevation of points, (B, 3, H, W); NaN where nothing was measured."""
    x, y, z = xyza[:, [0, 1, 2] if scanner else [0, 2, 1]].unbind(dim=1)  # right, forward, up
    flat = torch.hypot(x, y)
    views = torch.stack([torch.hypot(flat, z), torch.atan2(x, y), torch.atan2(z, flat)], dim=1)
    return views.where(xyza[:, 3:] > 0, torch.nan)
