"""Checkpoints: the weights of a trained model, with a description of the model and its inputs."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from bench.records import RecordError, write_file

_DESCRIPTION = "fusiongauge"
"""The key of the file's metadata that holds the description, in JSON."""


def state_of(network: nn.Module) -> dict[str, Tensor]:
    """A model's weights by name: contiguous copies on the CPU, as files cannot hold tensors that share memory."""
    return {
        key: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for key, tensor in network.state_dict().items()
    }


def weights_sha256(weights: Mapping[str, Tensor]) -> str:
    """The hash of a model's state: tensors on the CPU, contiguous, by name."""
    digest = hashlib.sha256()
    for key in sorted(weights):
        digest.update(key.encode())
        digest.update(weights[key].numpy().tobytes())
    return digest.hexdigest()


def save_checkpoint(path: Path, weights: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    """Write weights, as ``state_of`` returns them, and what else there is to know about the model.

    Raises:
        OSError, SafetensorError: They cannot be written.
    """
    write_file(path, save(dict(weights), {_DESCRIPTION: json.dumps(description)}))


def read_description(path: Path) -> dict[str, Any]:
    """What a checkpoint tells of its model; nothing if an earlier version wrote it.

    Raises:
        RecordError: The file cannot be used, as far as its beginning and its size tell.
    """
    with _opened(path) as file:
        description: dict[str, Any] = json.loads((file.metadata() or {}).get(_DESCRIPTION, "{}"))
        return description


def load_weights(network: nn.Module, path: Path) -> dict[str, Tensor]:
    """Load the weights of a checkpoint into a network, and return them.

    Raises:
        RecordError: The file cannot be used, or holds the weights of another model.
    """
    with _opened(path) as file:
        weights: dict[str, Tensor] = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
        network.load_state_dict(weights)
    return weights


def unusable(path: Path, error: Exception) -> RecordError:
    """The error of a checkpoint that cannot be used."""
    return RecordError(
        f"the checkpoint {path} cannot be used: {error}; copy it again, or remove it and train with --resume"
    )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise unusable(path, error) from error
