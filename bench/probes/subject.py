"""What is probed: a trained model, from its record and checkpoint, with the pairs that results are reported on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial

from torch import Tensor, nn

from bench.config import Protocol, RunConfig
from bench.metrics import accuracy, reported
from bench.records import ProbeRecord, RecordError, RunRecord
from bench.records.run import CHECKPOINTS
from bench.study import PROBES
from bench.training.checkpoints import load_weights, unusable, weights_sha256
from bench.training.evaluation import evaluation_batch, joined, predict
from bench.training.fingerprint import code_sha256
from bench.training.preparation import delivered, predict_part, prepare, ready, world_of
from bench.training.runs import build_seeded
from bench.training.seeding import deterministic, stream
from data_utils import Batch, ChannelStatistics, PairedDataset, Part, Source
from fusion_models import ModelError, find_model

MakeRecord = Callable[..., ProbeRecord]
"""Makes the record of one value from the fields that the probe knows."""

MOST_PAIRS = 1_000
"""How many pairs are probed at most, as a probe takes as many forward passes as it has corruptions and levels."""


_OF_THE_MODEL = (
    *("study", "variant", "model", "family", "stage", "operator", "embedder", "modalities", "reference"),
    *("dataset", "seed", "profile", "device"),
)


@dataclass(frozen=True, eq=False)
class Subject:
    """A trained model and the pairs that it is probed on.

    Attributes:
        network: With the weights of its best epoch, on the device.
        record: Of its training.
        source: Its world was drawn from it; ``protocol``: how it was trained.
        device: "cpu", "cuda" or "cuda:N".
    """

    network: nn.Module
    record: RunRecord
    source: Source
    protocol: Protocol
    device: str

    @property
    def dataset(self) -> PairedDataset:
        """The data set that the pairs are of."""
        return _probed(self.source, self.protocol, self.record.seed).dataset

    @property
    def measured(self) -> Batch:
        """The pairs as the sensors measured them, on the CPU: at most MOST_PAIRS."""
        return _measured(self.source, self.protocol, self.record.seed)

    @property
    def statistics(self) -> ChannelStatistics:
        """Of the training pairs."""
        return _statistics(self.source, self.protocol, self.record.seed, self.device)

    def check(self) -> None:
        """Refuse a network that does not answer as the record says.

        Raises:
            RecordError: Its accuracy is another one.
        """
        data = prepare(self.source, self.protocol, self.record.seed, self.device)
        part = data.world.reported
        precision = self.protocol.precision
        with deterministic(precision):
            logits = predict_part(self.network, data, part, precision)
        found, recorded = accuracy(logits, part.labels), reported(self.record, "accuracy")
        if found != recorded:
            raise RecordError(
                f"{self.record.checkpoint} has an accuracy of {found} on {len(part)} pairs, and its record "
                f"{recorded}; train the model again"
            )

    def prepared(self, measured: Batch) -> Batch:
        """Any pairs as the model gets them: scaled as its training pairs were, on the device."""
        scaled = self.protocol.on(self.source.info.channels).normalized
        copies = {modality: values.clone() for modality, values in measured.inputs.items()}
        return ready(Batch(copies, measured.labels), self.statistics, scaled, self.device)

    def predict(self, measured: Batch) -> Tensor:
        """The model's logits (N, L) of measured pairs, on the CPU, in the precision of its training.

        Few pairs at a time are made ready for the model.
        """
        size = evaluation_batch(self.source.info.image_size)
        parts = (measured[start : start + size] for start in range(0, len(measured), size))
        predictions = map(
            partial(predict, self.network, precision=self.protocol.precision), map(self.prepared, parts)
        )
        return joined(predictions, len(measured))

    def with_inputs(self, changed: Mapping[str, Tensor]) -> Batch:
        """The pairs with other measurements of some modalities.

        Args:
            changed: Modality to these measurements, (N, C, H, W) on the CPU.
        """
        return Batch({**self.measured.inputs, **changed}, self.measured.labels)

    def records_of(self, benchmark: str) -> MakeRecord:
        """The records of a benchmark that starts now have what the record of the training tells of the model."""
        record = self.record
        return partial(
            ProbeRecord,
            **{field: getattr(record, field) for field in _OF_THE_MODEL},
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            weights_sha256=record.weights_sha256 or "",
            code_sha256=probing_sha256(),
            commit=record.environment.get("commit"),
            benchmark=benchmark,
        )


def probing_sha256() -> str:
    """The hash of the code that decides the values of probes, that of the training and of plug-ins included."""
    return code_sha256(modules=tuple(f"bench.probes.{name}" for name in PROBES))


def load_subject(record: RunRecord, source: Source, config: RunConfig) -> Subject:
    """The model of a record, with its weights from the run's folder.

    Raises:
        RecordError: There is no checkpoint, or it does not hold this model for these data.
    """
    if record.checkpoint is None or config.results_dir is None:
        reason = f": it {record.status} ({record.error})" if record.error else ""
        raise RecordError(f"the run of {record.model} wrote no checkpoint{reason}")
    path = config.results_dir / CHECKPOINTS / record.checkpoint
    if not path.is_file():
        raise RecordError(
            f"the checkpoint {record.checkpoint} is not beside the records; train again, or restore the file"
        )
    try:
        network = build_seeded(find_model(record.model), source.info, record.seed, config.device)
    except ModelError as error:
        raise unusable(path, error) from error
    loaded = weights_sha256(load_weights(network, path))
    if record.weights_sha256 not in (None, loaded):
        raise RecordError(
            f"the checkpoint {record.checkpoint} has other weights than the record tells: another run replaced "
            "it, or it is damaged; remove the file and train again with --resume"
        )
    return Subject(network, record, source, config.protocol, config.device)


def _probed(source: Source, protocol: Protocol, seed: int) -> Part:
    world = delivered(world_of(source, protocol, seed), protocol)
    return world.reported.at_most(MOST_PAIRS, stream(seed, "probes"))


@lru_cache(maxsize=2)  # all models of a seed follow each other; those of the first seed are compared with all
def _measured(source: Source, protocol: Protocol, seed: int) -> Batch:
    return _probed(source, protocol, seed).batch()


@lru_cache
def _statistics(source: Source, protocol: Protocol, seed: int, device: str) -> ChannelStatistics:
    return prepare(source, protocol, seed, device).statistics
