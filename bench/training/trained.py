"""A trained model from its checkpoint, for new pairs and for code outside of FusionGauge."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.config import Precision
from bench.records import RecordError
from bench.training.checkpoints import load_weights, read_description
from bench.training.evaluation import evaluation_batch, joined
from bench.training.precision import forward
from data_utils import DataError, PairedDataset
from data_utils.modality import Modality
from fusion_models import build_model


class TrainedModel(nn.Module):
    """A model that takes measurements: it scales them by the statistics of its training pairs itself.

    Attributes:
        network: The model with the weights of its best epoch; its inputs are scaled.
        classes: Their names, in the order of the logits.
        modalities: What the training pairs measured, by name; the model uses ``used`` of them.
        image_size: Rows and columns of all modalities.
        precision: Of the training, and of the forward pass.
    """

    def __init__(self, network: nn.Module, description: Mapping[str, Any]) -> None:
        super().__init__()
        self.network = network
        self.classes: tuple[str, ...] = tuple(description["classes"])
        self.modalities = {name: Modality(**fields) for name, fields in description["modalities"].items()}
        self.used: tuple[str, ...] = tuple(description["used"])
        self.image_size: tuple[int, int] = tuple(description["image_size"])
        self.precision: Precision = description["precision"]
        self._scaled = [name for name in self.used if name in description["mean"]]
        for place, name in enumerate(self._scaled):  # a buffer cannot have every name that a modality can
            for statistic in ("mean", "std"):
                values = torch.tensor(description[statistic][name], dtype=torch.float32)
                self.register_buffer(f"{statistic}_{place}", values[:, None, None])

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Logits (B, classes); those of a model with one logit are (0, its logit), so that softmax applies to all.

        Args:
            inputs: Modality to float32 (B, C, H, W) as measured, such as ``load(...).batch().inputs``: images in
                [0, 1], distances and points in meters, other values divided by their scale. Modalities that the
                model does not use can be left out.

        Raises:
            DataError: A modality is missing, or has another type or size.
        """
        taken = {name: self._checked(name, inputs) for name in self.used}
        for place, name in enumerate(self._scaled):
            taken[name] = (taken[name] - self.get_buffer(f"mean_{place}")) / self.get_buffer(f"std_{place}")
        logits = forward(self.network, taken, self.precision)
        return torch.cat([torch.zeros_like(logits), logits], dim=1) if logits.shape[1] == 1 else logits

    @torch.no_grad()
    def predict(self, pairs: PairedDataset) -> Tensor:
        """The probability of each class for all pairs, float64 (N, classes) on the CPU; their labels are not used.

        The model is in evaluation mode afterwards.

        Raises:
            DataError: The pairs do not measure what the training pairs did.
        """
        for name in self.used:
            ours, theirs = self.modalities[name], pairs.modality(name) if name in pairs.inputs else None
            if theirs != ours:
                raise DataError(
                    f"{pairs.info.name!r} has {theirs or 'nothing'} as {name!r}, the training pairs {ours}; "
                    "use the dataset.toml of the training pairs."
                )
        self.eval()
        device = next((tensor.device for tensor in self.state_dict().values()), torch.device("cpu"))
        chunks = torch.arange(len(pairs)).split(evaluation_batch(self.image_size))
        logits = (
            self({m: x.to(device) for m, x in pairs.batch(chunk, self.used).inputs.items()}) for chunk in chunks
        )
        return joined(logits, len(pairs)).cpu().double().softmax(dim=1)

    def _checked(self, name: str, inputs: Mapping[str, Tensor]) -> Tensor:
        if name not in inputs:
            raise DataError(
                f"The model needs the modality {name!r}; the inputs have {', '.join(inputs) or 'none'}."
            )
        values, wanted = inputs[name], (self.modalities[name].channels, *self.image_size)
        if values.dtype != torch.float32 or values.dim() != 4 or tuple(values.shape[1:]) != wanted:
            raise DataError(
                f"{name!r} is {values.dtype} of shape {tuple(values.shape)}; the model takes torch.float32 of "
                f"shape {('B', *wanted)}, as measured. load(path, image_size='{wanted[1]}x{wanted[2]}') reads "
                "files at this size."
            )
        return values


def load_model(checkpoint: str | Path, device: str = "cpu") -> TrainedModel:
    """The model of a checkpoint, in evaluation mode.

    A model or a part of a plug-in must be registered first, by importing its file.

    Args:
        checkpoint: A file in the folder ``checkpoints`` of a run.
        device: Where the model is put.

    Raises:
        RecordError: The file is missing, damaged or from a version that did not describe models.
        ModelError: The model is not registered.
    """
    path = Path(checkpoint)
    if not path.is_file():
        raise RecordError(f"{path}: this file does not exist; give one of the folder checkpoints of a run")
    description = read_description(path)
    if not description:
        raise RecordError(f"{path} does not describe its model, as an earlier version wrote it; train again")
    channels = {name: fields["channels"] for name, fields in description["modalities"].items()}
    network = build_model(
        description["model"],
        channels=channels,
        image_size=tuple(description["image_size"]),
        classes=len(description["classes"]),
    )
    load_weights(network, path)
    return TrainedModel(network, description).to(device).eval()
