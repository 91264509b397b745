"""A trial of models that plug-ins add: a faulty one ends in one sentence that names its file, before training."""

from collections.abc import Callable

import torch
from torch import nn

from bench.config import Protocol
from bench.training.measurement import count_trainable_parameters
from bench.training.pairs import Pairs
from bench.training.steps import make_optimizer, training_step
from data_utils import Batch
from fusion_models import BACKBONES, EMBEDDERS, OPERATORS, FusionNet, ModelError, ModelSpec
from fusiongauge import PluginError, source_file

_PAIRS = 4


def try_model(
    spec: ModelSpec, build: Callable[[], nn.Module], pairs: Pairs, classes: int, protocol: Protocol
) -> None:
    """Build a model on the device of the pairs and train it for one step on a few pairs, unless it ships here.

    Raises:
        PluginError: The model raises, returns logits of a wrong shape, or has nothing to train.
        ModelError: The model itself reports that it does not fit the data.
    """
    files = _plugin_files(spec)
    if not files:
        return
    who = f"{', '.join(files)}: the model {spec.name!r}"
    few = pairs[:_PAIRS]
    try:
        fault = _fault(build(), few, classes, protocol)
    except ModelError:
        raise
    except Exception as error:
        raise PluginError(f"{who} raises {type(error).__name__}: {error}") from error
    if fault:
        raise PluginError(f"{who} {fault}")


def experts_of(network: nn.Module) -> dict[str, FusionNet]:
    """The parts that are trained before the model itself, by modality."""
    return network.experts() if isinstance(network, FusionNet) else {}


def _plugin_files(spec: ModelSpec) -> list[str]:
    """The files of the model's parts that plug-ins added, or of the function that builds it."""
    if spec.build is not None:
        return [source_file(spec.build)]
    parts = ((BACKBONES, spec.family), (OPERATORS, spec.operator), (EMBEDDERS, spec.embedder))
    return list(dict.fromkeys(registry.file(name) for registry, name in parts if name in registry.added))


def _fault(network: nn.Module, batch: Batch, classes: int, protocol: Protocol) -> str:
    if not count_trainable_parameters(network):
        return "has no trainable parameter"
    logits = network(batch.inputs)
    wanted = [(len(batch), classes), *([(len(batch), 1)] if classes == 2 else [])]
    if not isinstance(logits, torch.Tensor) or tuple(logits.shape) not in wanted:
        returned = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        return (
            f"returns {returned} for {len(batch)} pairs of {classes} classes; "
            f"it must return logits of shape {' or '.join(map(str, wanted))}"
        )
    if not logits.requires_grad:
        return "returns logits that depend on no trainable parameter"
    for part in (network, *experts_of(network).values()):
        training_step(part, make_optimizer(part, protocol), batch, protocol)
    return ""
