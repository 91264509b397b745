"""Hand-made records of models that nothing here knows, and what is made of them."""

from typing import Any, TypeVar

import msgspec

from bench.records import RunRecord
from tests.bench.samples import record

EMBEDDERS = ("maxpool", "strided", "blurpool", "average", "wavelet", "lip", "spd", "softpool", "antialias")


T = TypeVar("T")


def made(shown: T | None) -> T:
    """A table or figure that must be there."""
    assert shown is not None
    return shown


def foreign(model: str, **changes: Any) -> RunRecord:
    """A completed run of a model that is not registered, with the parts of compact-late-concat-strided."""
    return msgspec.structs.replace(record(), model=model, **changes)


def embedded(embedder: str, strategy: str = "compact-late-concat", **changes: Any) -> RunRecord:
    """A completed run of a strategy with any embedder."""
    return foreign(f"{strategy}-{embedder}", embedder=embedder, **changes)
