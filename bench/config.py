"""What a run is asked to do: protocol, profile, and the options of one session. Data only."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Protocol:
    """All that decides how a model is trained, apart from model, data set, seed and device.

    The optimizer is Adam with PyTorch's defaults. The learning rate falls from ``learning_rate`` to
    ``final_learning_rate`` along half a cosine, a little after every step. The loss is cross-entropy, binary
    cross-entropy for models with one logit; both are in nats and equal for equal predictions.

    Attributes:
        pairs: at most so many pairs of the data set are used, training and validation together.
        valid_fraction: share of them that validates, by groups and stratified; in (0, 1).
        epochs: passes over the training pairs; experts of a late fusion get as many each.
        batch_size: pairs a step; the last batch of an epoch may be smaller and is used.
        learning_rate: of the first step.
        final_learning_rate: after the last step.
        normalize: whether inputs are scaled by the channel statistics of the training pairs.
    """

    pairs: int
    valid_fraction: float
    epochs: int
    batch_size: int
    learning_rate: float
    final_learning_rate: float
    normalize: bool

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
        pairs: upper limit of the protocol's pairs.
        epochs: upper limit of the protocol's epochs.
    """

    name: str
    pairs: int
    epochs: int

    def shorten(self, protocol: Protocol) -> Protocol:
        """The protocol with no more pairs and epochs than this profile allows."""
        return replace(protocol, pairs=min(protocol.pairs, self.pairs), epochs=min(protocol.epochs, self.epochs))


SMOKE = Profile("smoke", pairs=80, epochs=2)
QUICK = Profile("quick", pairs=800, epochs=4)
FULL = Profile("full", pairs=sys.maxsize, epochs=sys.maxsize)

PROFILES = {profile.name: profile for profile in (SMOKE, QUICK, FULL)}

STANDARD = Protocol(
    pairs=10_000,
    valid_fraction=0.2,
    epochs=20,
    batch_size=32,
    learning_rate=1e-3,
    final_learning_rate=1e-6,
    normalize=True,
)
"""The protocol of ``pytest bench``: one for all models, so that rows differ in the model alone."""

FIRST_SEED = 51
"""The seed of all published runs; ``--seeds N`` counts from here."""


@dataclass(frozen=True)
class RunConfig:
    """The options of one session, resolved: below this nobody reads options or the environment.

    Attributes:
        profile: how much is run.
        dataset: a name of ``data_utils.DATASETS`` or a path.
        device: "cpu", "cuda" or "cuda:N".
        seeds: one run of every model for each.
        results_dir: the folder of this run.
        tracker: a name of ``bench.tracking.TRACKERS``.
    """

    profile: Profile
    dataset: str
    device: str
    seeds: tuple[int, ...]
    results_dir: Path
    tracker: str

    @property
    def protocol(self) -> Protocol:
        """The protocol of this session's runs."""
        return self.profile.shorten(STANDARD)
