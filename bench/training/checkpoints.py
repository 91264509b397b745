"""Checkpoints read back: the model of a record with the weights of its best epoch."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from bench.records.run import RecordError, RunRecord
from bench.training.runs import build_seeded
from data_utils import PairedDataset
from fusion_models import FusionNet, find_model


class CheckpointError(RecordError):
    """A record's weights cannot be had; the message is a sentence that says why."""


def checkpoint_of(record: RunRecord, folder: Path) -> Path:
    """The file of the record's weights in the run's folder.

    Raises:
        CheckpointError: none was written, or it is gone.
    """
    if record.checkpoint is None:
        why = f": it {record.status} ({record.error})" if record.error else ""
        raise CheckpointError(f"The run wrote no checkpoint{why}.")
    path = folder / "checkpoints" / record.checkpoint
    if not path.is_file():
        raise CheckpointError(
            f"The checkpoint {record.checkpoint} is not beside the records; train again, or restore the file."
        )
    return path


def restored(record: RunRecord, folder: Path, dataset: PairedDataset, device: str) -> FusionNet:
    """The record's model with the weights of its checkpoint.

    Raises:
        CheckpointError: there is no checkpoint, or it does not hold this model for these data.
    """
    path = checkpoint_of(record, folder)
    try:
        network = build_seeded(find_model(record.model), dataset, record.seed, device)
        network.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"The checkpoint {record.checkpoint} cannot be used: {error}") from error
    return network
