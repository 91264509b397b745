import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.records import RunRecord, SampleRecord
from bench.tables import TextTable
from bench.tracking import Shield
from bench.training.runs import run
from bench.training.trainer import EpochResult
from tests.bench.samples import MODEL, SMALL, small_dataset
from tests.bench.tracking.session import CONFIG, FIRST, RECORD, SAMPLES

CALLS = ["begin", "epoch", "end", "close"]


class Planted:
    """Notes its calls, and misbehaves in one of its methods."""

    def __init__(self, where: str = "", misbehave: Callable[[], None] = lambda: None) -> None:
        self.calls: list[str] = []
        self.samples: list[Sequence[SampleRecord]] = []
        self._where, self._misbehave = where, misbehave

    def begin(self, name: str, config: Mapping[str, Any]) -> None:  # noqa: ARG002
        self._note("begin")

    def epoch(self, result: EpochResult) -> None:  # noqa: ARG002
        self._note("epoch")

    def end(self, record: RunRecord | None, samples: Sequence[SampleRecord]) -> None:  # noqa: ARG002
        self.samples.append(samples)
        self._note("end")

    def close(self, records: Sequence[RunRecord], tables: Mapping[str, Sequence[TextTable]]) -> list[str]:  # noqa: ARG002
        self._note("close")
        return ["look here"]

    def _note(self, method: str) -> None:
        self.calls.append(method)
        if method == self._where:
            self._misbehave()


def raise_something() -> None:
    raise ConnectionError("the server\nis gone")


def warn() -> None:
    warnings.warn("this package is old", DeprecationWarning, stacklevel=1)


def tell(shield: Shield) -> None:
    for _ in range(2):
        shield.begin("a cell", CONFIG)
        shield.epoch(FIRST)
        shield.end(RECORD, SAMPLES)
    shield.close([RECORD], {})


def shield_of(folder: Path, **trackers: Planted) -> Shield:
    def making(tracker: Planted) -> Callable[[Path], Planted]:
        return lambda _: tracker

    return Shield({name: making(tracker) for name, tracker in trackers.items()}, folder)


def test_everything_is_passed_on_to_every_tracker(tmp_path: Path) -> None:
    one, other = Planted(), Planted()
    shield = shield_of(tmp_path, one=one, other=other)
    tell(shield)
    assert one.calls == other.calls == [*["begin", "epoch", "end"] * 2, "close"]
    assert one.samples == [SAMPLES, SAMPLES]
    assert shield.notes == ["look here", "look here"]


@pytest.mark.parametrize("where", CALLS)
def test_a_tracker_that_raises_is_reported_once_and_disabled(where: str, tmp_path: Path) -> None:
    broken, sound = Planted(where, raise_something), Planted()
    shield = shield_of(tmp_path, broken=broken, sound=sound)
    tell(shield)
    whole = [*["begin", "epoch", "end"] * 2, "close"]
    assert broken.calls == whole[: whole.index(where) + 1]
    assert sound.calls == whole
    note = "--track broken failed and was disabled: ConnectionError: the server is gone"
    assert sorted(shield.notes) == [note, "look here"]


def test_a_tracker_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    def make(folder: Path) -> Planted:
        raise PermissionError(f"cannot write {folder}")

    shield = Shield({"broken": make}, tmp_path)
    tell(shield)
    assert shield.notes == [f"--track broken failed and was disabled: PermissionError: cannot write {tmp_path}"]


@pytest.mark.parametrize("where", CALLS)
def test_a_warning_of_a_tracker_is_no_failure(where: str, tmp_path: Path) -> None:
    warning = Planted(where, warn)
    shield = shield_of(tmp_path, warning=warning)
    tell(shield)  # in these tests warnings are errors
    assert warning.calls[-1] == "close"
    assert shield.notes == ["look here"]


def test_an_interruption_is_not_held_back(tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    shield = shield_of(tmp_path, one=Planted("epoch", interrupt))
    with pytest.raises(KeyboardInterrupt):
        tell(shield)


def test_a_slow_tracker_is_outside_the_timed_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a timer that only the tracker moves, epochs take no time."""
    now = [0.0]

    def sleep() -> None:
        now[0] += 1_000

    monkeypatch.setattr("bench.training.trainer.time", SimpleNamespace(perf_counter=lambda: now[0]))
    slow = shield_of(tmp_path, slow=Planted("epoch", sleep))
    ended = run(MODEL, small_dataset(), protocol=SMALL, observe=slow.epoch)
    assert ended.epoch_seconds == [0.0, 0.0]
    assert now == [2_000]
