"""From a data set to the pairs that one seed trains and validates on: chosen, split, scaled, on the device."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from bench.config import Protocol
from bench.training.seeding import stream
from data_utils import Batch, ChannelStatistics, DataError, PairedDataset, Split, split, subsample


@dataclass(frozen=True, eq=False)
class PreparedData:
    """One seed's training and validation pairs, as the models get them, on the device."""

    train: Batch
    valid: Batch


def choose(dataset: PairedDataset, protocol: Protocol, seed: int) -> tuple[PairedDataset, Split]:
    """The pairs that the protocol asks for, drawn and split by the seed.

    Raises:
        DataError: no such split exists, or a split has too few pairs.
    """
    if not protocol.keep_groups:
        dataset = replace(dataset, groups=torch.arange(len(dataset)))
    chosen = subsample(dataset, protocol.pairs, stream(seed, "pairs"))
    parts = split(chosen, protocol.valid_fraction, stream(seed, "split"))
    in_batches = {"training": parts.train}
    if protocol.valid_whole_batches:
        in_batches["validation"] = parts.valid
    for use, indices in in_batches.items():
        if len(indices) < protocol.batch_size:
            raise DataError(
                f"{dataset.info.name}: {len(indices)} {use} pairs are fewer than one batch of "
                f"{protocol.batch_size}; add pairs, or run a larger profile if this one cut the data set down"
            )
    return chosen, parts


def measured_sides(dataset: PairedDataset, protocol: Protocol, seed: int) -> tuple[Batch, Batch]:
    """A seed's training and validation pairs, on the CPU and as the sensors measured them."""
    chosen, parts = choose(dataset, protocol, seed)
    return _measured(chosen, parts, protocol, chosen.info.channels)


def _measured(
    chosen: PairedDataset, parts: Split, protocol: Protocol, modalities: Iterable[str]
) -> tuple[Batch, Batch]:
    train, valid = (chosen.batch(part, modalities) for part in (parts.train, parts.valid))
    if protocol.valid_whole_batches:
        valid = valid[: len(valid) - len(valid) % protocol.batch_size]
    return train, valid


@lru_cache(maxsize=1)  # all models of a seed follow each other; two seeds' tensors need not be kept
def prepare(dataset: PairedDataset, protocol: Protocol, seed: int, device: str) -> PreparedData:
    """A seed's split, scaled by the statistics of its training pairs and moved to the device."""
    chosen, parts = choose(dataset, protocol, seed)

    def prepared(modality: str) -> tuple[Batch, Batch]:
        train, valid = _measured(chosen, parts, protocol, [modality])
        statistics = ChannelStatistics.from_batch(train)
        scaled = protocol.normalized
        return ready(train, statistics, scaled, device), ready(valid, statistics, scaled, device)

    # A modality at a time: else all of them would be there as measured, as scaled and as arranged at once.
    modalities = [prepared(modality) for modality in chosen.info.channels]
    return PreparedData(*(_together(sides) for sides in zip(*modalities, strict=True)))


def _together(batches: Sequence[Batch]) -> Batch:
    """One batch of the same pairs as several modalities see them."""
    inputs = {modality: values for batch in batches for modality, values in batch.inputs.items()}
    return Batch(inputs, batches[0].labels)


def ready(measured: Batch, statistics: ChannelStatistics, modalities: tuple[str, ...], device: str) -> Batch:
    """Pairs as the models get them: these modalities scaled, the others as they are, all on the device.

    They are channels last, as the models' weights are: convolutions then run without copying between layouts.
    """

    def scaled(modality: str) -> Tensor:
        if modality not in modalities:
            return measured.inputs[modality]
        alone = Batch({modality: measured.inputs[modality]}, measured.labels)
        return statistics.normalize(alone).inputs[modality]

    inputs = {m: scaled(m).to(device).contiguous(memory_format=torch.channels_last) for m in measured.inputs}
    return Batch(inputs, measured.labels.to(device))
