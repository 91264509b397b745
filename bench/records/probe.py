"""One measured value of a trained model; ``probes.jsonl`` in a run's folder holds a line for each.

Values are raw. Summaries over levels, layers and seeds are computed from them (``robustness``, ``tables``).
"""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from bench.records import files as jsonlines
from bench.records.files import RecordError

SCHEMA_VERSION = 1
FILE_NAME = "probes.jsonl"


@dataclass(frozen=True, kw_only=True)
class ProbeRecord:
    """One value that one probe found.

    Attributes:
        schema_version: of this list of fields.
        started_at: ISO 8601, UTC; the same for all that one probe found of one model.
        study: the study it belongs to; ``variant``: which of the study's protocols, "" for its only one.
        model: the row's name.
        dataset: the data set's short name.
        seed: of the training; probes draw from streams of the same seed.
        profile: name of the profile; ``device``: "cpu" or "cuda", which the probe ran on.
        benchmark: a name of ``bench.probes.PROBES``: "robustness" or "features".
        probe: what was done: a name of ``robustness.CORRUPTIONS``, or one of ``features``.
        level: how much of it, 0 for nothing; None where there is no more and less. ``level_unit``: of the level,
            "" where there is none.
        metric: what ``value`` is; ``unit``: of the value, "" for a share.
        layer: of the network, by the name of its module; "" for the whole model.
        other_seed: the seed of the model that it was compared with; None for no other model.
        value: finite.
        samples: how many pairs the value is over.
        weights_sha256: of the weights that were probed, as in the record of their training.
        commit: of the checkout; None outside of one.
    """

    schema_version: int = SCHEMA_VERSION
    started_at: str
    study: str
    variant: str
    model: str
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
    commit: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The record as plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ProbeRecord":
        """The inverse of ``to_dict``.

        Raises:
            RecordError: another schema, or fields that are missing or unknown.
        """
        schema = values.get("schema_version")
        if schema != SCHEMA_VERSION:
            raise RecordError(
                f"has schema version {schema}, this FusionGauge reads probes of version {SCHEMA_VERSION}; "
                "run the probes again, or read them with the version that wrote them"
            )
        unknown = values.keys() - {field.name for field in fields(cls)}
        if unknown:
            raise RecordError(f"has unknown fields: {', '.join(sorted(unknown))}")
        try:
            return cls(**values)
        except TypeError as error:
            raise RecordError(f"lacks fields: {error}") from error


def append(path: Path, record: ProbeRecord) -> None:
    """Add one line to a file of probes and have it on the disk before returning."""
    jsonlines.append(path, record.to_dict())


def read(path: Path) -> list[ProbeRecord]:
    """All records of a file, in the order they were written; none where no probe has run, so no file is there.

    Raises:
        RecordError: a line cannot be read.
    """
    return jsonlines.read(path, ProbeRecord.from_dict) if path.is_file() else []
