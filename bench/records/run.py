"""The record of one run: all that is known of it. results/README.md lists the fields.

A record is raw: no rounding, seconds and bytes, lists of all epochs. It is enough by itself: tables, figures and
verdicts are computed from records alone.
"""

from typing import Any

import msgspec

from bench.records.metric import Metric

SCHEMA_VERSION = 5
FILE_NAME = "records.jsonl"

CHECKPOINTS = "checkpoints"
"""The folder of checkpoints in a run's folder."""

COMPLETED, DIVERGED, FAILED = "completed", "diverged", "failed"


def without_changes(variant: str, changed: str) -> str:
    """The name of a study's protocol, from its name with the settings that were changed, and these settings."""
    return variant.removesuffix(changed).removesuffix(",")


class Pretraining(msgspec.Struct, frozen=True, kw_only=True):
    """The training of one modality's expert, before the fusion of experts.

    Attributes:
        modality: Its name.
        train_losses: Per epoch, mean over the training pairs, in nats; ``valid_losses`` over all validation pairs.
        best_epoch: With the lowest validation loss, counted from 1; ``valid_accuracy`` is of it, in [0, 1].
        epoch_seconds: Training alone, per epoch.
    """

    modality: str
    train_losses: list[float]
    valid_losses: list[float]
    best_epoch: int
    valid_accuracy: float
    epoch_seconds: list[float]


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one run. Fields that an unfinished run never reached are None.

    Attributes:
        schema_version: Of this list of fields.
        started_at: ISO 8601, UTC.
        model: Its name; ``family``, ``stage``, ``operator``, ``embedder``, ``modalities`` are its parts.
        study: What it was run for; ``question`` is the study's.
        variant: Which of the study's protocols, with settings changed by ``--set``; "" for its only one.
        changed: These settings alone, as in "epochs=3"; "" for a protocol as declared, and in records made before
            the field was.
        reference: The embedder that others are compared with in this study's tables.
        as_published: Whether the protocol kept the original's mistakes.
        dataset: Its short name; ``simulated`` tells whether it is simulated, None where that is unknown.
        drawn: Whether the pairs were made for this seed; otherwise each seed divides the same ones. None before
            the field was, when ``simulated`` stood for it.
        dataset_notes: What its reader left out or noticed.
        classes: Their number; ``class_names`` in the order of labels.
        channels: Of each modality of the data; ``image_size``: rows and columns of all of them.
        train_pairs: Used for training; ``valid_pairs`` for choosing the best epoch; ``test_pairs`` for reporting:
            0 for none, None where the version had no test.
        class_counts: The pairs of each class, in the order of labels, by part: "train", "valid", "test".
        seed: Of all random streams.
        profile: Its name; ``protocol``: every setting, as run.
        device: "cpu" or "cuda"; ``environment`` tells which.
        status: "completed", "diverged" (a loss was not finite) or "failed" (``error`` is the reason).
        parameters: Weights and biases; ``trainable_parameters``: those that the last stage of training changes.
        train_losses: Per epoch, mean over the training pairs, in nats.
        valid_losses: Per epoch, over all validation pairs after it; ``valid_accuracies`` likewise.
        learning_rates: Of each epoch's first step.
        best_epoch: With the lowest validation loss, counted from 1.
        best_valid_loss: Of that epoch; ``valid_accuracy`` and ``valid_metrics`` (every metric) too.
        valid_confusion: Of that epoch, the number of pairs of each class, in rows, that each class was predicted
            for, in columns, in the order of labels; ``valid_class_accuracies``: the share of each class that is
            right, None for a class without pairs.
        test_loss: Of that epoch's weights over the test pairs, which nothing was chosen by; ``test_accuracy`` and
            ``test_metrics`` (every metric), ``test_confusion`` and ``test_class_accuracies`` too. None without
            test pairs.
        metrics: The declarations of the metrics in ``valid_metrics`` and ``test_metrics``.
        train_accuracy: Over all training pairs, with that epoch's weights.
        epoch_seconds: Training alone, per epoch.
        pretraining: The experts trained before, for late fusion of experts; their epochs are not among the lists
            above.
        train_seconds: Sum of all epochs, experts included.
        total_seconds: Of the whole run: making the pairs, measuring, training, validating, testing, writing.
        other_load: Cores that other processes kept busy meanwhile, on average; for fusion of experts, in the
            stage of training in which these were most. None where nobody counts them.
        target_accuracy: The validation accuracy that ``seconds_to_target`` is about.
        seconds_to_target: Training time, experts included, until an epoch first ended with it; None if none did.
        flops_per_step: Floating-point operations of one step of the last stage of training, a multiply-add
            counted as two; of a whole batch (all training pairs if these are fewer), and of convolutions and
            matrix products alone.
        ceiling: The device's own limits measured in the same session, ``flops_per_second`` and
            ``bytes_per_second``.
        peak_memory_bytes: Of one training step; ``peak_memory_method`` tells what was counted.
        peak_reserved_bytes: What CUDA's caching allocator held for it; None on a CPU.
        weights_sha256: Of the best epoch's weights.
        checkpoint: File name in the run's folder of checkpoints; None if none was written.
        data_sha256: Of what the pairs of all seeds come from: the content of files, or the settings and the code
            that make pairs. Up to version 4 of the content in any case.
        train_sha256: Of the content of the training pairs; ``valid_sha256`` and ``test_sha256`` likewise.
        code_sha256: Of the code that decides the result, plug-ins included.
        plugins: The files of the plug-ins that were loaded.
        claims: The hashes of the claims that this run is evidence for, by name, as they were declared before it.
        command: Runs this cell again, in the project's folder; "" where it was not run by a command.
        environment: Versions, machine, device, threads, commit.
    """

    schema_version: int = SCHEMA_VERSION
    started_at: str
    model: str
    family: str
    stage: str
    operator: str
    embedder: str
    modalities: list[str]
    study: str
    question: str = ""
    variant: str
    changed: str = ""
    reference: str = "maxpool"
    as_published: bool = False
    dataset: str
    simulated: bool | None = None
    drawn: bool | None = None
    dataset_notes: list[str]
    classes: int
    class_names: list[str]
    channels: dict[str, int] | None = None
    image_size: list[int] | None = None
    train_pairs: int | None = None
    valid_pairs: int | None = None
    test_pairs: int | None = None
    class_counts: dict[str, list[int]] | None = None
    seed: int
    profile: str
    protocol: dict[str, Any]
    device: str
    status: str
    error: str | None = None
    parameters: int | None = None
    trainable_parameters: int | None = None
    train_losses: list[float | None]
    valid_losses: list[float | None]
    valid_accuracies: list[float]
    learning_rates: list[float]
    best_epoch: int | None = None
    best_valid_loss: float | None = None
    valid_accuracy: float | None = None
    valid_metrics: dict[str, float | None] | None = None
    valid_confusion: list[list[int]] | None = None
    valid_class_accuracies: list[float | None] | None = None
    test_loss: float | None = None
    test_accuracy: float | None = None
    test_metrics: dict[str, float | None] | None = None
    test_confusion: list[list[int]] | None = None
    test_class_accuracies: list[float | None] | None = None
    metrics: list[Metric] = []
    train_accuracy: float | None = None
    epoch_seconds: list[float]
    pretraining: list[Pretraining]
    train_seconds: float | None = None
    total_seconds: float | None = None
    other_load: float | None = None
    target_accuracy: float | None = None
    seconds_to_target: float | None = None
    flops_per_step: int | None = None
    ceiling: dict[str, float] | None = None
    peak_memory_bytes: int | None = None
    peak_memory_method: str | None = None
    peak_reserved_bytes: int | None = None
    weights_sha256: str | None = None
    checkpoint: str | None = None
    data_sha256: str | None = None
    train_sha256: str | None = None
    valid_sha256: str | None = None
    test_sha256: str | None = None
    code_sha256: str | None = None
    plugins: list[str] = []
    claims: dict[str, str] = {}
    command: str = ""
    environment: dict[str, Any]

    @property
    def strategy(self) -> str:
        """The model's name without its embedder: what paired models have in common."""
        return self.model.removesuffix(f"-{self.embedder}") if self.embedder else self.model

    @property
    def declared_variant(self) -> str:
        """Which of the study's protocols, without the settings that were changed."""
        return without_changes(self.variant, self.changed)

    @property
    def ended(self) -> bool:
        """Whether the run trained to its end, or until its loss was not finite any more."""
        return self.status in (COMPLETED, DIVERGED)

    @property
    def label(self) -> str:
        """The model's name with the variant before it: its name within a study."""
        return f"{self.variant} {self.model}".strip()
