"""What a model costs in use: the latency of a single pair and the throughput of many.

The weights are untrained: every layer computes the same sums whatever numbers are in them, so training changes
what comes out of a forward pass and not how long it takes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from bench.config import FIRST_SEED
from bench.tables import TextTable
from bench.training.measurement import count_parameters
from bench.training.runs import build_seeded
from bench.training.seeding import seeded
from bench.training.steps import synchronize
from data_utils import Batch, DatasetInfo, PairedDataset
from fusion_models import ModelSpec

LATENCY_BATCH = 1
THROUGHPUT_BATCH = 256


def random_batch(info: DatasetInfo, pairs: int, device: str) -> Batch:
    """So many pairs of standard normal numbers in the shapes of a data set, as trainings get them: channels last.

    For measurements of cost, which depends on the shapes alone.
    """
    with seeded(FIRST_SEED, "cost"):
        inputs = {
            modality: torch.randn(pairs, channels, *info.image_size).contiguous(memory_format=torch.channels_last)
            for modality, channels in info.channels.items()
        }
    return Batch(inputs, torch.arange(pairs) % len(info.classes)).to(device)


class ForwardPass:
    """A model in evaluation mode and a batch for it; a call runs the one on the other, device synchronized.

    Args:
        spec: the row to build.
        dataset: whose shapes and classes it is built for.
        batch_size: pairs a call.
        device: "cpu", "cuda" or "cuda:N".
    """

    def __init__(self, spec: ModelSpec, dataset: PairedDataset, batch_size: int, device: str) -> None:
        self._network = build_seeded(spec, dataset, FIRST_SEED, device).eval()
        self._inputs = random_batch(dataset.info, batch_size, device).inputs
        self._device = torch.device(device)
        self.parameters = count_parameters(self._network)

    @torch.inference_mode()
    def __call__(self) -> None:
        """Run it once."""
        self._network(self._inputs)
        synchronize(self._device)


@dataclass(frozen=True)
class InferenceTime:
    """The forward passes of one model at one batch size.

    Attributes:
        model: the row's name.
        parameters: weights and biases.
        batch_size: pairs a pass.
        seconds: of each pass.
    """

    model: str
    parameters: int
    batch_size: int
    seconds: tuple[float, ...]

    @property
    def median_seconds(self) -> float:
        """Of a pass."""
        return float(np.median(self.seconds))

    @property
    def iqr_seconds(self) -> float:
        """How far the quartiles of the passes are apart."""
        lower, upper = np.quantile(self.seconds, (0.25, 0.75))
        return float(upper - lower)

    @property
    def pairs_per_second(self) -> float:
        """In the median pass."""
        return self.batch_size / self.median_seconds


def inference_table(measured: Sequence[InferenceTime], info: DatasetInfo, conditions: Sequence[str]) -> TextTable:
    """A line a model, in the order they were measured; what was not measured is left open.

    Args:
        measured: passes of single pairs are latency, those of more pairs throughput.
        info: of the data that the models were built for.
        conditions: what else they were measured under.
    """
    inputs = ", ".join(f"{modality} of {channels} channels" for modality, channels in info.channels.items())
    height, width = info.image_size
    latency = {each.model: each for each in measured if each.batch_size == LATENCY_BATCH}
    throughput = {each.model: each for each in measured if each.batch_size > LATENCY_BATCH}
    rows, data = [], []
    for model, parameters in {each.model: each.parameters for each in measured}.items():
        single, many = latency.get(model), throughput.get(model)
        rows.append(
            [
                model,
                f"{parameters:,}",
                f"{single.median_seconds * 1e3:.2f}" if single else "-",
                f"{single.iqr_seconds * 1e3:.2f}" if single else "-",
                f"{many.pairs_per_second:,.0f}" if many else "-",
            ]
        )
        data.append(
            {
                "model": model,
                "parameters": parameters,
                "latency_seconds": single and single.median_seconds,
                "latency_iqr_seconds": single and single.iqr_seconds,
                "throughput_batch": many and many.batch_size,
                "pairs_per_second": many and many.pairs_per_second,
            }
        )
    batches = ", ".join(str(batch) for batch in dict.fromkeys(each.batch_size for each in throughput.values()))
    return TextTable(
        name="inference",
        title="Inference",
        header=["model", "parameters", "latency (ms)", "its IQR (ms)", "throughput (pairs/s)"],
        labels=1,
        rows=rows,
        notes=[
            "forward passes with untrained weights, medians; "
            f"latency: of a single pair; throughput: in batches of {batches or '-'}"
        ],
        conditions=[f"inputs: {inputs}, {height}x{width}", *conditions],
        data=pd.DataFrame(data),
    )
