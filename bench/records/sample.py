"""Sample predictions of a trained model, saved when its run ends: the report needs neither model nor data."""

from pathlib import Path

import msgspec

SAMPLES = "samples"
"""The folder of sample predictions in a run's folder."""


def samples_path(folder: Path, checkpoint: str) -> Path:
    """The file of a cell's sample predictions.

    Args:
        folder: Of the run.
        checkpoint: File name of the cell's checkpoint, as in its record.
    """
    return folder / SAMPLES / f"{Path(checkpoint).stem}.jsonl"


class SampleRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a model predicted for one of the pairs that results are reported on.

    Attributes:
        weights_sha256: Of the model's weights, as in the record of its training.
        name: What the data set calls the pair.
        label: Its class; ``predicted``: the class that the model found most probable.
        probability: Of the predicted class, in [0, 1].
        pictures: By modality, a PNG image as base64.
    """

    weights_sha256: str
    name: str
    label: str
    predicted: str
    probability: float
    pictures: dict[str, str]

    @property
    def right(self) -> bool:
        """Whether the model named the pair's class."""
        return self.predicted == self.label
