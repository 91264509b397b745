"""From a data set to the pairs that one seed trains and validates on: chosen, split, scaled, on the device."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from bench.config import Protocol
from bench.training.seeding import stream
from data_utils import Batch, ChannelStatistics, DataError, DatasetInfo, PairedDataset, Split, split, subsample


@dataclass(frozen=True, eq=False)
class PreparedData:
    """One seed's training and validation pairs, as the models get them, on the device.

    Attributes:
        train: The training pairs; ``valid``: the validation pairs.
        valid_pairs: Which pairs of the data set validate, int64 in the order of ``valid``, on the CPU.
    """

    train: Batch
    valid: Batch
    valid_pairs: Tensor


def choose(dataset: PairedDataset, protocol: Protocol, seed: int) -> Split:
    """Which pairs of the data set the protocol uses for what, drawn and split by the seed.

    Raises:
        DataError: The pairs cannot be split, or a side has too few pairs.
    """
    numbered = _numbered(dataset, keep_groups=protocol.keep_groups)
    chosen = subsample(numbered, protocol.pairs, stream(seed, "pairs"))
    sides = split(chosen, protocol.valid_fraction, stream(seed, "split"))
    in_batches = {"training": sides.train}
    if protocol.valid_whole_batches:
        in_batches["validation"] = sides.valid
    for use, indices in in_batches.items():
        if len(indices) < protocol.batch_size:
            raise DataError(
                f"{dataset.info.name}: {len(indices)} {use} pairs are fewer than one batch of "
                f"{protocol.batch_size}; add pairs, or run a larger profile if this one cut the data set down"
            )
    numbers = chosen.inputs["number"].flatten().long()
    return Split(train=numbers[sides.train], valid=numbers[sides.valid])


def _numbered(dataset: PairedDataset, *, keep_groups: bool) -> PairedDataset:
    """The data set with each pair's number in place of its content, so that choosing pairs copies no content."""
    numbers = torch.arange(len(dataset))
    return PairedDataset(
        info=DatasetInfo(dataset.info.name, dataset.info.classes, {"number": 1}, (1, 1)),
        inputs={"number": numbers.float()[:, None, None, None]},  # exact up to 2**24 pairs
        labels=dataset.labels,
        groups=dataset.groups if keep_groups else numbers,
        names=dataset.names,
    )


def _used(dataset: PairedDataset, protocol: Protocol, seed: int) -> Split:
    """As ``choose``, without the validation pairs that the protocol leaves out."""
    sides = choose(dataset, protocol, seed)
    left_out = len(sides.valid) % protocol.batch_size if protocol.valid_whole_batches else 0
    return Split(sides.train, sides.valid[: len(sides.valid) - left_out])


def measured_sides(dataset: PairedDataset, protocol: Protocol, seed: int) -> tuple[Batch, Batch]:
    """A seed's training and validation pairs, on the CPU and as the sensors measured them."""
    sides = _used(dataset, protocol, seed)
    return dataset.batch(sides.train), dataset.batch(sides.valid)


@lru_cache(maxsize=1)  # all models of a seed follow each other; two seeds' tensors need not be kept
def prepare(dataset: PairedDataset, protocol: Protocol, seed: int, device: str) -> PreparedData:
    """A seed's split, scaled by the statistics of its training pairs and moved to the device."""
    sides = _used(dataset, protocol, seed)
    scaled = protocol.on(dataset.info.channels).normalized
    train_inputs: dict[str, Tensor] = {}
    valid_inputs: dict[str, Tensor] = {}
    # One modality at a time: otherwise all of them would be in memory as measured, as scaled and as arranged.
    for modality in dataset.info.channels:
        measured = dataset.batch(sides.train, [modality])
        statistics = ChannelStatistics.from_batch(measured)
        train_inputs |= ready(measured, statistics, scaled, device).inputs
        del measured
        valid_inputs |= ready(dataset.batch(sides.valid, [modality]), statistics, scaled, device).inputs
    train, valid = (dataset.labels[side].to(device) for side in (sides.train, sides.valid))
    return PreparedData(Batch(train_inputs, train), Batch(valid_inputs, valid), sides.valid)


def ready(measured: Batch, statistics: ChannelStatistics, modalities: tuple[str, ...], device: str) -> Batch:
    """Pairs as the models get them: these modalities scaled, the others unchanged, all on the device.

    They are channels last, as the models' weights are: convolutions then run without copying between layouts.
    """
    to_scale = {m: values for m, values in measured.inputs.items() if m in modalities}
    scaled = statistics.normalize(Batch(to_scale, measured.labels)).inputs
    inputs = {
        m: values.to(device).contiguous(memory_format=torch.channels_last)
        for m, values in {**measured.inputs, **scaled}.items()
    }
    return Batch(inputs, measured.labels.to(device))
