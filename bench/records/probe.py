"""The record of one value that a probe measured on a trained model; ``probes.jsonl`` in a run's folder holds them.

Values are raw. Summaries over levels, layers and seeds are computed from them.
"""

import msgspec

SCHEMA_VERSION = 2
FILE_NAME = "probes.jsonl"


class ProbeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One value of one probe.

    Attributes:
        schema_version: Of this list of fields.
        started_at: ISO 8601, UTC; the same for all values of one probe of one model.
        study: The study it belongs to; ``variant``: which of the study's protocols, "" for its only one.
        model: Its name; ``family``, ``stage``, ``operator``, ``embedder``, ``modalities`` are its parts.
        reference: The embedder that others are compared with in this study's tables.
        dataset: The data set's short name.
        seed: Of the training; probes draw from streams of the same seed.
        profile: Name of the profile; ``device``: "cpu" or "cuda", which the probe ran on.
        benchmark: "robustness" or "features", or the name of another benchmark of probes.
        probe: What was done: the name of a corruption, or of a feature probe.
        level: The severity, 0 for none; None for probes without levels. ``level_unit``: of the level, "" for none.
        metric: What ``value`` is; ``unit``: of the value, "" for a share.
        layer: Of the network, by the name of its module; "" for the whole model.
        other_seed: The seed of the model that it was compared with; None for no other model.
        value: Finite.
        samples: Number of pairs that the value is over.
        weights_sha256: Of the probed weights, as in the record of their training.
        values: How many values its benchmark measured on the model together; None in records of earlier versions.
        code_sha256: Of the code that decides the value, plug-ins included; likewise.
        commit: Of the checkout; None outside of one.
    """

    schema_version: int = SCHEMA_VERSION
    started_at: str
    study: str
    variant: str
    model: str
    family: str = ""
    stage: str = ""
    operator: str = ""
    embedder: str = ""
    modalities: list[str] = []
    reference: str = "maxpool"
    dataset: str
    seed: int
    profile: str
    device: str
    benchmark: str
    probe: str
    level: float | None = None
    level_unit: str = ""
    metric: str
    unit: str = ""
    layer: str = ""
    other_seed: int | None = None
    value: float
    samples: int
    weights_sha256: str
    values: int | None = None
    code_sha256: str | None = None
    commit: str | None = None

    @property
    def strategy(self) -> str:
        """The model's name without its embedder: what paired models have in common."""
        return self.model.removesuffix(f"-{self.embedder}") if self.embedder else self.model

    @property
    def label(self) -> str:
        """The model's name with the variant before it: its name within a study."""
        return f"{self.variant} {self.model}".strip()
