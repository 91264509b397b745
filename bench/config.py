"""What a run is asked to do: protocol, profile, and where its data and results are. Data only."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Protocol:
    """All that decides how a model is trained, apart from model, data set, seed and device.

    The optimizer is Adam with PyTorch's defaults. The loss is cross-entropy, binary cross-entropy for models
    with one logit; both are in nats and equal for equal predictions.

    Attributes:
        pairs: at most so many pairs of the data set are used, training and validation together.
        valid_fraction: share of them that validates, by groups and stratified; in (0, 1).
        epochs: passes over the training pairs; experts of a late fusion get as many each.
        batch_size: pairs a step.
        drop_last: whether an epoch leaves out its last batch where that is smaller; if not, it is used.
        learning_rate: of the first step.
        schedule: "constant"; or half a cosine down to ``final_learning_rate``, a little after every step
            ("cosine-step") or after every epoch ("cosine-epoch").
        final_learning_rate: where a cosine ends.
        normalized: the modalities that are scaled by the channel statistics of the training pairs.
        keep_groups: whether a group (twins, crops of one photograph) stays on one side of the split. Only
            published protocols that did not care have this off.
        valid_whole_batches: whether validation leaves out the pairs behind its last whole batch. Only published
            protocols that did have this on.
    """

    pairs: int
    valid_fraction: float
    epochs: int
    batch_size: int
    drop_last: bool
    learning_rate: float
    schedule: Literal["constant", "cosine-step", "cosine-epoch"]
    final_learning_rate: float
    normalized: tuple[str, ...]
    keep_groups: bool = True
    valid_whole_batches: bool = False

    def __post_init__(self) -> None:
        if min(self.pairs, self.epochs, self.batch_size) < 1:
            raise ValueError(f"pairs, epochs and batch_size must be at least 1: {self}")
        if not 0 < self.valid_fraction < 1:
            raise ValueError(f"valid_fraction must lie between 0 and 1: {self}")
        if not 0 <= self.final_learning_rate <= self.learning_rate:
            raise ValueError(f"learning rates must be positive and fall: {self}")


@dataclass(frozen=True)
class Profile:
    """How much of a protocol is run.

    Attributes:
        name: as in ``--profile`` and in records.
        simulated_pairs: upper limit of the pairs that a simulator makes.
        pairs: upper limit of the pairs drawn from files. Larger: real classes are more, harder and uneven.
        epochs: upper limit of the protocol's epochs.
        rounds: how often at least a cost is measured beside the trainings.
        batch: upper limit of the pairs that this is done with at a time.
    """

    name: str
    simulated_pairs: int
    pairs: int
    epochs: int
    rounds: int
    batch: int

    def shorten(self, protocol: Protocol, *, simulated: bool) -> Protocol:
        """The protocol with no more pairs and epochs than this profile allows."""
        limit = self.simulated_pairs if simulated else self.pairs
        return replace(protocol, pairs=min(protocol.pairs, limit), epochs=min(protocol.epochs, self.epochs))


SMOKE = Profile("smoke", simulated_pairs=80, pairs=400, epochs=2, rounds=1, batch=32)
QUICK = Profile("quick", simulated_pairs=800, pairs=2_400, epochs=4, rounds=3, batch=sys.maxsize)
FULL = Profile(
    "full", simulated_pairs=sys.maxsize, pairs=sys.maxsize, epochs=sys.maxsize, rounds=10, batch=sys.maxsize
)

PROFILES = {profile.name: profile for profile in (SMOKE, QUICK, FULL)}

STANDARD = Protocol(
    pairs=10_000,
    valid_fraction=0.2,
    epochs=20,
    batch_size=32,
    drop_last=False,
    learning_rate=1e-3,
    schedule="cosine-step",
    final_learning_rate=1e-6,
    normalized=("rgb", "lidar"),
)
"""The protocol of the standard study: one for all models, so that rows differ in the model alone."""

FIRST_SEED = 51
"""The seed of all published runs; ``--seeds N`` counts from here."""


@dataclass(frozen=True)
class RunConfig:
    """What one run is asked for, apart from model, data and seed.

    Attributes:
        profile: name of the profile, for the record.
        study: name of the study the run belongs to, and ``variant``, which of its protocols; for the record.
        protocol: how the model is trained.
        dataset: where the data came from, a name of ``data_utils.DATASETS`` or a path.
        device: "cpu", "cuda" or "cuda:N".
        results_dir: the folder that the checkpoint is written to (``checkpoints/`` in it).
    """

    profile: str
    study: str
    variant: str
    protocol: Protocol
    dataset: str
    device: str
    results_dir: Path
