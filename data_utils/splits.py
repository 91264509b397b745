"""Choosing pairs: training against validation, and a smaller data set. Whole groups, every class in proportion.

Both choices visit the groups in order of first appearance and run an error diffusion with a random threshold
[1]: a group is chosen when that brings the chosen count of each class closer to its share of what has been
seen. A choice therefore depends on the groups before it and never on the groups behind it: appending groups to
a data set leaves every earlier choice as it was.

[1] Floyd and Steinberg, "An adaptive algorithm for spatial greyscale", 1976; the random threshold keeps the
    choice from following a pattern in the order of the groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from data_utils.dataset import DataError, PairedDataset

# The two choices draw from streams of their own; else a subsample would decide how it is split.
_SPLIT_STREAM = 0
_SUBSAMPLE_STREAM = 1


@dataclass(frozen=True, eq=False)
class Split:
    """Which pairs are for what.

    Attributes:
        train: Sorted int64 indices.
        valid: Sorted int64 indices; together with ``train`` every pair once.
    """

    train: Tensor
    valid: Tensor


def split(dataset: PairedDataset, valid_fraction: float, seed: int) -> Split:
    """Divides the pairs into training and validation, disjoint by group and stratified by class.

    How close the share of a class comes: where every group holds one class, or all groups hold the classes in
    the same proportions (twins), a class is off by less than its largest group, at any length of the data set.
    Groups of mixed classes share one decision, so their classes are only pulled towards the share; the
    deviation then grows with the number of classes and the size of the groups, and has no such bound.

    Args:
        dataset: At least two groups for every class.
        valid_fraction: The share of validation, between 0 and 1, both excluded.
        seed: Not negative. The same seed gives the same split.

    Raises:
        DataError: The fraction is not between 0 and 1, or a class would be missing from one of the two.
    """
    if not 0 < valid_fraction < 1:
        raise DataError(f"The validation fraction is {valid_fraction}; choose one between 0 and 1.")
    chosen = torch.from_numpy(_choose(dataset, valid_fraction, np.random.default_rng([seed, _SPLIT_STREAM])))
    for label, name in enumerate(dataset.info.classes):
        of_class = dataset.labels == label
        in_valid = int((chosen & of_class).sum())
        if in_valid in (0, int(of_class.sum())):
            groups = len(set(dataset.groups[of_class].tolist()))
            raise DataError(
                f"Class {name!r} of {dataset.info.name!r} has {int(of_class.sum())} pair(s) in {groups} group(s), "
                f"all of them in {'validation' if in_valid else 'training'} at a fraction of {valid_fraction}; "
                "use more groups of this class, leave the class out, or choose another fraction or seed."
            )
    return Split(train=torch.nonzero(~chosen).flatten(), valid=torch.nonzero(chosen).flatten())


def subsample(dataset: PairedDataset, pairs: int, seed: int) -> PairedDataset:
    """A data set of about that many pairs: whole groups, every class in proportion, in the old order.

    Args:
        dataset: Returned unchanged when it has no more than ``pairs`` pairs.
        pairs: How many to aim at; groups stay whole, so a few more or less come out (see ``split``).
        seed: Not negative. The same seed gives the same pairs.

    Raises:
        DataError: A class would be left without a pair.
    """
    if pairs < 1:
        raise DataError(f"A data set of {pairs} pairs was asked for; ask for at least one per class.")
    if pairs >= len(dataset):
        return dataset
    generator = np.random.default_rng([seed, _SUBSAMPLE_STREAM])
    chosen = torch.from_numpy(_choose(dataset, pairs / len(dataset), generator))
    lost = [
        name
        for label, name in enumerate(dataset.info.classes)
        if not bool((chosen & (dataset.labels == label)).any())
    ]
    if lost:
        raise DataError(
            f"About {pairs} of the {len(dataset)} pairs of {dataset.info.name!r} leave nothing of class "
            f"{', '.join(map(repr, lost))}; ask for more pairs."
        )
    return dataset.take(torch.nonzero(chosen).flatten())


def _choose(dataset: PairedDataset, fraction: float, generator: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Whether each pair is among the chosen fraction; bool (N,)."""
    group_of_pair = _by_first_appearance(dataset.groups.numpy())
    counts = np.zeros((group_of_pair.max() + 1, len(dataset.info.classes)))
    np.add.at(counts, (group_of_pair, dataset.labels.numpy()), 1)
    thresholds = generator.uniform(-1, 1, len(counts))

    debt = np.zeros(counts.shape[1])  # per class: what its share of the pairs seen is, less what was chosen
    chosen = np.zeros(len(counts), dtype=np.bool_)
    for group, (count, threshold) in enumerate(zip(counts, thresholds, strict=True)):
        debt += fraction * count
        # What choosing the group takes off the squared debt, in units of the group's own squared size.
        relief = float((count * (2 * debt - count)).sum() / (count * count).sum())
        if relief > threshold:
            chosen[group] = True
            debt -= count
    return chosen[group_of_pair]


def _by_first_appearance(groups: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Renumbers the groups 0, 1, 2, ... in the order in which they first appear."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]
