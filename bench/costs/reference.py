"""The loop that notebooks train with, as a peer to time ours against; nothing is trained with it otherwise.

A DataLoader stacks single samples of memory into contiguous batches, every step moves its batch to the device and
asks for its loss, and Adam is the default one. The order of each epoch, the learning rates and the loss are those
of ``bench.training.trainer``, so both loops compute the same up to rounding.

Not the loop's, but part of a notebook's step: how its layers are written (``as_published``), and how its process
deals with memory (``bench.costs.notebook``).
"""

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

from bench.config import Protocol
from bench.training.evaluation import classification_loss
from bench.training.seeding import epoch_order
from bench.training.trainer import schedule
from data_utils import Batch
from fusion_models.embedders import MaxPool

Sample = tuple[dict[str, Tensor], Tensor]


def samples(batch: Batch) -> list[Sample]:
    """The pairs of a batch one by one, contiguous (C, H, W), in the host's memory; none shares that of another."""
    on_host = batch.to("cpu")
    return [
        (
            {m: values[i].clone(memory_format=torch.contiguous_format) for m, values in on_host.inputs.items()},
            on_host.labels[i].clone(),
        )
        for i in range(len(batch))
    ]


class EpochOrder(Sampler[int]):
    """Each pass is the order of the next epoch."""

    def __init__(self, seed: int, samples: int) -> None:
        self._seed, self._samples, self._epoch = seed, samples, 0

    def __len__(self) -> int:
        return self._samples

    def __iter__(self) -> Iterator[int]:
        self._epoch += 1
        return iter(epoch_order(self._seed, self._epoch, self._samples).tolist())


class ReferenceLoop:
    """Trains a model as notebooks do.

    Args:
        model: on ``device``; trained in place.
        train: all training pairs, see ``samples``.
        protocol: epochs, batch size and learning rates.
        seed: decides the order of each epoch.
        device: to train on.
    """

    def __init__(
        self, model: nn.Module, train: Sequence[Sample], protocol: Protocol, seed: int, device: str
    ) -> None:
        self._model, self._protocol, self._device = model, protocol, device
        self._loader = DataLoader(
            cast(Dataset[Sample], train),  # any sequence will do
            batch_size=protocol.batch_size,
            sampler=EpochOrder(seed, len(train)),
            drop_last=protocol.drop_last,
        )
        self._optimizer = torch.optim.Adam(model.parameters(), lr=protocol.learning_rate)
        self._schedule = schedule(self._optimizer, protocol, len(self._loader))

    def train_epoch(self) -> float:
        """Train one epoch; returns the mean training loss in nats, weighed as ``EpochResult.train_loss`` is."""
        *_, loss = self.steps()
        return loss

    def steps(self) -> Iterator[float]:
        """Train one epoch, a step a turn.

        Yields:
            After each step the mean training loss so far; the device has done its work.
        """
        self._model.train()
        loss_sum, pairs = 0.0, 0
        for inputs, labels in self._loader:
            moved = {modality: values.to(self._device) for modality, values in inputs.items()}
            targets = labels.to(self._device)
            self._optimizer.zero_grad()
            loss = classification_loss(self._model(moved), targets)
            loss.backward()
            self._optimizer.step()
            if self._protocol.schedule == "cosine-step":
                self._schedule.step()
            loss_sum += loss.item() * len(targets)
            pairs += len(targets)
            yield loss_sum / pairs
        if self._protocol.schedule == "cosine-epoch":
            self._schedule.step()


def as_published(model: nn.Module) -> nn.Module:
    """The same function of the same weights with its layers as notebooks write them; changes the model itself.

    ReLU follows each convolution, before the pool, and makes a new tensor; weights are contiguous. Values and
    gradients stay the same to the bit but for what the layout rounds.
    """
    for module in model.modules():
        if isinstance(module, MaxPool):
            _, pool, relu = module
            module[1], module[2] = relu, pool
        elif isinstance(module, nn.ReLU):
            module.inplace = False
    return model.to(memory_format=torch.contiguous_format)
