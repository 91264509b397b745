"""Audits of any models and of what is said of them: rows that are one function, dead parameters, wrong figures.

Models are handed in as functions that build them: an audit builds one after the other and keeps none.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import combinations

import torch
from torch import Tensor, nn

from bench.training.evaluation import classification_loss
from bench.training.seeding import stream
from data_utils import Batch
from data_utils.audits.findings import Finding, some

Build = Callable[[], nn.Module]

SAMPLES = 769
"""How many samples an evaluation is audited with: a prime, so that no batch size divides it."""


def one_function(models: Mapping[str, Build], inputs: Mapping[str, Tensor]) -> list[Finding]:
    """Models that compute the same: parameters of the same shapes, and the same outputs under the same weights.

    The weights are random and mapped by shape: the n-th matrix of a shape in one model is the n-th in another.
    Where a table lists such models as two rows, they differ in their initial weights alone.

    Args:
        models: name to a function that builds it on the CPU.
        inputs: as the models take them, random and a few samples: on constant ones too much is equal.
    """
    computed = {name: _under_mapped_weights(build(), inputs) for name, build in models.items()}
    return [
        Finding(
            "one function",
            f"{one} = {other}",
            "the two have the same parameters and under the same weights the same outputs; count them as one "
            "row, or read their difference as the noise of a single run.",
        )
        for (one, (shapes, logits)), (other, (other_shapes, other_logits)) in combinations(computed.items(), 2)
        if shapes == other_shapes and logits.shape == other_logits.shape and torch.allclose(logits, other_logits)
    ]


def without_gradient(models: Mapping[str, Build], batch: Batch) -> list[Finding]:
    """Parameters that a training step does not reach, although they are not frozen.

    Args:
        models: name to a function that builds it on the batch's device.
        batch: a few pairs, as the models take them.
    """
    findings = []
    for name, build in models.items():
        model = build()
        trainable = {key: p for key, p in model.named_parameters() if p.requires_grad}
        loss = classification_loss(model(batch.inputs), batch.labels)
        if loss.requires_grad:  # if not, none of them is in it
            loss.backward()
        dead = [key for key, parameter in trainable.items() if parameter.grad is None]
        if dead:
            findings.append(
                Finding(
                    "parameters without gradient",
                    name,
                    f"{len(dead)} of {len(trainable)} parameters have no part in the loss ({some(dead)}); "
                    "use, freeze or remove them.",
                )
            )
    return findings


def samples_left_out(evaluate: Callable[[nn.Module, Batch], Mapping[str, float]]) -> list[Finding]:
    """Metrics that are not of all samples alike.

    Two properties are tried on ``SAMPLES`` random predictions of two classes. Another label changes each metric,
    whichever sample it is at: else some samples are left out, as those behind the last whole batch. And samples
    that all come twice change none: else it is divided by something other than their number, as by a literal,
    or the samples of a small last batch count more.

    Args:
        evaluate: (model, batch) -> metrics by name, each a mean over samples or classes. Its model returns the
            input "logits" (B, 2).
    """
    labels = torch.arange(SAMPLES) % 2
    inputs = {"logits": torch.randn(SAMPLES, 2, generator=torch.Generator().manual_seed(0))}
    batch, model = Batch(inputs, labels), _Echo()
    once, twice = evaluate(model, batch), evaluate(model, batch[torch.arange(SAMPLES).repeat(2)])
    ignored: dict[str, list[int]] = {metric: [] for metric in once}
    for sample in range(SAMPLES):
        changed = labels.clone()
        changed[sample] = 1 - changed[sample]
        for metric, value in evaluate(model, Batch(inputs, changed)).items():
            if value == once[metric]:
                ignored[metric].append(sample)
    findings = [
        Finding(
            "samples left out",
            metric,
            f"{len(samples)} of {SAMPLES} samples have no part in it (number {some([str(s) for s in samples])}, "
            "counted from 0); collect the outputs of all batches, then compute it once.",
        )
        for metric, samples in ignored.items()
        if samples
    ]
    findings += [
        Finding(
            "samples left out",
            metric,
            f"it is {value:.6g} for {SAMPLES} samples and {twice[metric]:.6g} if each comes twice; divide by the "
            "number of samples, not of something else.",
        )
        for metric, value in once.items()
        if not math.isclose(value, twice[metric], rel_tol=1e-4)
    ]
    return findings


def memory_of_others(measure: Callable[[Build, Batch], int], build: Build, batch: Batch) -> list[Finding]:
    """Whether a model's peak memory includes models that happen to be there.

    Args:
        measure: (build, batch) -> bytes, the same for the same arguments.
        build: makes a model; the others there are made by it too.
        batch: one training batch.
    """
    measure(build, batch)  # the first use of an operation may allocate what then stays
    alone = measure(build, batch)
    others = [build() for _ in range(3)]
    beside = measure(build, batch)
    if beside == alone:
        return []
    return [
        Finding(
            "memory of others",
            type(others[0]).__name__,
            f"its peak is {alone} bytes alone and {beside} beside {len(others)} more; "
            "count only what is allocated from its building on.",
        )
    ]


class _Echo(nn.Module):
    """Returns its input as logits."""

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        return inputs["logits"]


@torch.no_grad()
def _under_mapped_weights(model: nn.Module, inputs: Mapping[str, Tensor]) -> tuple[Counter[torch.Size], Tensor]:
    """How many parameters of each shape the model has, and its logits under weights that depend on that alone."""
    shapes: Counter[torch.Size] = Counter()
    for parameter in model.parameters():
        shape = parameter.shape
        generator = torch.Generator().manual_seed(stream(shapes[shape], f"weights/{tuple(shape)}"))
        shapes[shape] += 1
        # He et al. 2015: activations keep their size through ReLU layers, so the input's part in the logits is
        # not lost beside that of the biases.
        deviation = math.sqrt(2 / shape[1:].numel()) if len(shape) > 1 else 0.1
        parameter.copy_(torch.randn(shape, generator=generator) * deviation)
    return shapes, model.eval()(inputs)
