"""Accuracy of a trained model under every corruption of its data."""

import torch

from bench.metrics import accuracy
from bench.probes.corruptions import TOGETHER, corrupted_together, corruptions_of
from bench.probes.subject import Subject
from bench.records import ProbeRecord
from bench.training.seeding import deterministic
from data_utils import Batch


def measure(subject: Subject) -> list[ProbeRecord]:
    """The accuracy at every level of every corruption, level by level.

    Inputs that a corruption leaves unchanged, bit by bit or because the model does not use the modality, are not
    evaluated again.

    Raises:
        PluginError: A corruption is faulty.
    """

    def accuracy_on(batch: Batch) -> float:
        return accuracy(subject.predict(batch), batch.labels)

    probe, probes = subject.records_of("robustness"), []
    with deterministic(subject.protocol.precision):
        clean = accuracy_on(subject.measured)
        for corruption in corruptions_of(subject.dataset):
            seen = set(corruption.modality.split(TOGETHER)) & set(subject.record.modalities)
            for level in corruption.levels:
                value = clean
                if seen:
                    seed, statistics, measured = subject.record.seed, subject.statistics, subject.measured
                    values = corrupted_together(corruption, subject.dataset, measured, level, seed, statistics)
                    if any(not torch.equal(values[modality], measured.inputs[modality]) for modality in seen):
                        value = accuracy_on(subject.with_inputs(values))
                probes.append(
                    probe(
                        probe=corruption.name,
                        level=level,
                        level_unit=corruption.unit,
                        metric="accuracy",
                        value=value,
                        samples=len(subject.measured),
                    )
                )
    return probes
