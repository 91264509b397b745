"""Audits of any data set and its split: repeated pairs, groups split apart, inputs that reveal the label.

Each audit yields its findings, none if there is no problem. None of them trains or needs a model.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from data_utils.audits.findings import Finding, Outcome
from data_utils.dataset import PairedDataset
from data_utils.worlds import Part, World
from fusiongauge import some

_USE = {"train": "training", "valid": "validation", "test": "test"}

JUDGED_PAIRS = 10
"""With fewer pairs of a class, a value may be constant by chance, so it is not judged."""

_TOLERANCE = 1e-5  # relative to a modality's largest value: above float32 rounding, below any sensor's resolution


def audit_dataset(dataset: PairedDataset) -> list[Outcome]:
    """The audits that need no split."""
    sizes = dataset.labels.bincount(minlength=len(dataset.info.classes))
    judged = f"{int((sizes >= JUDGED_PAIRS).sum())} of {len(sizes)} classes"
    return [
        Outcome("repeated pairs", f"{len(dataset)} pairs", [*repeated_pairs(dataset)]),
        Outcome(
            "label-dependent inputs",
            f"{judged} have the {JUDGED_PAIRS} pairs needed to judge them",
            [*label_dependent_inputs(dataset)],
        ),
    ]


def audit_world(world: World) -> list[Outcome]:
    """The audits of what trains, validates and tests."""
    pairs = f"{', '.join(f'{len(part)} {_USE[name]}' for name, part in world.parts.items())} pairs"
    return [
        Outcome("pairs in several parts", pairs, [*pairs_in_several_parts(world)]),
        Outcome("groups split apart", pairs, [*groups_split_apart(world)]),
    ]


def repeated_pairs(dataset: PairedDataset) -> Iterator[Finding]:
    """Pairs with the same content as an earlier pair, under any name or label.

    They count twice, and a split by names or groups does not keep them together.
    """
    first: dict[bytes, int] = {}
    originals = [first.setdefault(digest, pair) for pair, digest in enumerate(dataset.digests)]
    copies = [(copy, original) for copy, original in enumerate(originals) if copy != original]
    if copies:
        mislabeled = sum(bool(dataset.labels[copy] != dataset.labels[original]) for copy, original in copies)
        examples = [f"{dataset.names[copy]} = {dataset.names[original]}" for copy, original in copies]
        yield Finding(
            "repeated pairs",
            dataset.info.name,
            f"{len(copies)} pairs have the same content as an earlier one, {mislabeled} of them another label "
            f"({some(examples)}); keep every pair once.",
        )


def pairs_in_several_parts(world: World) -> Iterator[Finding]:
    """Validation or test pairs whose content is in an earlier part too; a copy under another name counts."""
    for (used, other), (name, part) in _pairs_of_parts(world):
        first = {other.dataset.digests[pair]: pair for pair in other.indices.tolist()}
        shared = [
            f"{part.dataset.names[pair]} = {other.dataset.names[first[digest]]}"
            for pair in part.indices.tolist()
            if (digest := part.dataset.digests[pair]) in first
        ]
        if shared:
            yield Finding(
                "pairs in several parts",
                world.info.name,
                f"{len(shared)} of {len(part)} {_USE[name]} pairs are also {_USE[used]} pairs ({some(shared)}); "
                "list every pair once, or put its copies in one group.",
            )


def groups_split_apart(world: World) -> Iterator[Finding]:
    """Groups (twins, crops of one photograph) with pairs in several parts."""
    for (used, other), (name, part) in _pairs_of_parts(world):
        if part.dataset is not other.dataset:  # groups are numbered by data set
            continue
        groups, names = part.dataset.groups, part.dataset.names
        first = {int(groups[pair]): pair for pair in other.indices.tolist()}
        apart = {
            group: f"{names[pair]} from {names[first[group]]}"
            for pair in part.indices.tolist()
            if (group := int(groups[pair])) in first
        }
        if apart:
            total = len(groups[torch.cat([other.indices, part.indices])].unique())
            yield Finding(
                "groups split apart",
                world.info.name,
                f"{len(apart)} of {total} groups have pairs both in {_USE[used]} and in {_USE[name]} "
                f"({some(list(apart.values()))}); split by groups.",
            )


def validation_left_out(drawn: World, delivered: World) -> Iterator[Finding]:
    """Validation pairs of the world as it was drawn that are not in the world as it reaches the models."""
    scored = set(delivered.valid.indices.tolist())
    lost = [drawn.valid.dataset.names[pair] for pair in drawn.valid.indices.tolist() if pair not in scored]
    if lost:
        yield Finding(
            "validation pairs left out",
            drawn.info.name,
            f"{len(lost)} of {len(drawn.valid)} validation pairs reach no metric ({some(lost)}); "
            "keep the last batch of the validation pairs even if it is smaller.",
        )


def _pairs_of_parts(world: World) -> Iterator[tuple[tuple[str, Part], tuple[str, Part]]]:
    """Every part with each later one."""
    return combinations(world.parts.items(), 2)


def label_dependent_inputs(dataset: PairedDataset) -> Iterator[Finding]:
    """Single input values that reveal the label.

    A value is one channel of one pixel. It separates two classes if it is the same in all pairs of one class and
    outside of its range in the other, as with a watermark, padding or a different alpha. In ``JUDGED_PAIRS`` pairs
    this does not happen by chance; it comes from the recording. For points (XYZA) the directions are examined too:
    objects change the length of a ray, only the sensor's angles change its direction.

    Values that vary within every class, such as the intrinsics of many cameras, cannot be judged this way.
    """
    for modality in dataset.inputs:
        views: dict[str, Callable[[Tensor], Tensor]] = {"values": Tensor.float}
        if dataset.modality(modality).points:
            views["directions of points"] = _directions
        for what, view in views.items():
            message = _leak(dataset, modality, what, view)
            if message:
                yield Finding("label-dependent inputs", modality, message)


def extents(parts: Iterable[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """The smallest and the largest of all pairs, and the number of pairs that have a value; NaN is no value.

    Args:
        parts: Some pairs each, (B, ...); at least one.

    Returns:
        Three tensors of the shape of a pair; inf and -inf where no pair has a value.
    """
    low = high = pairs = torch.empty(0)
    for number, part in enumerate(parts):
        missing = part.isnan()
        of_part = (
            part.masked_fill(missing, torch.inf).amin(dim=0),
            part.masked_fill(missing, -torch.inf).amax(dim=0),
            (~missing).sum(dim=0, dtype=torch.int32),
        )
        if number == 0:
            low, high, pairs = of_part
        else:
            low, high, pairs = low.minimum(of_part[0]), high.maximum(of_part[1]), pairs + of_part[2]
    return low, high, pairs


def _directions(xyza: Tensor) -> Tensor:
    """Unit vectors (B, 3, H, W) from the sensor to each point; NaN for a point at the sensor (no measurement)."""
    points = xyza[:, :3]
    return points / points.square().sum(dim=1, keepdim=True).sqrt()


def _leak(dataset: PairedDataset, modality: str, what: str, view: Callable[[Tensor], Tensor]) -> str:
    """The message on values that are constant in one class and different in another; "" if there are none."""
    classes = dataset.info.classes
    of_classes = [
        extents(
            view(dataset.measured(modality, pairs))
            for pairs in dataset.parts(torch.nonzero(dataset.labels == label).flatten())
        )
        for label in range(len(classes))
    ]
    low, high, pairs = (torch.stack(parts) for parts in zip(*of_classes, strict=True))  # (classes, C, H, W)
    judged = pairs >= JUDGED_PAIRS
    if not judged.any():
        return ""
    tolerance = _TOLERANCE * max(float(bound.where(judged, 0).abs().max()) for bound in (low, high))
    constant = judged & (high - low <= tolerance)
    # It is enough to compare with the class of the lowest maximum and with the class of the highest minimum.
    lowest, highest = high.where(judged, torch.inf), low.where(judged, -torch.inf)
    above, below = low - lowest.amin(dim=0) > tolerance, highest.amax(dim=0) - high > tolerance
    leaking = constant & (above | below)
    count = int(leaking.any(dim=0).sum())
    if not count:
        return ""
    label, channel, row, column = (
        int(index) for index in np.unravel_index(int(leaking.flatten().int().argmax()), leaking.shape)
    )
    at = (slice(None), channel, row, column)
    other = int(lowest[at].argmin() if above[at][label] else highest[at].argmax())
    return (
        f"{count} of {low[0].numel()} {what} are the same in all pairs of one class and different in all of "
        f"another (channel {channel}, row {row}, column {column}: {low[at][label].item():.6g} in "
        f"{classes[label]!r}, {low[at][other].item():.6g} to {high[at][other].item():.6g} in "
        f"{classes[other]!r}), so they reveal the label; record and prepare all classes alike."
    )
