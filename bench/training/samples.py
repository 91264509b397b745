"""Sample predictions: what a trained row makes of a few validation pairs, mistakes first.

The weights come from a run's checkpoint, the pairs from loading and splitting the data as the run did. Whether
that gave the run's own pairs is checked: the data's hash and the loss over all pairs have to be the record's.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from bench.config import Protocol
from bench.records.run import RunRecord
from bench.training.checkpoints import restored
from bench.training.evaluation import classification_loss, predict
from bench.training.preparation import choose, prepare
from data_utils import DATASETS, PairedDataset, load
from data_utils.audits.pictures import View, views

COUNT = 8
"""How many pairs of a row are shown."""

CLOSE = {"rel_tol": 1e-3, "abs_tol": 1e-5}
"""How near the loss has to be to the record's: another device rounds otherwise, other pairs differ by more."""


class SamplesError(ValueError):
    """A record has no sample predictions; the message is a sentence that says why."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model made of one validation pair.

    Attributes:
        name: what the data set calls the pair.
        view: its image and its range image.
        label: its class.
        predicted: the class that the model found most probable.
        probability: of that class, in [0, 1].
    """

    name: str
    view: View
    label: str
    predicted: str
    probability: float

    @property
    def right(self) -> bool:
        """Whether the model named the pair's class."""
        return self.predicted == self.label


def dataset_of(record: RunRecord, path: str = "") -> PairedDataset:
    """The data that a run was handed, loaded again.

    Args:
        record: of the run.
        path: where its files lie; simulated data need none.

    Raises:
        SamplesError: the data are not simulated and no path is given, or others lie there.
        DataError: the data cannot be read.
    """
    if record.dataset in DATASETS:
        return load(record.dataset, pairs=record.protocol["pairs"])
    if not path:
        raise SamplesError(f"The data {record.dataset} are files; give their path with --dataset.")
    dataset = load(path)
    if dataset.info.name != record.dataset:
        raise SamplesError(f"At {path} lie the data {dataset.info.name}; the run had {record.dataset}.")
    return dataset


def predictions(
    record: RunRecord, folder: Path, dataset: PairedDataset, *, count: int = COUNT, device: str = "cpu"
) -> list[Prediction]:
    """What a row made of some validation pairs: up to half of them mistakes, the surest first, then right ones.

    The right ones are spread evenly from the one the model was surest of to the one it was least sure of.

    Args:
        record: of a completed run.
        folder: of that run, with ``checkpoints/`` in it.
        dataset: what the run was handed.
        count: how many pairs; fewer if validation has fewer.
        device: to predict on; need not be the one that trained the model.

    Raises:
        CheckpointError: there is no checkpoint of this model.
        SamplesError: the checkpoint or the data are not those of the record.
        DataError: the data cannot be split as the run split them, or cannot be drawn.
    """
    if record.data_sha256 not in (None, dataset.sha256):
        raise SamplesError(f"The data {record.dataset} are not those of the run any more.")
    network = restored(record, folder, dataset, device)
    protocol = Protocol(**{**record.protocol, "normalized": tuple(record.protocol["normalized"])})
    chosen, parts = choose(dataset, protocol, record.seed)
    valid = prepare(dataset, protocol, record.seed, device).valid
    logits, labels = predict(network, valid), valid.labels.cpu()
    loss = classification_loss(logits.double(), labels).item()
    if record.best_valid_loss is None or not math.isclose(loss, record.best_valid_loss, **CLOSE):
        raise SamplesError(
            f"The checkpoint's loss on these data is {loss:.4g}, the record's is {record.best_valid_loss}: code "
            "or checkpoint are not those of the run any more."
        )
    probability, predicted = probabilities(logits).max(dim=1)
    shown = chosen_samples(probability, predicted == labels, count)
    pairs = parts.valid[torch.tensor(shown)].tolist()
    classes = dataset.info.classes
    return [
        Prediction(
            name=chosen.names[pair],
            view=view,
            label=classes[int(labels[sample])],
            predicted=classes[int(predicted[sample])],
            probability=float(probability[sample]),
        )
        for sample, pair, view in zip(shown, pairs, views(chosen, pairs), strict=True)
    ]


def probabilities(logits: Tensor) -> Tensor:
    """The probability of each class (N, classes) from logits (N, L), in double precision."""
    if logits.shape[1] == 1:
        second = logits.double().sigmoid()
        return torch.cat([1 - second, second], dim=1)
    return logits.double().softmax(dim=1)


def chosen_samples(probability: Tensor, right: Tensor, count: int) -> list[int]:
    """Which samples to show: see ``predictions``.

    Args:
        probability: of the predicted class (N,).
        right: bool (N,), whether that is the sample's class.
        count: how many at most.
    """
    surest = probability.argsort(descending=True, stable=True)
    mistakes, others = (surest[mask[surest]].tolist() for mask in (~right, right))
    wanted = max(count // 2, count - len(others))
    shown = mistakes[:wanted]
    spread = min(count - len(shown), len(others))
    places = torch.linspace(0, len(others) - 1, spread).round().long().tolist() if spread else []
    return shown + [others[place] for place in places]
