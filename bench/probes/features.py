"""What downsampling does inside a trained model.

Whether its answers survive shifts, how many of its gradients are zero, how alike its features are under shifts and
from other seeds, and how far its units see.

Shapes: N pairs, C channels, H rows, W columns, D features.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bench.probes.corruptions import MOVES, moved_by
from bench.probes.subject import Subject
from bench.records.probe import ProbeRecord
from bench.training.evaluation import EVALUATION_BATCH_SIZE, classification_loss, predicted_classes
from bench.training.seeding import deterministic, stream
from data_utils import Batch
from fusion_models import FusionNet
from fusion_models.embedders import EMBEDDERS

SHIFTS_PX = (1, 2, 4)
"""The largest shift of either axis that a random shift may have."""

_INSIDE = 1 - 0.9545
"""Part of the greatest gradient from which a pixel belongs to the effective receptive field."""


def measure(subject: Subject, earlier: Sequence[Subject] = ()) -> list[ProbeRecord]:
    """Every feature probe of a trained model.

    Args:
        subject: the model.
        earlier: the same row trained from other seeds. Features are compared on the validation pairs of the first
            of them, each model with inputs scaled as its own training pairs were; a later seed may have trained
            on some of these pairs.
    """
    found = partial(
        subject.found, benchmark="features", started_at=datetime.now(UTC).isoformat(timespec="seconds")
    )
    with deterministic():
        return [
            *_under_shifts(subject, found),
            *_across_seeds(subject, earlier, found),
            *_gradients(subject, found),
            *_receptive_fields(subject, found),
        ]


def shift_consistency(first: Tensor, second: Tensor) -> float:
    """The share of pairs whose most probable class is the same under two shifts, in [0, 1].

    Zhang 2019 (arXiv 1904.11486), there for two random shifts of one image; here both modalities' rasters move by
    the same number of pixels, and nothing was seen in what comes from outside.

    Args:
        first: logits (N, L) of the pairs, each moved by a shift of its own.
        second: likewise, by other shifts.
    """
    return (predicted_classes(first) == predicted_classes(second)).double().mean().item()


def linear_cka(first: Tensor, second: Tensor) -> float:
    """How similar two representations of the same pairs are, in [0, 1]: linear centered kernel alignment.

    Kornblith et al. 2019 (arXiv 1905.00414): with X and Y centered, |Y'X|^2 / (|X'X| |Y'Y|) in Frobenius norms,
    computed from the Gram matrices of the pairs, as features are more than pairs. Does not change with rotations
    and the common scale of features; does with other linear maps. NaN where a representation is the same for all
    pairs.

    Args:
        first: (N, ...), flattened to (N, D).
        second: (N, ...), of any number of features.
    """
    grams = [_gram(features) for features in (first, second)]
    norms = grams[0].norm() * grams[1].norm()
    return ((grams[0] * grams[1]).sum() / norms).item() if norms > 0 else math.nan


def zero_gradients(network: nn.Module, batch: Batch) -> dict[str, float]:
    """The share of exact zeros in the gradient of the mean loss, by the name of each convolution.

    The gradient is that of the convolution's outputs, before pool and ReLU: what flows back to its weights.

    Args:
        network: of any kind.
        batch: as the model gets it.
    """
    shares: dict[str, float] = {}

    def note(name: str, gradient: Tensor) -> None:
        shares[name] = (gradient == 0).double().mean().item()

    def watch(name: str, output: Tensor) -> None:
        # On the output itself, before the ReLU behind it works in place: then it is the convolution's gradient.
        output.register_hook(partial(note, name))

    convolutions = {name: part for name, part in network.named_modules() if isinstance(part, nn.Conv2d)}
    hooks = [
        part.register_forward_hook(lambda _, __, output, name=name: watch(name, output))
        for name, part in convolutions.items()
    ]
    try:
        loss = classification_loss(network(batch.inputs), batch.labels)
        torch.autograd.grad(loss, list(network.parameters()))
    finally:
        for hook in hooks:
            hook.remove()
    return {name: shares[name] for name in convolutions}


def receptive_field_px(network: FusionNet, batch: Batch, modality: str) -> float:
    """The side of the square as large as the effective receptive field of the last downsampling's middle unit.

    Luo et al. 2016 (arXiv 1701.04128): the pixels whose gradient is above 1 - 95.45% of the greatest one; the
    gradient here is the mean over pairs and channels of its absolute value, summed over the unit's channels.

    Args:
        network: with the downsamplings of ``EMBEDDERS``.
        batch: as the model gets it.
        modality: whose pixels are counted, and whose stem is looked at where the trunk has no downsampling.
    """
    stages = [part for part in network.trunk.modules() if isinstance(part, tuple(EMBEDDERS.values()))]
    stages = stages or [p for p in network.stems[modality].modules() if isinstance(p, tuple(EMBEDDERS.values()))]
    inputs = {m: values.detach().requires_grad_(m == modality) for m, values in batch.inputs.items()}
    with _watched(last=stages[-1]) as seen:
        network(inputs)
    _, maps = seen["last"][0]
    middle = maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2].sum()
    (gradient,) = torch.autograd.grad(middle, inputs[modality])
    strength = gradient.abs().mean(dim=(0, 1))
    return math.sqrt((strength > _INSIDE * strength.max()).sum().item())


def _under_shifts(subject: Subject, found: Any) -> Iterator[ProbeRecord]:
    """Logits and features of shifted pairs, against those of another shift and of none."""
    measured, seed = subject.measured, subject.record.seed
    clean = _features(subject.network, subject.valid)
    for level in SHIFTS_PX:
        draw = torch.Generator().manual_seed(stream(seed, f"shift/{level}"))
        shifted = []
        for _ in range(2):
            offsets = torch.randint(-level, level + 1, (len(measured), 2), generator=draw)
            moved = {m: moved_by(values, offsets, MOVES[m]) for m, values in measured.inputs.items()}
            shifted.append(_features(subject.network, subject.with_inputs(moved)))
        shift = {"level": float(level), "level_unit": "px", "samples": len(measured)}
        agreeing = shift_consistency(shifted[0]["logits"], shifted[1]["logits"])
        yield found(probe="shift-consistency", metric="share", value=agreeing, **shift)
        for layer in ("trunk", "hidden"):
            similarity = linear_cka(clean[layer], shifted[0][layer])
            if math.isfinite(similarity):
                yield found(probe="shift-similarity", metric="cka", layer=layer, value=similarity, **shift)


def _across_seeds(subject: Subject, earlier: Sequence[Subject], found: Any) -> Iterator[ProbeRecord]:
    if not earlier:
        return
    pairs = earlier[0].measured
    ours = _features(subject.network, subject.prepared(pairs))
    for other in earlier:
        theirs = _features(other.network, other.prepared(pairs))
        for layer in ("trunk", "hidden"):
            similarity = linear_cka(ours[layer], theirs[layer])
            if math.isfinite(similarity):
                yield found(
                    probe="seed-similarity",
                    metric="cka",
                    layer=layer,
                    other_seed=other.record.seed,
                    value=similarity,
                    samples=len(pairs),
                )


def _gradients(subject: Subject, found: Any) -> Iterator[ProbeRecord]:
    batch = subject.valid[:EVALUATION_BATCH_SIZE]
    for layer, share in zero_gradients(subject.network, batch).items():
        yield found(probe="zero-gradients", metric="share", layer=layer, value=share, samples=len(batch))


def _receptive_fields(subject: Subject, found: Any) -> Iterator[ProbeRecord]:
    batch = subject.valid[:EVALUATION_BATCH_SIZE]
    for modality in subject.network.modalities:
        side = receptive_field_px(subject.network, batch, modality)
        yield found(
            probe="receptive-field", metric="side", unit="px", layer=modality, value=side, samples=len(batch)
        )


@torch.no_grad()
def _features(network: FusionNet, batch: Batch) -> dict[str, Tensor]:
    """What pairs become: "trunk" (what the head is given), "hidden" (what its last layer is given), "logits"."""
    network.eval()
    last = [part for part in network.head.modules() if isinstance(part, nn.Linear)][-1]
    with _watched(head=network.head, last=last) as seen:
        for start in range(0, len(batch), EVALUATION_BATCH_SIZE):
            network(batch[start : start + EVALUATION_BATCH_SIZE].inputs)
    return {
        "trunk": torch.cat([given for given, _ in seen["head"]]),
        "hidden": torch.cat([given for given, _ in seen["last"]]),
        "logits": torch.cat([returned for _, returned in seen["head"]]),
    }


@contextmanager
def _watched(**parts: nn.Module) -> Iterator[dict[str, list[tuple[Tensor, Tensor]]]]:
    """Collects what modules are given and return, call by call, while the body runs."""
    seen: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in parts}
    hooks = [
        part.register_forward_hook(lambda _, given, returned, name=name: seen[name].append((given[0], returned)))
        for name, part in parts.items()
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _gram(features: Tensor) -> Tensor:
    flat = features.flatten(1).double()
    centered = flat - flat.mean(dim=0)
    return centered @ centered.T
