"""Dividing pairs into training, validation and test, or taking fewer. Groups stay whole, classes in proportion.

All selections visit the groups in order of first appearance and use error diffusion with a random threshold [1]:
a group is selected if that brings the selected count of each class closer to its share of the visited pairs. A
decision depends only on earlier groups, so appending groups to a data set changes no earlier decision. Afterwards,
classes of very few groups get the groups that they need in each part.

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

# Every selection has its own random stream; otherwise a subsample would determine its own split.
_VALID_STREAM, _SUBSAMPLE_STREAM, _TEST_STREAM = range(3)

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Shares:
    """How many pairs train, validate and test.

    Attributes:
        valid: Share of the pairs that are not tested on that validates; above 0 and below 1.
        test: Share of a data set that tests; from 0 (none) to below 1. Pairs that are drawn from the seed are
            tested on fresh ones, whatever this share is.
        pairs: Maximum number of pairs of training and validation together; None for no limit.
        test_pairs: Maximum number of test pairs; None for no limit, 0 for none.
        keep_groups: Whether a group stays in one part. If not, only test pairs share no group with the others.

    Raises:
        DataError: A share or a number is outside its range.
    """

    valid: float
    test: float = 0.0
    pairs: int | None = None
    test_pairs: int | None = None
    keep_groups: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.valid < 1:
            raise DataError(f"The validation fraction is {self.valid}; choose one between 0 and 1.")
        if not 0 <= self.test < 1:
            raise DataError(f"The test fraction is {self.test}; choose one from 0 (no test pairs) to below 1.")
        if (self.pairs is not None and self.pairs < 1) or (self.test_pairs or 0) < 0:
            raise DataError(f"There cannot be {self.pairs} pairs and {self.test_pairs} test pairs.")


@dataclass(frozen=True, eq=False)
class Split:
    """The pairs for training, validation and test: sorted int64 indices, every pair in at most one part."""

    train: Tensor
    valid: Tensor
    test: Tensor


def split(dataset: PairedDataset, shares: Shares, seed: int) -> Split:
    """Divide the pairs into parts that are disjoint by group and stratified by class.

    Parts that the data set declares (``PairedDataset.assigned``) are kept; those that it lacks are drawn from its
    training pairs. Test pairs are drawn first, then the maximum number of pairs is kept, then these are split.

    Accuracy of the shares: if every group holds one class, or all groups hold the classes in the same proportions
    (twins), a class deviates from its share by less than its largest group, for any length of the data set. If
    groups mix classes in different proportions, the deviation grows with the number of classes and the size of the
    groups, without a bound. A class of few groups has one in validation if it has two, and one in test if it has
    three.

    Args:
        dataset: With at least two groups per class.
        shares: The size of each part.
        seed: Not negative. The same seed gives the same split.

    Raises:
        DataError: A class would be missing from training or from a drawn validation part, or the declared parts
            have no training pairs or split a group.
    """
    generators = [np.random.default_rng([seed, part]) for part in range(3)]
    declared = _declared(dataset, shares)
    drawn = "valid" not in declared
    train, valid, test = (declared.get(part, np.empty(0, dtype=np.int64)) for part in ("train", "valid", "test"))
    limit = len(dataset) if shares.test_pairs is None else shares.test_pairs
    if "test" in declared:
        test = _at_most(dataset, test, limit, generators[_TEST_STREAM])
    elif fraction := min(shares.test, limit / len(train)):
        chosen = _choose(dataset, train, fraction, generators[_TEST_STREAM], least=1, rest=1 + drawn)
        train, test = train[~chosen], train[chosen]
    pairs = len(train) + len(valid) if shares.pairs is None else shares.pairs
    share = pairs / (len(train) + len(valid))
    groups = _groups(dataset) if shares.keep_groups else np.arange(len(dataset))
    if share < 1:
        subsampled = generators[_SUBSAMPLE_STREAM]
        train = train[_choose(dataset, train, share, subsampled, groups=groups, least=1 + drawn)]
        if not drawn:
            valid = valid[_choose(dataset, valid, share, subsampled, groups=groups, least=1)]
    if drawn:
        chosen = _choose(dataset, train, shares.valid, generators[_VALID_STREAM], groups=groups, least=1, rest=1)
        train, valid = train[~chosen], train[chosen]
    _check(dataset, shares, train, valid, drawn=drawn)
    return Split(*map(torch.from_numpy, (train, valid, test)))


def subsample(dataset: PairedDataset, pairs: int, seed: int) -> PairedDataset:
    """A data set with about that number of pairs: whole groups, classes in proportion, order unchanged.

    Args:
        dataset: Returned unchanged if it has no more than ``pairs`` pairs.
        pairs: The target number; groups stay whole and every class keeps at least two, so the result can have a
            few more or fewer (see ``split``).
        seed: Not negative. The same seed gives the same pairs.

    Raises:
        DataError: There are more classes than pairs.
    """
    if pairs < len(dataset.info.classes):
        raise DataError(
            f"About {pairs} pairs cannot include the {len(dataset.info.classes)} classes of "
            f"{dataset.info.name!r}; request at least one pair per class."
        )
    everything = np.arange(len(dataset))
    kept = _at_most(dataset, everything, pairs, np.random.default_rng([seed, _SUBSAMPLE_STREAM]), least=2)
    return dataset if len(kept) == len(dataset) else dataset.take(torch.from_numpy(kept))


def some_of(dataset: PairedDataset, pairs: Tensor, limit: int, seed: int) -> Tensor:
    """About that number of the pairs, all if there are no more: whole groups, classes in proportion, in order."""
    generator = np.random.default_rng([seed, _SUBSAMPLE_STREAM])
    return torch.from_numpy(_at_most(dataset, pairs.numpy(), limit, generator))


def _declared(dataset: PairedDataset, shares: Shares) -> dict[str, Indices]:
    """The pairs of each part that the data set declares; all pairs are training pairs if it declares none."""
    if not dataset.assigned:
        return {"train": np.arange(len(dataset))}
    words = np.array(dataset.assigned)
    declared = {part: np.flatnonzero(words == part) for part in dict.fromkeys(dataset.assigned)}
    if "train" not in declared:
        raise DataError(
            f"The split that comes with {dataset.info.name!r} has no training pairs, only "
            f"{' and '.join(declared)}; name the part 'train' of some pairs."
        )
    first: dict[int, int] = {}
    for pair, group in enumerate(dataset.groups.tolist()):
        other = first.setdefault(group, pair)
        if shares.keep_groups and dataset.assigned[other] != dataset.assigned[pair]:
            raise DataError(
                f"The split that comes with {dataset.info.name!r} has {dataset.names[other]!r} in "
                f"{dataset.assigned[other]}, and {dataset.names[pair]!r} of the same group in "
                f"{dataset.assigned[pair]}; put every group in one part, or remove "
                "the split so that it is drawn by groups."
            )
    return declared


def _check(dataset: PairedDataset, shares: Shares, train: Indices, valid: Indices, *, drawn: bool) -> None:
    """Refuse a class that would be missing from training, or from validation where that was drawn."""
    labels = dataset.labels.numpy()
    for label, name in enumerate(dataset.info.classes):
        trained, validated = (int((labels[part] == label).sum()) for part in (train, valid))
        if trained and (validated or not drawn):
            continue
        of_class = dataset.groups[dataset.labels == label]
        place = f"all of them in training at a fraction of {shares.valid}"
        if not trained:
            place = f"none of them in training{', as the data come with a split' if dataset.assigned else ''}"
        raise DataError(
            f"Class {name!r} of {dataset.info.name!r} has {len(of_class)} pair(s) in {len(of_class.unique())} "
            f"group(s), {place}; use more groups of this class, leave the class out, or choose another fraction."
        )


def _groups(dataset: PairedDataset) -> Indices:
    groups: Indices = dataset.groups.numpy()
    return groups


def _at_most(
    dataset: PairedDataset, pairs: Indices, limit: int, generator: np.random.Generator, least: int = 1
) -> Indices:
    """About that number of the pairs; all of them if there are no more."""
    if limit >= len(pairs):
        return pairs
    return pairs[_choose(dataset, pairs, limit / len(pairs), generator, least=least)] if limit else pairs[:0]


def _choose(
    dataset: PairedDataset,
    pairs: Indices,
    fraction: float,
    generator: np.random.Generator,
    *,
    least: int,
    rest: int = 0,
    groups: Indices | None = None,
) -> npt.NDArray[np.bool_]:
    """Whether each of the pairs is in the selected fraction; bool of their number.

    Args:
        dataset: The pairs are of it.
        pairs: Indices.
        fraction: The share of each class to select.
        generator: Of all draws.
        least: How many groups of every class are selected at least, as far as the class has more than ``rest``.
        rest: How many groups of every class are left at least, as far as the class has them.
        groups: The group of every pair of the data set, if not its own.
    """
    group_of_pair = (_groups(dataset) if groups is None else groups)[pairs]
    # Groups are numbered in the order of their first appearance.
    _, first, inverse = np.unique(group_of_pair, return_index=True, return_inverse=True)
    number = first.argsort().argsort()[inverse]
    counts = np.zeros((len(first), len(dataset.info.classes)))
    np.add.at(counts, (number, dataset.labels.numpy()[pairs]), 1)
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
    order = generator.permutation(len(counts))
    of_class = [order[counts[order, label] > 0] for label in range(counts.shape[1])]
    for members in of_class:
        missing = min(least, len(members) - rest) - int(chosen[members].sum())
        chosen[members[~chosen[members]][: max(missing, 0)]] = True
    for members in of_class:
        missing = min(rest, len(members)) - int((~chosen[members]).sum())
        chosen[members[chosen[members]][: max(missing, 0)]] = False
    return chosen[number]
