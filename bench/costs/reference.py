"""The loop that notebooks train with, as a reference for the times of ours; nothing else is trained with it.

A DataLoader stacks single samples in memory into contiguous batches, every step moves its batch to the device and
reads its loss, and Adam is the default one. The order of each epoch, the learning rates and the loss are those of
``bench.training.trainer``, so both loops compute the same up to rounding.

Not part of the loop, but of a notebook's step: how its layers are written (``as_published``), and how its process
handles memory (``bench.costs.loops``).
"""

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

from bench.config import BALANCED, Protocol
from bench.metrics import classification_loss
from bench.training.methods import class_weights
from bench.training.pairs import Pairs
from bench.training.precision import forward
from bench.training.seeding import epoch_order
from bench.training.trainer import schedule
from fusion_models.embedders import MaxPool

Sample = tuple[dict[str, Tensor], Tensor]


def samples(pairs: Pairs) -> list[Sample]:
    """The pairs one by one, contiguous (C, H, W), in the host's memory; none shares memory."""
    on_host = pairs[:].to("cpu")
    return [
        (
            {m: values[i].clone(memory_format=torch.contiguous_format) for m, values in on_host.inputs.items()},
            on_host.labels[i].clone(),
        )
        for i in range(len(pairs))
    ]


class EpochOrder(Sampler[int]):
    """Each iteration is the order of the next epoch."""

    def __init__(self, seed: int, samples: int) -> None:
        self._seed, self._samples, self._epoch = seed, samples, 0

    def __len__(self) -> int:
        return self._samples

    def __iter__(self) -> Iterator[int]:
        self._epoch += 1
        return iter(epoch_order(self._seed, self._epoch, self._samples).tolist())


def loader_of(train: Sequence[Sample], protocol: Protocol, seed: int) -> DataLoader[Sample]:
    """Batches in the order of each epoch, stacked in this process."""
    return DataLoader(
        cast(Dataset[Sample], train),  # any sequence works
        batch_size=protocol.batch_size,
        sampler=EpochOrder(seed, len(train)),
        drop_last=protocol.drop_last,
    )


def weights_of(train: Sequence[Sample], protocol: Protocol, device: torch.device | str) -> Tensor | None:
    """The weights of classes that a protocol has, (classes,) on the device; None if it has none."""
    if protocol.class_weights != BALANCED:
        return None
    return class_weights(torch.stack([label for _, label in train])).to(device)


def default_adam(model: nn.Module, protocol: Protocol) -> torch.optim.Optimizer:
    """PyTorch's default Adam, with the protocol's first learning rate."""
    return torch.optim.Adam(model.parameters(), lr=protocol.learning_rate)


class ReferenceLoop:
    """Trains a model as notebooks do.

    Args:
        model: On ``device``; trained in place.
        train: All training pairs, see ``samples``.
        protocol: Epochs, batch size, learning rates and precision.
        seed: Decides the order of each epoch.
        device: To train on.
    """

    def __init__(
        self, model: nn.Module, train: Sequence[Sample], protocol: Protocol, seed: int, device: str
    ) -> None:
        self._model, self._protocol, self._device = model, protocol, device
        self._loader = loader_of(train, protocol, seed)
        self._weights = weights_of(train, protocol, device)
        self._optimizer = default_adam(model, protocol)
        self._schedule = schedule(self._optimizer, protocol, len(self._loader))

    def steps(self) -> Iterator[float]:
        """Train one epoch, one step per iteration.

        Yields:
            After each step the mean training loss so far in nats, weighted as ``EpochResult.train_loss`` is; the
            device has done its work.
        """
        self._model.train()
        loss_sum, pairs = 0.0, 0
        for inputs, labels in self._loader:
            moved = {modality: values.to(self._device) for modality, values in inputs.items()}
            targets = labels.to(self._device)
            self._optimizer.zero_grad()
            logits = forward(self._model, moved, self._protocol.precision)
            loss = classification_loss(logits, targets, self._weights)
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
    """The same function of the same weights with its layers as notebooks write them; changes the model in place.

    ReLU follows each convolution, before the pool, and makes a new tensor; weights are contiguous. Values and
    gradients stay the same to the bit, apart from rounding that depends on the layout.
    """
    for module in model.modules():
        if isinstance(module, MaxPool):
            _, pool, relu = module
            module[1], module[2] = relu, pool
        elif isinstance(module, nn.ReLU):
            module.inplace = False
    return model.to(memory_format=torch.contiguous_format)
