"""The pairs that a model is trained or evaluated on: all of them as network inputs, or made batch by batch.

A data set stores what its files hold, 5 to 8 bytes per pixel, where the inputs of a network take 32; so a run
keeps the stored pairs on its device and makes the inputs of a batch when the batch is needed, with the same bits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol as Interface

import torch
from torch import Tensor, nn

from bench.training.layout import layout_of
from data_utils import Batch, ChannelStatistics, PairedDataset, Part
from fusion_models import FusionNet


class Pairs(Interface):
    """Pairs of which batches can be taken: a ``Batch``, or ``StoredPairs``."""

    @property
    def labels(self) -> Tensor:
        """int64 (N,), on the device of the batches."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: Tensor | slice) -> Batch:
        """The selected pairs as a model gets them, in the order of the index, int64 (B,) on their device."""
        ...


@dataclass(frozen=True, eq=False)
class StoredPairs:
    """Pairs of a data set, stored on a device; indexing makes the inputs of models, scaled, in its layout.

    Attributes:
        dataset: On the device.
        pairs: Which of its pairs, int64 (N,) on the device.
        scaling: The mean and the standard deviation of each modality that is scaled, (C,) on the device.
        modalities: That batches have.
    """

    dataset: PairedDataset
    pairs: Tensor
    scaling: Mapping[str, tuple[Tensor, Tensor]]
    modalities: tuple[str, ...]

    @classmethod
    def of(
        cls, part: Part, statistics: ChannelStatistics, scaled: tuple[str, ...], device: torch.device | str
    ) -> "StoredPairs":
        """A part of a world; these modalities are scaled by the statistics."""
        scaling = {m: (statistics.mean[m].to(device), statistics.std[m].to(device)) for m in scaled}
        return cls(part.dataset.to(device), part.indices.to(device), scaling, tuple(part.dataset.inputs))

    @cached_property
    def labels(self) -> Tensor:
        """int64 (N,), on the device."""
        return self.dataset.labels[self.pairs]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: Tensor | slice) -> Batch:
        """See ``Pairs``."""
        return self.scaled(self.measured(index))

    def measured(self, index: Tensor | slice) -> Batch:
        """The selected pairs as they were measured, in new tensors."""
        return self.dataset.batch(self.pairs[index], self.modalities)

    def scaled(self, measured: Batch) -> Batch:
        """Measured pairs as a model gets them; the measurements are overwritten."""
        return as_inputs(measured, self.scaling)

    def seen_by(self, model: nn.Module) -> "StoredPairs":
        """The same pairs with the modalities that a model uses, as far as that is known."""
        return replace(self, modalities=model.modalities) if isinstance(model, FusionNet) else self

    def to(self, device: torch.device | str) -> "StoredPairs":
        """The same pairs on a device."""
        scaling = {m: (mean.to(device), std.to(device)) for m, (mean, std) in self.scaling.items()}
        return replace(self, dataset=self.dataset.to(device), pairs=self.pairs.to(device), scaling=scaling)


def as_inputs(measured: Batch, scaling: Mapping[str, tuple[Tensor, Tensor]]) -> Batch:
    """Pairs as models get them: (x - mean) / std of the modalities that are scaled, written over the measurements.

    Their layout is that of the models' weights: convolutions then run without copying between layouts.
    """
    inputs: dict[str, Tensor] = {}
    for modality, values in measured.inputs.items():
        if modality in scaling:
            mean, std = (statistic.to(values.device)[:, None, None] for statistic in scaling[modality])
            values.sub_(mean).div_(std)
        layout = layout_of(values.device)
        values = values.contiguous(memory_format=layout)
        if layout == torch.contiguous_format:
            # Values of one channel are in both layouts: their strides tell convolutions which one to use.
            values = values.flatten().view(values.shape)
        inputs[modality] = values
    return Batch(inputs, measured.labels)
