"""From a source of data and a seed to what one run works with: its world, scaled and on the device.

Worlds and prepared data are made once for all models of a seed and kept for those that follow, up to a limit.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

from torch import Tensor, nn

from bench.config import FP32, Precision, Protocol
from bench.training.evaluation import evaluation_batch, joined, predict
from bench.training.pairs import StoredPairs, as_inputs
from data_utils import Batch, ChannelStatistics, DataError, PairedDataset, Part, Shares, Source, World

KEPT_BYTES = 1 << 30
"""How much of worlds, and of prepared data, is kept; the latest of each in any case."""

Value = TypeVar("Value")


class Latest(Generic[Value]):
    """The values that were used last, as many as a limit allows.

    Args:
        limit: Of all values together, in bytes; the latest one is kept even if it is larger.
    """

    def __init__(self, limit: int = KEPT_BYTES) -> None:
        self._limit = limit
        self._values: dict[Hashable, tuple[Value, int]] = {}

    def get(self, key: Hashable, make: Callable[[], Value], size: Callable[[Value], int]) -> Value:
        """The value of a key, made if it is not kept. Room for it is made first, by the size of the last one."""
        if key in self._values:
            self._values[key] = self._values.pop(key)  # now the last one
        else:
            expected = next(reversed(self._values.values()))[1] if self._values else 0
            self._drop(self._limit - expected, keep=0)
            made = make()
            self._values[key] = made, size(made)
            self._drop(self._limit, keep=1)
        return self._values[key][0]

    def clear(self) -> None:
        """Keep nothing."""
        self._values.clear()

    def _drop(self, limit: int, *, keep: int) -> None:
        while len(self._values) > keep and sum(size for _, size in self._values.values()) > limit:
            del self._values[next(iter(self._values))]


@dataclass(frozen=True, eq=False)
class PreparedData:
    """One seed's pairs, of which batches are taken as the models get them.

    The test pairs are prepared when they are requested, in chunks.

    Attributes:
        train: The training pairs on the device; ``valid``: the validation pairs.
        world: They are of it.
        scaled: The modalities that are scaled.
        statistics: Of the training pairs, of these modalities.
        device: "cpu", "cuda" or "cuda:N".
    """

    train: StoredPairs
    valid: StoredPairs
    world: World
    scaled: tuple[str, ...]
    statistics: ChannelStatistics
    device: str

    def batches(self, part: Part) -> Iterator[Batch]:
        """Pairs of a part as the models get them, in the batches that evaluations use."""
        chunks = part.chunks(evaluation_batch(part.dataset.info.image_size))
        return (ready(chunk.batch(), self.statistics, self.scaled, self.device) for chunk in chunks)


def predict_part(network: nn.Module, data: PreparedData, part: Part, precision: Precision = FP32) -> Tensor:
    """Logits (N, L) of all pairs of a part, on the CPU; see ``evaluation.predict``."""
    predictions = map(partial(predict, network, precision=precision), data.batches(part))  # keeps no batch
    return joined(predictions, len(part))


def shares_of(protocol: Protocol) -> Shares:
    """How many pairs train, validate and test."""
    return Shares(
        valid=protocol.valid_fraction,
        test=protocol.test_fraction,
        pairs=protocol.pairs,
        test_pairs=protocol.test_pairs,
        keep_groups=protocol.keep_groups,
    )


def world_of(source: Source, protocol: Protocol, seed: int) -> World:
    """The pairs that a run uses for what, drawn by its seed.

    Raises:
        DataError: The pairs cannot be made or split, or a part has too few of them.
    """
    shares = shares_of(protocol)
    world = _worlds.get(
        (source, shares, seed), lambda: source.world(shares, seed), lambda world: _bytes_of_world(source, world)
    )
    in_batches = {"training": world.train} if protocol.drop_last else {}  # else one smaller batch is an epoch
    if protocol.valid_whole_batches:
        in_batches["validation"] = world.valid
    for use, part in in_batches.items():
        if len(part) < protocol.batch_size:
            raise DataError(
                f"{world.info.name}: {len(part)} {use} pairs are fewer than one batch of "
                f"{protocol.batch_size}; add pairs, or run a larger profile if this one cut the data set down"
            )
    return world


def delivered(world: World, protocol: Protocol) -> World:
    """The world without the validation pairs that the protocol leaves out."""
    left_out = len(world.valid) % protocol.batch_size if protocol.valid_whole_batches else 0
    kept = replace(world.valid, indices=world.valid.indices[: len(world.valid) - left_out])
    return replace(world, valid=kept)


def prepare(source: Source, protocol: Protocol, seed: int, device: str) -> PreparedData:
    """A seed's world, scaled by the statistics of its training pairs and moved to the device.

    Raises:
        DataError: See ``world_of``.
    """

    def prepared() -> PreparedData:
        return prepare_world(world_of(source, protocol, seed), protocol, device)

    # All of the protocol that decides what is prepared.
    parts = (protocol.normalized, protocol.valid_whole_batches and protocol.batch_size)
    key = (source, shares_of(protocol), parts, seed, device)
    return _prepared.get(key, prepared, lambda data: _bytes_prepared(source, data))


def prepare_world(world: World, protocol: Protocol, device: str) -> PreparedData:
    """A world, scaled by the statistics of its training pairs and moved to the device.

    Raises:
        DataError: A measurement of the training pairs is not finite: no model could learn from it.
    """
    world = delivered(world, protocol)
    scaled = protocol.on(world.info.channels).normalized
    whole, pairs = world.train.dataset, world.train.indices
    statistics = ChannelStatistics.of(lambda: map(whole.batch, whole.parts(pairs)))
    for modality, mean in statistics.mean.items():
        if not mean.isfinite().all():
            raise DataError(
                f"{world.info.name}: measurements of {modality!r} in the training pairs are infinite or not a "
                "number; replace them, for example with 0."
            )
    placed = {part.dataset: part.dataset.to(device) for part in (world.train, world.valid)}
    train, valid = (
        StoredPairs.of(replace(part, dataset=placed[part.dataset]), statistics, scaled, device)
        for part in (world.train, world.valid)
    )
    return PreparedData(train, valid, world, scaled, statistics, device)


def ready(measured: Batch, statistics: ChannelStatistics, modalities: tuple[str, ...], device: str) -> Batch:
    """Pairs as the models get them: these modalities scaled, the others unchanged, all on the device.

    The measurements are overwritten where they are there already.
    """
    of_modalities = [m for m in modalities if m in measured.inputs]
    scaling = {m: (statistics.mean[m].to(device), statistics.std[m].to(device)) for m in of_modalities}
    return as_inputs(measured.to(device), scaling)  # moved first, so that the device scales and arranges them


def _bytes_of_world(source: Source, world: World) -> int:
    """Of the pairs that were made for it; those of a data set in memory are there anyway."""
    if isinstance(source, PairedDataset):
        return 0
    datasets = {id(part.dataset): part.dataset for part in world.parts.values()}.values()
    return sum(values.nbytes for dataset in datasets for values in dataset.inputs.values())


def _bytes_prepared(source: Source, data: PreparedData) -> int:
    """Of the world that it holds, and of the pairs on another device."""
    datasets = {pairs.dataset for pairs in (data.train, data.valid)} if data.device != "cpu" else set()
    return _bytes_of_world(source, data.world) + sum(dataset.stored_bytes for dataset in datasets)


_worlds: Latest[World] = Latest()
_prepared: Latest[PreparedData] = Latest()
