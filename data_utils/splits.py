"""Selecting pairs: training and validation, or a smaller data set. Groups stay whole, classes in proportion.

Both selections visit the groups in order of first appearance and use error diffusion with a random threshold [1]:
a group is selected if that brings the selected count of each class closer to its share of the visited pairs. A
decision depends only on earlier groups, so appending groups to a data set changes no earlier decision.

[1] Floyd and Steinberg, "An adaptive algorithm for spatial greyscale", 1976. The random threshold prevents
    selections that follow a pattern in the order of the groups.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from data_utils.dataset import PairedDataset
from data_utils.errors import DataError

# The two selections have separate random streams; otherwise a subsample would determine its own split.
_SPLIT_STREAM = 0
_SUBSAMPLE_STREAM = 1


@dataclass(frozen=True, eq=False)
class Split:
    """The pairs for training and for validation.

    Attributes:
        train: Sorted int64 indices.
        valid: Sorted int64 indices; every pair is in exactly one of the two.
    """

    train: Tensor
    valid: Tensor


def split(dataset: PairedDataset, valid_fraction: float, seed: int) -> Split:
    """Divide the pairs into training and validation, disjoint by group and stratified by class.

    Accuracy of the shares: if every group holds one class, or all groups hold the classes in the same proportions
    (twins), a class deviates from its share by less than its largest group, for any length of the data set. If
    groups mix classes in different proportions, the deviation grows with the number of classes and the size of the
    groups, without a bound.

    Args:
        dataset: With at least two groups per class.
        valid_fraction: The share of validation, above 0 and below 1.
        seed: Not negative. The same seed gives the same split.

    Raises:
        DataError: The fraction is not between 0 and 1, or a class would be missing from one of the two parts.
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
    """A data set with about that number of pairs: whole groups, classes in proportion, order unchanged.

    Args:
        dataset: Returned unchanged if it has no more than ``pairs`` pairs.
        pairs: The target number; groups stay whole, so the result can have a few more or fewer (see ``split``).
        seed: Not negative. The same seed gives the same pairs.

    Raises:
        DataError: A class would have no pairs left.
    """
    if pairs < 1:
        raise DataError(f"A data set cannot have {pairs} pairs; request at least one per class.")
    if pairs >= len(dataset):
        return dataset
    generator = np.random.default_rng([seed, _SUBSAMPLE_STREAM])
    chosen = torch.from_numpy(_choose(dataset, pairs / len(dataset), generator))
    kept = set(dataset.labels[chosen].tolist())
    lost = [name for label, name in enumerate(dataset.info.classes) if label not in kept]
    if lost:
        raise DataError(
            f"About {pairs} of the {len(dataset)} pairs of {dataset.info.name!r} include none of class "
            f"{', '.join(map(repr, lost))}; request more pairs."
        )
    return dataset.take(torch.nonzero(chosen).flatten())


def _choose(dataset: PairedDataset, fraction: float, generator: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Whether each pair is in the selected fraction; bool (N,)."""
    numbers: dict[int, int] = {}  # groups, numbered in the order of their first appearance
    numbered = [numbers.setdefault(group, len(numbers)) for group in dataset.groups.tolist()]
    group_of_pair: npt.NDArray[np.intp] = np.array(numbered)
    counts = np.zeros((len(numbers), len(dataset.info.classes)))
    np.add.at(counts, (group_of_pair, dataset.labels.numpy()), 1)
    thresholds = generator.uniform(-1, 1, len(counts))

    debt = np.zeros(counts.shape[1])  # per class: its share of the pairs visited so far, minus the selected ones
    chosen = np.zeros(len(counts), dtype=np.bool_)
    for group, (count, threshold) in enumerate(zip(counts, thresholds, strict=True)):
        debt += fraction * count
        # The decrease of the squared debt if the group is selected, in units of the group's own squared size.
        relief = float((count * (2 * debt - count)).sum() / (count * count).sum())
        if relief > threshold:
            chosen[group] = True
            debt -= count
    return chosen[group_of_pair]
