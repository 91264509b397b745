"""A trial of what may not work: a faulty model or metric of a plug-in ends in one sentence that names its file."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bench.config import STANDARD, Protocol
from bench.registry import METRICS
from bench.training.evaluation import metrics_of, predict
from bench.training.measurement import count_trainable_parameters
from bench.training.pairs import Pairs
from bench.training.precision import forward
from bench.training.seeding import seeded
from bench.training.steps import make_optimizer, training_step
from data_utils import Batch
from fusion_models import BACKBONES, EMBEDDERS, OPERATORS, FusionNet, ModelError, ModelSpec
from fusion_models.registry import CUSTOM_MODELS
from fusiongauge import PluginError, source_file

_PAIRS = 4
_LABELS_PER_CLASS = 8


class _FaultError(PluginError):
    """What is wrong with a model, as the end of a sentence about it."""


def try_model(
    spec: ModelSpec,
    build: Callable[[], nn.Module],
    pairs: Pairs,
    classes: int,
    protocol: Protocol,
    note: Callable[[str], None],
) -> None:
    """Build a model on the device of the pairs and train it for two steps on a few pairs.

    The second step has as many pairs as the last one of an epoch, up to a few. A model that ships here is only
    tried if that is one pair, of which batch normalization cannot normalize maps of one pixel.

    Args:
        spec: The model.
        build: Makes it, with the same initial weights each time.
        pairs: For training, on the device.
        classes: Of the data.
        protocol: How it will be trained.
        note: Called with a sentence if its logits are probabilities.

    Raises:
        PluginError: The model raises, returns logits of a wrong shape, has nothing to train, uses parameters that
            would not be trained, or does not repeat its weights or its logits.
        ModelError: The model itself reports that it does not fit the data, or one that ships here raises.
    """
    files = files_of_plugins(spec)
    rest = 0 if protocol.drop_last else len(pairs) % protocol.batch_size
    last = rest or protocol.batch_size
    if not files and last > 1:
        return
    who = f"{', '.join(files)}{': ' if files else ''}the model {spec.name!r}"
    error_of = PluginError if files else ModelError
    remedy = "drop_last=true leaves out" if rest else f"batch_size={STANDARD.batch_size} makes larger"
    size, hint = _PAIRS, f"; the last batch of an epoch has one pair, which --set {remedy}"
    try:
        network = build()
        _require_own_weights(network, build())
        logits = _require_logits(network, pairs[:_PAIRS], classes, protocol)
        if (logits >= 0).all() and torch.allclose(logits.sum(dim=1), logits.new_ones(()), atol=1e-4):
            note(f"{who} returns numbers that add up to 1; the loss expects logits, so leave its softmax out")
        for part in (network, *experts_of(network).values()):
            optimizer = make_optimizer(part, protocol)
            for size in (_PAIRS, min(last, _PAIRS)):
                training_step(part.train(), optimizer, pairs[:size], protocol)
    except ModelError:
        raise
    except _FaultError as fault:
        raise PluginError(f"{who} {fault}") from None
    except Exception as error:
        raise error_of(f"{who} raises {type(error).__name__}: {error}{hint if size == 1 else ''}") from error


def try_metrics(build: Callable[[], nn.Module], pairs: Pairs, classes: int, protocol: Protocol) -> None:
    """Compute the metrics of plug-ins once, of random logits that have the shape of the model's.

    Otherwise a metric that is computed after the best epoch alone would fail when the model is trained.

    Raises:
        PluginError: One of them raises, or returns something other than a number.
    """
    if not METRICS.added:
        return
    columns = predict(build(), pairs[:_PAIRS], protocol.precision).shape[1]
    labels = torch.arange(_LABELS_PER_CLASS * classes) % classes
    logits = torch.randn(len(labels), columns, generator=torch.Generator().manual_seed(0))
    metrics_of(logits, labels)


def experts_of(network: nn.Module) -> dict[str, FusionNet]:
    """The parts that are trained before the model itself, by modality."""
    return network.experts() if isinstance(network, FusionNet) else {}


def files_of_plugins(spec: ModelSpec) -> list[str]:
    """The files that registered the model's parts, or the function that builds it; none if it ships here."""
    if spec.build is not None:
        registered = CUSTOM_MODELS.get(spec.custom) is spec.build
        return [CUSTOM_MODELS.file(spec.custom) if registered else source_file(spec.build)]
    parts = ((BACKBONES, spec.family), (OPERATORS, spec.operator), (EMBEDDERS, spec.block))
    return list(dict.fromkeys(registry.file(name) for registry, name in parts if name in registry.added))


def _require_own_weights(network: nn.Module, again: nn.Module) -> None:
    """Two models of one seed have equal weights, and each has its own."""
    if not count_trainable_parameters(network):
        raise _FaultError("has no trainable parameter")
    trained = {id(parameter) for parameter in network.parameters() if parameter.requires_grad}
    if trained & {id(parameter) for parameter in again.parameters()}:
        raise _FaultError(
            "has the same layers each time it is built, so seeds share them; make new ones each time"
        )
    if not _same(list(network.state_dict().values()), list(again.state_dict().values())):
        raise _FaultError(
            "has other initial weights when it is built again from the same seed; all draws have to come from "
            "torch's generator, none from random or numpy.random"
        )


def _require_logits(network: nn.Module, batch: Batch, classes: int, protocol: Protocol) -> Tensor:
    """The logits, of the right shape, the same each time, that depend on registered parameters alone."""
    with _checked_shapes(network):
        logits = _logits(network.train(), batch, classes, protocol)
    if not logits.requires_grad:
        raise _FaultError("returns logits that depend on no trainable parameter")
    registered = {id(parameter) for parameter in network.parameters()}
    for leaf in _leaves(logits):
        if isinstance(leaf, nn.Parameter) and id(leaf) not in registered:
            raise _FaultError(
                f"uses a parameter of shape {tuple(leaf.shape)} that is not one of its own, so it would not be "
                "trained; make layers in the constructor, and keep lists of them as nn.ModuleList"
            )
    answers = []
    for _ in range(2):
        with seeded(0, "trial", str(batch.labels.device)), torch.no_grad():
            answers.append(_logits(network.eval(), batch, classes, protocol))
    if not _same(answers[:1], answers[1:]):
        raise _FaultError(
            "returns other logits when it is called again with the same pairs in evaluation mode; they may depend "
            "on its inputs, which it must not change, its weights and torch's generator alone"
        )
    return answers[0]


def _logits(network: nn.Module, batch: Batch, classes: int, protocol: Protocol) -> Tensor:
    logits: object = forward(network, batch.inputs, protocol.precision)
    wanted = [(len(batch), classes), *([(len(batch), 1)] if classes == 2 else [])]
    if not isinstance(logits, Tensor) or tuple(logits.shape) not in wanted:
        returned = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        mode = "" if network.training else " in evaluation mode"
        raise _FaultError(
            f"returns {returned}{mode} for {len(batch)} pairs of {classes} classes; "
            f"it must return logits of shape {' or '.join(map(str, wanted))}"
        )
    return logits


def _same(some: Sequence[object], others: Sequence[object]) -> bool:
    """Whether tensors are equal bit by bit; what is not a tensor is not compared."""
    pairs = [(a, b) for a, b in zip(some, others, strict=True) if isinstance(a, Tensor) and isinstance(b, Tensor)]
    return all(a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=0, equal_nan=True) for a, b in pairs)


def _leaves(result: Tensor) -> Iterator[Tensor]:
    """The tensors that a result was computed from and that get a gradient."""
    waiting, seen = [result.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            yield node.variable
        waiting += [following for following, _ in node.next_functions]


@contextmanager
def _checked_shapes(network: nn.Module) -> Iterator[None]:
    """Run the body so that a part whose result has another shape than it declares is named.

    Otherwise it is the layer after it that raises.
    """
    hooks = []
    if isinstance(network, FusionNet):
        embedders = tuple(part.make for part in EMBEDDERS.added.values() if isinstance(part.make, type))
        for module in network.modules():
            if hasattr(module, "out_shape"):
                hooks.append(module.register_forward_hook(_require_out_shape))
            if isinstance(module, embedders):
                hooks.append(module.register_forward_hook(_require_half))
        hooks += [module.register_forward_hook(_require_streams) for module in network.exchanges]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _require_out_shape(module: nn.Module, inputs: tuple[object, ...], result: object) -> None:
    declared, (shape,) = tuple(module.out_shape), _shapes([result])  # type: ignore[arg-type]
    if shape != declared:
        of = _shapes(inputs[0] if isinstance(inputs[0], list | tuple) else inputs)
        raise _FaultError(
            f"has a wrong shape: its part {type(module).__name__} makes {shape} of {', '.join(map(str, of))} per "
            f"pair, and its out_shape is {declared}"
        )


def _require_half(module: nn.Module, inputs: tuple[Tensor, ...], result: object) -> None:
    (_, *size), shape = inputs[0].shape[1:], _shapes([result])[0]
    if not isinstance(shape, tuple) or [2 * side for side in shape[1:]] != size:
        raise _FaultError(
            f"has a wrong shape: its embedder {type(module).__name__} makes {shape} per pair of "
            f"{tuple(inputs[0].shape[1:])}; an embedder halves height and width"
        )


def _require_streams(module: nn.Module, inputs: tuple[Sequence[Tensor], ...], result: object) -> None:
    before = _shapes(inputs[0])
    after = _shapes(result) if isinstance(result, list | tuple) else type(result).__name__
    if after != before:
        raise _FaultError(
            f"has a wrong shape: its exchange {type(module).__name__} returns {after} per pair for {before}; it "
            "returns a list of tensors of the same shapes"
        )


def _shapes(results: Sequence[object]) -> list[tuple[int, ...] | str]:
    """Shapes without the batch; of what is not a tensor, its type."""
    return [tuple(r.shape[1:]) if isinstance(r, Tensor) else type(r).__name__ for r in results]
