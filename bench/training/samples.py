"""Sample predictions: what a trained model makes of a few of the pairs that are reported on, mistakes first.

They are saved when a run ends, so that showing them needs neither the model nor the data.
"""

import base64
import io
from pathlib import Path

import msgspec
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench.metrics import probabilities
from bench.records import SampleRecord
from data_utils import Part
from data_utils.audits.pictures import Pixels, pictures

COUNT = 8
"""How many pairs are saved per run."""


def save_samples(path: Path, logits: Tensor, part: Part, weights_sha256: str) -> str:
    """Write ``predictions`` to a path (``bench.records.sample.samples_path``); an earlier file is replaced.

    Returns:
        "", or why there are no samples: they are for viewing only, so a failure to draw is not one of the run.
    """
    try:
        path.unlink(missing_ok=True)
        records = predictions(logits, part, weights_sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.Encoder().encode_lines(records))
    except Exception as error:
        return f"sample predictions could not be saved ({type(error).__name__}: {error})"
    return ""


def predictions(logits: Tensor, part: Part, weights_sha256: str) -> list[SampleRecord]:
    """Predictions of COUNT pairs: up to half of them mistakes, the surest first, then right ones.

    The right ones are spread evenly from the one the model was surest of to the one it was least sure of.

    Args:
        logits: Of the trained model (N, L), on the CPU.
        part: The N pairs.
        weights_sha256: Of the model's weights.
    """
    labels = part.labels
    probability, predicted = probabilities(logits).max(dim=1)
    chosen = chosen_samples(probability, predicted == labels, COUNT)
    pairs = part.indices[torch.tensor(chosen)]
    dataset = part.dataset
    drawn = {m: pictures(dataset.measured(m, pairs), dataset.modality(m)) for m in dataset.inputs}
    classes = dataset.info.classes
    return [
        SampleRecord(
            weights_sha256=weights_sha256,
            name=part.dataset.names[pair],
            label=classes[int(labels[sample])],
            predicted=classes[int(predicted[sample])],
            probability=float(probability[sample]),
            pictures={modality: _png(images[place]) for modality, images in drawn.items()},
        )
        for place, (sample, pair) in enumerate(zip(chosen, pairs.tolist(), strict=True))
    ]


def _png(picture: Pixels) -> str:
    """A picture (H, W, 3) as a PNG image in base64."""
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


def chosen_samples(probability: Tensor, right: Tensor, count: int) -> list[int]:
    """Which samples to show; see ``predictions``.

    Args:
        probability: Of the predicted class (N,).
        right: Whether that is the sample's class, bool (N,).
        count: The number of samples; all of them if there are fewer.
    """
    surest = probability.argsort(descending=True, stable=True)
    mistakes, others = (surest[mask[surest]].tolist() for mask in (~right, right))
    shown = mistakes[: max(count // 2, count - len(others))]
    spread = min(count - len(shown), len(others))
    places = torch.linspace(0, len(others) - 1, spread).round().long().tolist() if spread else []
    return shown + [others[place] for place in places]
