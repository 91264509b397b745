"""How runs are made: protocols and profiles. Data only."""

import sys
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from math import inf
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import msgspec

from fusiongauge import FusionGaugeError


class OptionError(FusionGaugeError, ValueError):
    """An option or setting that cannot be used; the message names it and the values that can."""


Schedule = Literal["constant", "cosine-step", "cosine-epoch"]

Precision = Literal["fp32", "tf32", "bf16"]
FP32: Precision = "fp32"
TF32: Precision = "tf32"
BF16: Precision = "bf16"

ClassWeights = Literal["none", "balanced"]
BALANCED: ClassWeights = "balanced"

ALL = ("all",)
"""As ``Protocol.normalized``: every modality of the data."""


@dataclass(frozen=True)
class Protocol:
    """Everything that decides how a model is trained, apart from model, data set, seed and device.

    The optimizer is Adam with PyTorch's defaults. The loss is cross-entropy, binary cross-entropy for models with
    one logit; both are in nats and equal for equal predictions.

    A new field needs a default that describes what earlier versions did: records without the field then equal new
    ones (``canonical``).

    Attributes:
        pairs: Maximum number of pairs used, training and validation combined.
        valid_fraction: Share of them that validates, by groups and stratified; in (0, 1). Data that come with
            validation pairs keep these.
        test_pairs: Maximum number of pairs that are only tested on, beside ``pairs``: fresh ones where pairs are
            drawn from the seed; 0 for no test.
        test_fraction: Share of the pairs of files that tests, by groups and stratified; in [0, 1). Data that come
            with test pairs keep these.
        epochs: Passes over the training pairs; experts of a late fusion get as many each.
        batch_size: Pairs per step.
        drop_last: Whether an epoch leaves out its last batch where that is smaller.
        learning_rate: Of the first step.
        schedule: "constant"; or half a cosine down to ``final_learning_rate``, updated after every step
            ("cosine-step") or after every epoch ("cosine-epoch").
        final_learning_rate: Where a cosine ends.
        normalized: The modalities that are scaled by the channel statistics of the training pairs; ALL for those
            that the data have.
        keep_groups: Whether a group (twins, crops of one photograph) stays on one side of the split. False only in
            published protocols that ignored groups.
        valid_whole_batches: Whether validation leaves out the pairs after its last whole batch. True only in
            published protocols that did.
        precision: What convolutions and matrix products compute in: "fp32"; "tf32", which rounds their float32
            inputs to 10 bits of mantissa and needs CUDA; or "bf16", automatic mixed precision with bfloat16.
            Weights, optimizer and loss are float32 in each.
        modality_dropout: Probability with which each modality of a training pair is replaced by zeros, drawn
            anew in each epoch; in [0, 1). Of this and the next two, ``bench.training.methods`` has the formulas.
        unimodal_loss: Weight of the losses of a linear classifier on each modality's own features, which are
            added to that of the fused predictions; 0 for none.
        ogm_ge: Strength alpha of OGM-GE, which slows the modality down that predicts better alone; 0 for none.
        class_weights: "none"; or "balanced": the training loss of a pair is multiplied by n / (K n_k), with n
            training pairs of K classes, n_k of them of the pair's class. Validation and test losses, and so the
            choice of the best epoch, are not weighted.
        horizontal_flip: Probability with which all modalities of a training pair are mirrored, drawn anew in each
            epoch as all augmentation is; in [0, 1]. The x of points changes its sign. Of this and the next two,
            ``data_utils.augmentation`` has the definitions.
        random_crop: All modalities of a training pair are moved by the same random number of pixels, up to this
            one in each direction, and keep their size: a crop of the padded images. 0 for none.
        color_jitter: Brightness, contrast and saturation of the images of a training pair are each changed by a
            random factor that differs from 1 by up to this; in [0, 1], 0 for none.

    Raises:
        OptionError: A value is outside its range.
    """

    pairs: int
    valid_fraction: float
    epochs: int
    batch_size: int
    drop_last: bool
    learning_rate: float
    schedule: Schedule
    final_learning_rate: float
    normalized: tuple[str, ...]
    test_pairs: int = 0
    test_fraction: float = 0.0
    keep_groups: bool = True
    valid_whole_batches: bool = False
    precision: Precision = FP32
    modality_dropout: float = 0.0
    unimodal_loss: float = 0.0
    ogm_ge: float = 0.0
    class_weights: ClassWeights = "none"
    horizontal_flip: float = 0.0
    random_crop: int = 0
    color_jitter: float = 0.0

    def __post_init__(self) -> None:
        counts = (self.pairs, self.epochs, self.batch_size)
        if min(counts) < 1:
            raise OptionError("pairs, epochs and batch_size must be at least 1, not {}, {} and {}".format(*counts))
        if not 0 < self.valid_fraction < 1:
            raise OptionError(f"valid_fraction must lie between 0 and 1, not be {self.valid_fraction}")
        if self.test_pairs < 0 or not 0 <= self.test_fraction < 1:
            raise OptionError(
                f"test_pairs must be at least 0 and test_fraction from 0 to below 1, not {self.test_pairs} and "
                f"{self.test_fraction}"
            )
        first, last = self.learning_rate, self.final_learning_rate
        if not 0 <= last <= first < inf:
            raise OptionError(f"learning rates must be positive and fall, not go from {first} to {last}")
        if not 0 <= self.modality_dropout < 1:
            raise OptionError(f"modality_dropout is a probability below 1, not {self.modality_dropout}")
        for name in ("unimodal_loss", "ogm_ge"):
            if not 0 <= getattr(self, name) < inf:
                raise OptionError(f"{name} must be 0 or positive, not {getattr(self, name)}")
        for name in ("horizontal_flip", "color_jitter"):
            if not 0 <= getattr(self, name) <= 1:
                raise OptionError(f"{name} must be from 0 to 1, not {getattr(self, name)}")
        if self.random_crop < 0:
            raise OptionError(f"random_crop is a number of pixels, at least 0, not {self.random_crop}")

    def on(self, modalities: Mapping[str, object]) -> "Protocol":
        """The protocol with ALL resolved to the modalities of some data."""
        return replace(self, normalized=tuple(modalities)) if self.normalized == ALL else self

    def to_dict(self) -> dict[str, Any]:
        """Every setting as JSON types: the canonical form, which records hold."""
        settings: dict[str, Any] = msgspec.to_builtins(self)
        return settings | {"normalized": list(self.normalized)}

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> "Protocol":
        """The inverse of ``to_dict``; settings that this version does not know are ignored.

        Raises:
            OptionError: A setting is missing, of another type or outside its range.
        """
        try:
            return msgspec.convert(dict(settings), cls)
        except msgspec.ValidationError as error:
            raise OptionError(f"not a protocol of this version: {error}") from error

    def with_settings(self, settings: Mapping[str, str]) -> "Protocol":
        """The protocol with some fields set from text, as ``--set FIELD=VALUE`` gives them.

        Raises:
            OptionError: A field does not exist, or its value cannot be read or is outside its range.
        """
        types = get_type_hints(Protocol)
        values = {}
        for name, text in settings.items():
            if name not in types:
                raise OptionError(
                    f"--set {name}={text}: not a field of the protocol; the fields are: {', '.join(types)}"
                )
            words = [] if text == "none" else [word.strip() for word in text.split(",")]
            try:
                values[name] = msgspec.convert(words if name == "normalized" else text, types[name], strict=False)
            except msgspec.ValidationError as error:
                raise OptionError(f"--set {name}={text}: {name} is {_kind(types[name])}") from error
        try:
            return replace(self, **values)
        except OptionError as error:
            words = [f"--set {name}={text}" for name, text in settings.items()]
            raise OptionError(f"{' '.join(words)}: {error}") from error


def _kind(annotation: Any) -> str:
    """What a field of a protocol holds, in words."""
    kinds = {int: "a whole number", float: "a number", bool: "true or false"}
    return kinds.get(annotation, f"one of {', '.join(map(str, get_args(annotation)))}")


def canonical(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A record's protocol with the defaults of the fields that its version did not have, for comparisons."""
    defaults = {f.name: f.default for f in fields(Protocol) if f.default is not MISSING}
    return {**defaults, **settings}


@dataclass(frozen=True)
class Profile:
    """How much of a protocol is run.

    Attributes:
        name: As in ``--profile`` and in records.
        simulated_pairs: Upper limit of the pairs that a simulator makes.
        pairs: Upper limit of the pairs drawn from files. Larger: real classes are more, harder and uneven.
        test_pairs: Upper limit of the test pairs.
        epochs: Upper limit of the protocol's epochs.
        rounds: Minimum number of repetitions when a cost is measured.
        batch: Upper limit of the batch size in these measurements.
    """

    name: str
    simulated_pairs: int
    pairs: int
    test_pairs: int
    epochs: int
    rounds: int
    batch: int

    def shorten(self, protocol: Protocol, *, simulated: bool) -> Protocol:
        """The protocol with no more pairs, test pairs and epochs than this profile allows."""
        limit = self.simulated_pairs if simulated else self.pairs
        return replace(
            protocol,
            pairs=min(protocol.pairs, limit),
            test_pairs=min(protocol.test_pairs, self.test_pairs),
            epochs=min(protocol.epochs, self.epochs),
        )


_ANY = sys.maxsize

SMOKE = Profile("smoke", simulated_pairs=80, pairs=400, test_pairs=80, epochs=2, rounds=1, batch=32)
# 1,000 test pairs are answered in the time of some 15 training steps; a share of 0.9 has a standard error of 0.01.
QUICK = Profile("quick", simulated_pairs=800, pairs=2_400, test_pairs=1_000, epochs=4, rounds=3, batch=_ANY)
FULL = Profile("full", simulated_pairs=_ANY, pairs=_ANY, test_pairs=_ANY, epochs=_ANY, rounds=10, batch=_ANY)

PROFILES = {profile.name: profile for profile in (SMOKE, QUICK, FULL)}

STANDARD = Protocol(
    pairs=10_000,
    valid_fraction=0.2,
    test_pairs=4_000,
    test_fraction=0.2,
    epochs=20,
    batch_size=32,
    drop_last=False,
    learning_rate=1e-3,
    schedule="cosine-step",
    final_learning_rate=1e-6,
    normalized=ALL,
)
"""The protocol of the standard study: one for all models, so that rows differ in the model alone."""

DEFAULT_STUDY = "standard"
"""What ``pytest bench`` runs."""

FIRST_SEED = 51
"""The seed of all published runs; ``--seeds N`` counts from here."""


@dataclass(frozen=True)
class RunConfig:
    """The settings of one run, apart from model, data and seed; what only describes it goes into its record.

    Attributes:
        protocol: How the model is trained.
        device: "cpu", "cuda" or "cuda:N".
        results_dir: The folder that the checkpoint is written to (``checkpoints/`` in it); None to write none.
        dataset: Where the data came from, a registered name or a path.
        profile: Name of the profile.
        study: Name of the study; ``question`` is the study's.
        variant: Which of the study's protocols, with the settings that were changed.
        changed: These settings alone, as in "epochs=3"; "" for a protocol as declared.
        reference: The embedder that others are compared with in the study's tables.
        as_published: Whether the protocol kept the original's mistakes.
        claims: The hashes of the claims that the run is evidence for, by name.
        command: Runs the cell again; "" for runs that no command made.
    """

    protocol: Protocol
    device: str = "cpu"
    results_dir: Path | None = None
    dataset: str = ""
    profile: str = FULL.name
    study: str = "python"
    question: str = ""
    variant: str = ""
    changed: str = ""
    reference: str = "maxpool"
    as_published: bool = False
    claims: Mapping[str, str] = field(default_factory=dict, hash=False)
    command: str = ""
