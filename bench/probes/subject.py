"""What is probed: a trained model, from its record and checkpoint, with the pairs that validated it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from torch import Tensor, nn

from bench.config import Protocol, RunConfig
from bench.records import ProbeRecord, RunRecord
from bench.training.checkpoints import restored
from bench.training.preparation import measured_sides, ready
from data_utils import Batch, ChannelStatistics, PairedDataset


@dataclass(frozen=True, eq=False)
class Subject:
    """A trained model and its validation pairs.

    Attributes:
        network: With the weights of its best epoch, on the device.
        record: Of its training.
        dataset: It was trained on; ``protocol``: how.
        device: "cpu", "cuda" or "cuda:N".
    """

    network: nn.Module
    record: RunRecord
    dataset: PairedDataset
    protocol: Protocol
    device: str

    @cached_property
    def measured(self) -> Batch:
        """The validation pairs as the sensors measured them, on the CPU."""
        return _valid_pairs(self.dataset, self.protocol, self.record.seed)

    @property
    def statistics(self) -> ChannelStatistics:
        """Of the training pairs."""
        return _statistics(self.dataset, self.protocol, self.record.seed)

    @cached_property
    def valid(self) -> Batch:
        """The validation pairs as the model gets them, on the device."""
        return self.prepared(self.measured)

    def prepared(self, measured: Batch) -> Batch:
        """Any pairs as the model gets them: scaled as its training pairs were, on the device."""
        scaled = self.protocol.on(self.dataset.info.channels).normalized
        return ready(measured, self.statistics, scaled, self.device)

    def with_inputs(self, changed: Mapping[str, Tensor]) -> Batch:
        """The validation pairs as the model gets them, with other measurements of some modalities.

        Args:
            changed: Modality to these measurements, (N, C, H, W) on the CPU.
        """
        scaled = self.prepared(Batch(changed, self.measured.labels))
        return Batch({**self.valid.inputs, **scaled.inputs}, self.valid.labels)

    def probe(self, **values: Any) -> ProbeRecord:
        """The record of one value of this model; ``values`` are the fields that the probe knows."""
        record = self.record
        return ProbeRecord(
            study=record.study,
            variant=record.variant,
            model=record.model,
            family=record.family,
            stage=record.stage,
            operator=record.operator,
            embedder=record.embedder,
            modalities=record.modalities,
            reference=record.reference,
            dataset=record.dataset,
            seed=record.seed,
            profile=record.profile,
            device=record.device,
            weights_sha256=record.weights_sha256 or "",
            commit=record.environment.get("commit"),
            **values,
        )


def load_subject(record: RunRecord, dataset: PairedDataset, config: RunConfig) -> Subject:
    """The model of a record, with its weights from the run's folder.

    Raises:
        CheckpointError: Its training was not completed, or its checkpoint is not in the folder.
    """
    network = restored(record, config.results_dir, dataset, config.device)
    return Subject(network, record, dataset, config.protocol, config.device)


@lru_cache(maxsize=2)  # all models of a seed follow each other; those of the first seed are compared with all
def _valid_pairs(dataset: PairedDataset, protocol: Protocol, seed: int) -> Batch:
    return measured_sides(dataset, protocol, seed)[1]


@lru_cache
def _statistics(dataset: PairedDataset, protocol: Protocol, seed: int) -> ChannelStatistics:
    return ChannelStatistics.from_batch(measured_sides(dataset, protocol, seed)[0])
