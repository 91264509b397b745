"""What downsampling does inside a trained model.

Whether its predictions survive shifts, the share of its gradients that is zero, how similar its features are under
shifts and across seeds, and the size of its receptive field. A module that is not a ``FusionNet`` gets the probes
that need neither trunk nor head.

Shapes: N pairs, C channels, H rows, W columns, D features.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from bench.config import FP32, Precision
from bench.metrics import classification_loss, predicted_classes
from bench.probes.corruptions import changed, moved_by, sensed_channels
from bench.probes.subject import MakeRecord, Subject
from bench.records import ProbeRecord
from bench.training.evaluation import EVALUATION_BATCH_SIZE
from bench.training.precision import forward
from bench.training.seeding import deterministic, stream
from data_utils import Batch
from fusion_models import EMBEDDERS, FusionNet

SHIFTS_PX = (1, 2, 4)
"""The largest random shift along either axis."""

_INSIDE = 1 - 0.9545
"""Part of the greatest gradient from which a pixel belongs to the effective receptive field."""


def measure(subject: Subject, earlier: Sequence[Subject] = ()) -> list[ProbeRecord]:
    """Every feature probe of a trained model.

    Args:
        subject: The model.
        earlier: The same model trained from other seeds. Features are compared on the test pairs of the
            first of them, each model with inputs scaled as its own training pairs were; where all seeds have the
            same files, a later seed may have trained on some of these pairs.
    """
    probe = subject.records_of("features")
    with deterministic(subject.protocol.precision):
        return [
            *_under_shifts(subject, probe),
            *_across_seeds(subject, earlier, probe),
            *_gradients(subject, probe),
            *_receptive_fields(subject, probe),
        ]


def shift_consistency(first: Tensor, second: Tensor) -> float:
    """The share of pairs whose most probable class is the same under two shifts, in [0, 1].

    Zhang 2019 (arXiv 1904.11486), there for two random shifts of one image; here the rasters of all modalities
    move by the same number of pixels. Nothing was measured in what enters at the sides; it is the nearest pixel
    where 0 is a value like others.

    Args:
        first: Logits (N, L) of the pairs, each moved by a shift of its own.
        second: Likewise, by other shifts.
    """
    return (predicted_classes(first) == predicted_classes(second)).double().mean().item()


def linear_cka(first: Tensor, second: Tensor) -> float:
    """How similar two representations of the same pairs are, in [0, 1]: linear centered kernel alignment.

    Kornblith et al. 2019 (arXiv 1905.00414): with X and Y centered, |Y'X|^2 / (|X'X| |Y'Y|) in Frobenius norms,
    computed from the Gram matrices of the pairs, as there are more features than pairs. It is invariant to
    rotations and to the common scale of features, not to other linear maps. NaN where a representation is the same
    for all pairs.

    Args:
        first: (N, ...), flattened to (N, D).
        second: (N, ...), with any number of features.
    """
    grams = [_gram(features) for features in (first, second)]
    norms = grams[0].norm() * grams[1].norm()
    return ((grams[0] * grams[1]).sum() / norms).item() if norms > 0 else math.nan


def zero_gradients(network: nn.Module, batch: Batch, precision: Precision = FP32) -> dict[str, float]:
    """The share of exact zeros in the gradient of the mean loss, by the name of each convolution.

    The gradient is that of the convolution's outputs, before pool and ReLU: what flows back to its weights. Frozen
    convolutions and those that do not affect the loss have none.

    Args:
        network: Any module.
        batch: As the model gets it.
        precision: Of its training.
    """
    shares: dict[str, float] = {}

    def note(name: str, gradient: Tensor) -> None:
        shares[name] = (gradient == 0).double().mean().item()

    def watch(name: str, _: Tensor, output: Tensor) -> None:
        # On the output itself, before the ReLU after it works in place: then it is the convolution's gradient.
        if output.requires_grad:
            output.register_hook(partial(note, name))

    convolutions = {name: part for name, part in network.named_modules() if isinstance(part, nn.Conv2d)}
    with _watched(convolutions, watch):
        loss = classification_loss(forward(network, batch.inputs, precision), batch.labels)
        trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
        if trainable and loss.requires_grad:
            torch.autograd.grad(loss, trainable, allow_unused=True)
    return {name: shares[name] for name in convolutions if name in shares}


def receptive_field_px(network: FusionNet, batch: Batch, modality: str) -> float | None:
    """The side of the square as large as the effective receptive field of the last downsampling's middle unit.

    Luo et al. 2016 (arXiv 1701.04128): the pixels whose gradient is above 1 - 95.45% of the greatest one; the
    gradient here is the mean over pairs and channels of its absolute value, summed over the unit's channels. The
    pixels are those of the modality, whose stem is used where the trunk has no downsampling.

    Returns:
        None for a network without a registered embedder, or whose unit does not depend on the modality.
    """
    embedders = tuple(part.make for part in EMBEDDERS.values() if isinstance(part.make, type))
    parts = (*network.stems[modality].modules(), *network.trunk.modules())
    stages = [part for part in parts if isinstance(part, embedders)]
    if not stages:
        return None
    inputs = {m: values.detach().requires_grad_(m == modality) for m, values in batch.inputs.items()}
    outputs: list[Tensor] = []
    with _watched({"last": stages[-1]}, lambda _, __, output: outputs.append(output)):
        network(inputs)
    maps = outputs[0]
    middle = maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2].sum()
    (gradient,) = torch.autograd.grad(middle, inputs[modality], allow_unused=True)
    if gradient is None:
        return None
    strength = gradient.abs().mean(dim=(0, 1))
    return math.sqrt((strength > _INSIDE * strength.max()).sum().item())


def _under_shifts(subject: Subject, probe: MakeRecord) -> Iterator[ProbeRecord]:
    """Logits and features of shifted pairs, against those of another shift and of none."""
    measured, seed = subject.measured, subject.record.seed
    _, clean = _features(subject, measured)
    for level in SHIFTS_PX:
        generator = torch.Generator().manual_seed(stream(seed, f"shift/{level}"))
        shifted = []
        for _ in range(2):
            offsets = torch.randint(-level, level + 1, (len(measured), 2), generator=generator)
            moved = {}
            for name, values in measured.inputs.items():
                modality = subject.dataset.modality(name)
                move = partial(moved_by, offsets=offsets, nearest=not modality.zero_is_nothing)
                moved[name] = changed(values, sensed_channels(modality), move)
            shifted.append(_features(subject, subject.with_inputs(moved)))
        (logits, features), (other_logits, _) = shifted
        of_level = partial(probe, level=float(level), level_unit="px", samples=len(measured))
        consistency = shift_consistency(logits, other_logits)
        yield of_level(probe="shift-consistency", metric="share", value=consistency)
        yield from _similarities(clean, features, partial(of_level, probe="shift-similarity"))


def _across_seeds(subject: Subject, earlier: Sequence[Subject], probe: MakeRecord) -> Iterator[ProbeRecord]:
    if not earlier or not isinstance(subject.network, FusionNet):
        return
    pairs = earlier[0].measured
    of_seeds = partial(probe, probe="seed-similarity", samples=len(pairs))
    _, ours = _features(subject, pairs)
    for other in earlier:
        _, theirs = _features(other, pairs)
        yield from _similarities(ours, theirs, partial(of_seeds, other_seed=other.record.seed))


def _similarities(
    first: Mapping[str, Tensor], second: Mapping[str, Tensor], probe: MakeRecord
) -> Iterator[ProbeRecord]:
    """The CKA of each layer, where it is defined."""
    for layer, features in first.items():
        similarity = linear_cka(features, second[layer])
        if math.isfinite(similarity):
            yield probe(metric="cka", layer=layer, value=similarity)


def _gradients(subject: Subject, probe: MakeRecord) -> Iterator[ProbeRecord]:
    batch = subject.prepared(subject.measured[:EVALUATION_BATCH_SIZE])
    shares = zero_gradients(subject.network, batch, subject.protocol.precision)
    for layer, share in shares.items():
        yield probe(probe="zero-gradients", metric="share", layer=layer, value=share, samples=len(batch))


def _receptive_fields(subject: Subject, probe: MakeRecord) -> Iterator[ProbeRecord]:
    network, batch = subject.network, subject.prepared(subject.measured[:EVALUATION_BATCH_SIZE])
    if not isinstance(network, FusionNet):
        return
    for modality in network.modalities:
        side = receptive_field_px(network, batch, modality)
        if side is not None:
            yield probe(
                probe="receptive-field", metric="side", unit="px", layer=modality, value=side, samples=len(batch)
            )


def _features(subject: Subject, measured: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """The logits of pairs; of a FusionNet also "trunk" (the head's input) and "hidden" (its last layer's)."""
    network, layers = subject.network, {}
    if isinstance(network, FusionNet):
        linear = [part for part in network.head.modules() if isinstance(part, nn.Linear)]
        layers = {"trunk": network.head, **({"hidden": linear[-1]} if linear else {})}
    parts: dict[str, list[Tensor]] = {name: [] for name in layers}
    with _watched(layers, lambda name, values, _: parts[name].append(values)):
        logits = subject.predict(measured)
    return logits, {name: torch.cat(values) for name, values in parts.items()}


@contextmanager
def _watched(parts: Mapping[str, nn.Module], see: Callable[[str, Tensor, Tensor], None]) -> Iterator[None]:
    """Call ``see`` with the name, the first input and the output of modules at each call, while the body runs."""
    with ExitStack() as hooks:
        for name, part in parts.items():
            hook = part.register_forward_hook(lambda _, inputs, output, name=name: see(name, inputs[0], output))
            hooks.enter_context(hook)
        yield


def _gram(features: Tensor) -> Tensor:
    flat = features.flatten(1).double()
    centered = flat - flat.mean(dim=0)
    return centered @ centered.T
