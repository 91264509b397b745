"""What a model costs in use: the latency of a single pair and the throughput of many.

The weights are untrained: every layer computes the same sums whatever its weights are, so training changes the
result of a forward pass and not its duration.
"""

import time
from collections.abc import Callable, Sequence

import torch

from bench.config import FIRST_SEED, FP32, Precision
from bench.costs import measured_on
from bench.records import InferenceRecord
from bench.training import graphs
from bench.training.branches import side_by_side
from bench.training.layout import layout_of
from bench.training.measurement import count_parameters
from bench.training.precision import forward
from bench.training.runs import build_seeded
from bench.training.seeding import seeded
from bench.training.steps import seconds_of, synchronize
from data_utils import Batch, DatasetInfo, Source
from fusion_models import ModelSpec

LATENCY_BATCH = 1
THROUGHPUT_BATCH = 256

_CLOCK_RATE_SECONDS = 0.3


def random_batch(info: DatasetInfo, pairs: int, device: str) -> Batch:
    """Pairs of standard normal numbers in the shapes of a data set, as trainings get them.

    For what depends on the shapes alone: measurements of cost, and audits of models.
    """
    with seeded(FIRST_SEED, "cost"):
        inputs = {
            modality: torch.randn(pairs, channels, *info.image_size).contiguous(memory_format=layout_of(device))
            for modality, channels in info.channels.items()
        }
    return Batch(inputs, torch.arange(pairs) % len(info.classes)).to(device)


class ForwardPass:
    """A model in evaluation mode and a batch for it; a call runs the model on the batch, device synchronized.

    Args:
        spec: The model.
        dataset: The model is built for its shapes and classes.
        batch_size: Pairs per call.
        device: "cpu", "cuda" or "cuda:N".
        precision: Of the pass, as in a protocol; ``seeding.deterministic`` has what concerns float32.

    Attributes:
        parameters: Weights and biases of the model.
    """

    def __init__(
        self, spec: ModelSpec, dataset: Source, batch_size: int, device: str, precision: Precision = FP32
    ) -> None:
        self._model, self._info, self._batch_size = spec.name, dataset.info, batch_size
        self._device, self._precision = device, precision
        self._network = build_seeded(spec, dataset.info, FIRST_SEED, device).eval()
        batch = random_batch(dataset.info, batch_size, device)
        self._inputs, self._on = batch.inputs, batch.labels.device
        self.parameters = count_parameters(self._network)
        self._launch: Callable[[], None] = self._eager

    def __call__(self) -> None:
        """Run it once."""
        self._launch()
        synchronize(self._on)

    @torch.inference_mode()
    def _eager(self) -> None:
        forward(self._network, self._inputs, self._precision)

    def record_graph(self) -> None:
        """Let further calls replay a CUDA graph: a pass of one pair takes a GPU less time than launching it."""
        with side_by_side(self._network):
            self._launch = graphs.record(self._eager, lambda: None, self._on)

    def record(self, seconds: Sequence[float], profile: str) -> InferenceRecord:
        """The record of calls that took these seconds each, under a profile."""
        height, width = self._info.image_size
        channels = [f"{modality} of {count} channels" for modality, count in self._info.channels.items()]
        return InferenceRecord(
            model=self._model,
            parameters=self.parameters,
            batch_size=self._batch_size,
            graph=self._launch != self._eager,
            seconds=list(seconds),
            inputs=f"{', '.join(channels)}, {height}x{width}",
            **measured_on(profile, self._device, precision=self._precision),
        )


def warm_up(work: Callable[[], object], device: torch.device) -> None:
    """Keep a GPU busy with some work until it has raised its clock rate; on a CPU do nothing."""
    start = time.perf_counter()
    while device.type == "cuda" and time.perf_counter() < start + _CLOCK_RATE_SECONDS:
        work()


def rounds_within(seconds: float, work: Callable[[], object], *, least: int, most: int) -> int:
    """How many rounds of some work fit into a time; warms up as well.

    Args:
        seconds: For all rounds together.
        work: Synchronizes the device it uses. It is run once, and a second time if the first took less than
            ``seconds``: the first call also chooses kernels and fills allocators.
        least: The minimum, however long the rounds take.
        most: The maximum, however short they are.
    """
    duration = seconds_of(work)
    if duration < seconds:
        duration = seconds_of(work)
    return min(most, max(least, int(seconds / duration)))
