"""Stand-ins that the tests of training, evaluation and measurement share: 2x2 images and one linear layer."""

import torch
from torch import Tensor, nn

from data_utils import Batch


class Toy(nn.Module):
    """Logits from one linear layer on the flattened image."""

    def __init__(self, pixels: int = 4, logits: int = 1) -> None:
        super().__init__()
        self.layer = nn.Linear(pixels, logits)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        logits: Tensor = self.layer(inputs["rgb"].flatten(1))
        return logits


class Echo(nn.Module):
    """Returns its input as logits."""

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        return inputs["logits"]


def toy(*, pixels: int = 4, logits: int = 1, seed: int = 0) -> Toy:
    """A toy whose weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return Toy(pixels, logits)


def toy_batch(pairs: int, *, seed: int = 0) -> Batch:
    """Images of random numbers; the label is whether their sum is positive."""
    values = torch.randn(pairs, 1, 2, 2, generator=torch.Generator().manual_seed(seed))
    return Batch({"rgb": values}, (values.sum(dim=(1, 2, 3)) > 0).long())


def doubles(batch: Batch) -> Batch:
    """The same pairs in double precision."""
    return Batch({m: values.double() for m, values in batch.inputs.items()}, batch.labels)
