"""Training pairs that are augmented anew in each epoch, as a protocol says; ``data_utils.augmentation`` does it.

What is drawn for a pair depends on the seed, the epoch and the pair's place among the training pairs: not on the
order of the epoch, the batch or the device. It is drawn before the epoch, into tensors that stay in place, as a
CUDA graph of the step reads them.
"""

import torch
from torch import Tensor

from bench.config import Protocol
from bench.training.pairs import StoredPairs
from bench.training.seeding import stream
from bench.training.suitability import require_suitable
from data_utils import Batch
from data_utils.augmentation import Orientation, moved, orientation, recolored

_FEW = 64
"""Pairs that tell how the points of a modality lie."""


def is_augmented(protocol: Protocol) -> bool:
    """Whether a protocol augments training pairs."""
    return any((protocol.horizontal_flip, protocol.random_crop, protocol.color_jitter))


class AugmentedPairs:
    """Training pairs as models get them, augmented after they are measured and before they are scaled.

    Until ``begin`` is called, nothing is changed.

    Args:
        pairs: On their device.
        protocol: Its ``horizontal_flip``, ``random_crop`` and ``color_jitter``.
        seed: Of all draws.

    Raises:
        OptionError: See ``suitability.require_suitable``.
    """

    def __init__(self, pairs: StoredPairs, protocol: Protocol, seed: int) -> None:
        require_suitable(protocol, pairs.dataset.info)
        self._pairs, self._protocol, self._seed = pairs, protocol, seed
        few = pairs.measured(slice(_FEW)).inputs
        self._modalities = {name: pairs.dataset.modality(name) for name in few}
        self._lies: dict[str, Orientation] = {m: orientation(few[m], self._modalities[m]) for m in few}
        count, device = len(pairs), pairs.labels.device
        self._mirrored = torch.zeros(count, dtype=torch.bool, device=device)
        self._shifts = torch.zeros(count, 2, dtype=torch.int64, device=device)
        self._factors = torch.ones(count, 3, device=device)

    @property
    def labels(self) -> Tensor:
        """See ``Pairs``."""
        return self._pairs.labels

    def __len__(self) -> int:
        return len(self._pairs)

    def begin(self, epoch: int) -> None:
        """Draw what is done to each pair in an epoch, counted from 1."""
        flip, crop, jitter = (
            self._protocol.horizontal_flip,
            self._protocol.random_crop,
            self._protocol.color_jitter,
        )
        # Streams of their own, so that one more augmentation leaves the draws of the others as they were.
        self._mirrored.copy_(self._draws("flip", epoch, 1)[:, 0] < flip)
        self._shifts.copy_((self._draws("crop", epoch, 2) * (2 * crop + 1)).long() - crop)
        self._factors.copy_(1 + jitter * (2 * self._draws("color-jitter", epoch, 3) - 1))

    def __getitem__(self, index: Tensor | slice) -> Batch:
        """See ``Pairs``."""
        measured = self._pairs.measured(index)
        mirrored, shifts, factors = self._mirrored[index], self._shifts[index], self._factors[index]
        down, right = shifts.unbind(dim=1)
        inputs = {}
        for name, values in measured.inputs.items():
            modality = self._modalities[name]
            if self._protocol.color_jitter and modality.kind == "image":
                values = recolored(values, factors)
            if self._protocol.horizontal_flip or self._protocol.random_crop:
                values = moved(values, modality, self._lies[name], mirrored, right, down)
            inputs[name] = values
        return self._pairs.scaled(Batch(inputs, measured.labels))

    def _draws(self, what: str, epoch: int, count: int) -> Tensor:
        """Uniform numbers in [0, 1), float32 (pairs, count) on the CPU."""
        generator = torch.Generator().manual_seed(stream(self._seed, f"augmentation/{what}/{epoch}"))
        return torch.rand(len(self), count, generator=generator)
