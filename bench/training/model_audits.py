"""Model audits: equal models, parameters without gradient, misreported metrics and memory.

Models are given as functions that build them: an audit builds one after the other and keeps none.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations

import torch
from torch import Tensor, nn

from bench.metrics import classification_loss
from bench.training.seeding import stream
from data_utils import Batch
from data_utils.audits.findings import Finding
from fusiongauge import some

Build = Callable[[], nn.Module]

SAMPLES = 769
"""The number of samples that an evaluation is audited with: a prime, so that no batch size divides it."""


def one_function(models: Mapping[str, Build], inputs: Mapping[str, Tensor]) -> Iterator[Finding]:
    """Models that compute the same: parameters of the same shapes, and the same outputs under the same weights.

    The weights are random and mapped by shape: the n-th matrix of a shape in one model is the n-th in another.
    Where a table lists such models as two rows, they differ in their initial weights alone.

    Args:
        models: Name to a function that builds it on the CPU.
        inputs: A few random samples, as the models take them: constant ones give equal outputs too often.
    """
    computed = {name: _under_mapped_weights(build(), inputs) for name, build in models.items()}
    for (one, (shapes, logits)), (other, (other_shapes, other_logits)) in combinations(computed.items(), 2):
        if shapes == other_shapes and logits.shape == other_logits.shape and torch.allclose(logits, other_logits):
            yield Finding(
                "one function",
                f"{one} = {other}",
                "the two have the same parameters and under the same weights the same outputs; count them as one "
                "model, or read their difference as the noise of a single run.",
            )


def without_gradient(models: Mapping[str, Build], batch: Batch) -> Iterator[Finding]:
    """Parameters that get no gradient in a training step, although they are not frozen.

    Args:
        models: Name to a function that builds it on the batch's device.
        batch: A few pairs, as the models take them.
    """
    for name, build in models.items():
        model = build()
        trainable = {key: p for key, p in model.named_parameters() if p.requires_grad}
        loss = classification_loss(model(batch.inputs), batch.labels)
        if loss.requires_grad:  # if not, none of them is in it
            loss.backward()
        dead = [key for key, parameter in trainable.items() if parameter.grad is None]
        if dead:
            yield Finding(
                "parameters without gradient",
                name,
                f"{len(dead)} of {len(trainable)} parameters do not affect the loss ({some(dead)}); "
                "use, freeze or remove them.",
            )


def samples_left_out(evaluate: Callable[[nn.Module, Batch], Mapping[str, float]]) -> Iterator[Finding]:
    """Metrics that do not count all samples equally.

    Two properties are tried on ``SAMPLES`` random predictions of two classes. Changing the label of any sample
    changes each metric; otherwise samples are left out, as those after the last whole batch. Repeating all samples
    changes none; otherwise it is divided by something other than their number, such as a literal, or the samples
    of a small last batch count more.

    Args:
        evaluate: (model, batch) -> metrics by name, each a mean over samples or classes. Its model returns the
            input "logits" (B, 2).
    """
    labels = torch.arange(SAMPLES) % 2
    inputs = {"logits": torch.randn(SAMPLES, 2, generator=torch.Generator().manual_seed(0))}
    batch, model = Batch(inputs, labels), _Echo()
    once, twice = evaluate(model, batch), evaluate(model, batch[torch.arange(SAMPLES).repeat(2)])
    ignored: dict[str, list[str]] = {metric: [] for metric in once}
    for sample in range(SAMPLES):
        changed = labels.clone()
        changed[sample] = 1 - changed[sample]
        for metric, value in evaluate(model, Batch(inputs, changed)).items():
            if value == once[metric]:
                ignored[metric].append(str(sample))
    for metric, value in once.items():
        if ignored[metric]:
            yield Finding(
                "samples left out",
                metric,
                f"{len(ignored[metric])} of {SAMPLES} samples do not count (number {some(ignored[metric])}, "
                "counted from 0); collect the outputs of all batches, then compute it once.",
            )
        if not math.isclose(value, twice[metric], rel_tol=1e-4):
            yield Finding(
                "samples left out",
                metric,
                f"it is {value:.6g} for {SAMPLES} samples and {twice[metric]:.6g} if each is repeated; divide by "
                "the number of samples.",
            )


def memory_of_others(measure: Callable[[Build, Batch], int], build: Build, batch: Batch) -> Iterator[Finding]:
    """Whether a model's peak memory includes other models in memory.

    Args:
        measure: (build, batch) -> bytes, the same for the same arguments.
        build: Makes a model; it makes the other models too.
        batch: One training batch.
    """
    measure(build, batch)  # the first use of an operation may allocate memory that stays
    alone = measure(build, batch)
    others = [build() for _ in range(3)]
    beside = measure(build, batch)
    if beside != alone:
        yield Finding(
            "memory of others",
            type(others[0]).__name__,
            f"its peak is {alone} bytes alone and {beside} beside {len(others)} more; "
            "count only what is allocated after the model is built.",
        )


class _Echo(nn.Module):
    """Returns its input as logits."""

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        return inputs["logits"]


@torch.no_grad()
def _under_mapped_weights(model: nn.Module, inputs: Mapping[str, Tensor]) -> tuple[Counter[torch.Size], Tensor]:
    """The number of parameters of each shape, and the logits under weights that depend on these alone."""
    shapes: Counter[torch.Size] = Counter()
    for parameter in model.parameters():
        shape = parameter.shape
        generator = torch.Generator().manual_seed(stream(shapes[shape], f"weights/{tuple(shape)}"))
        shapes[shape] += 1
        # He et al. 2015: activations keep their size through ReLU layers, so the input's share of the logits is
        # not lost beside that of the biases.
        deviation = math.sqrt(2 / shape[1:].numel()) if len(shape) > 1 else 0.1
        parameter.copy_(torch.randn(shape, generator=generator) * deviation)
    return shapes, model.eval()(inputs)
