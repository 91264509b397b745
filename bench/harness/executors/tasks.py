"""What travels between the session and its workers."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.config import RunConfig
from bench.records import RunRecord

if TYPE_CHECKING:
    from bench.training.trainer import EpochResult
    from fusion_models import ModelSpec


@dataclass(frozen=True)
class Versions:
    """What a worker must share with the session, so that its results are those of the session.

    Attributes:
        code_sha256: Of the code that decides results, plug-ins included.
        torch: Its version, with the build.
    """

    code_sha256: str
    torch: str

    def differences(self, other: Versions) -> str:
        """How another process differs, in words; "" if it does not."""
        different = []
        if other.torch != self.torch:
            different.append(f"torch {other.torch} instead of {self.torch}")
        if other.code_sha256 != self.code_sha256:
            different.append(f"code {other.code_sha256[:12]} instead of {self.code_sha256[:12]}")
        return " and ".join(different)


@dataclass(frozen=True)
class Task:
    """A cell to train.

    Attributes:
        name: Of the cell.
        model: Or the name of a model that is a plug-in's function, which does not travel itself.
        seed: Of all random streams.
        config: Without a folder; its device is that of the worker.
        loading: Arguments of ``data_utils.open_source``, beside the name of the data and the cache.
        data_sha256: Of the data that it has to be trained on.
        cache_bytes: How much of simulated data a node keeps.
        world: Equal for cells that are trained on the same pairs.
        expected_seconds: Of its training.
    """

    name: str
    model: ModelSpec | str
    seed: int
    config: RunConfig
    loading: Mapping[str, Any]
    data_sha256: str
    cache_bytes: int
    world: Hashable
    expected_seconds: float


@dataclass(frozen=True)
class Ready:
    """A worker can train."""

    node: str


@dataclass(frozen=True)
class Refused:
    """A worker cannot be used, nor can any other of its node."""

    node: str
    reason: str


@dataclass(frozen=True)
class DataNeeded:
    """The worker does not have the task's data; it has not begun."""


@dataclass(frozen=True)
class Trained:
    """A cell that ended.

    Attributes:
        record: As in a run in one process.
        epochs: Of all stages, in order.
        weights: The content of the checkpoint; None where there is none.
        samples: The content of the file of sample predictions; None where there is none.
        notes: What failed beside the result, a sentence each.
        seconds: That the run took the worker, without data that it had to load.
    """

    record: RunRecord
    epochs: tuple[EpochResult, ...]
    weights: bytes | None
    samples: bytes | None
    notes: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Raised:
    """A cell that raised.

    Attributes:
        reason: The type of the error and its message.
        traceback: Of the worker.
    """

    reason: str
    traceback: str


@dataclass(frozen=True)
class Gone:
    """A worker that does not exist any more; whatever it trained is lost."""

    reason: str


Message = Ready | Refused | DataNeeded | Trained | Raised | Gone
"""What a worker says, or what becomes of it."""
