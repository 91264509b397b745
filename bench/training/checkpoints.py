"""Checkpoints read back: the model of a record with the weights of its best epoch."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from bench.records import RecordError, RunRecord
from bench.training.runs import CHECKPOINTS, build_seeded
from data_utils import PairedDataset
from fusion_models import find_model


class CheckpointError(RecordError):
    """The weights of a record cannot be read; the message tells why."""


def restored(record: RunRecord, folder: Path | None, dataset: PairedDataset, device: str) -> nn.Module:
    """The record's model with the weights of its checkpoint.

    Args:
        record: Of the training.
        folder: Of the run, with ``checkpoints/`` in it.
        dataset: The model was trained on it.
        device: "cpu", "cuda" or "cuda:N".

    Raises:
        CheckpointError: There is no checkpoint, or it does not hold this model for these data.
    """
    path = _checkpoint_of(record, folder)
    try:
        network = build_seeded(find_model(record.model), dataset, record.seed, device)
        network.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"the checkpoint {record.checkpoint} cannot be used: {error}") from error
    return network


def _checkpoint_of(record: RunRecord, folder: Path | None) -> Path:
    if record.checkpoint is None or folder is None:
        reason = f": it {record.status} ({record.error})" if record.error else ""
        raise CheckpointError(f"the run of {record.model} wrote no checkpoint{reason}")
    path = folder / CHECKPOINTS / record.checkpoint
    if not path.is_file():
        raise CheckpointError(
            f"the checkpoint {record.checkpoint} is not beside the records; train again, or restore the file"
        )
    return path
