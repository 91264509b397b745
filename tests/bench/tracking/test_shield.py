import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.records.run import RunRecord
from bench.tables import TextTable
from bench.tracking import Shield
from bench.training.runs import run
from bench.training.samples import Prediction, SamplesError
from bench.training.trainer import EpochResult
from tests.bench.samples import MODEL, run_config, small_dataset
from tests.bench.tracking.told import CONFIG, FIRST, RECORD, SAMPLES

CALLS = ["begin", "epoch", "end", "close"]


class Planted:
    """Notes what it is told, and misbehaves as asked to in one of its methods."""

    def __init__(self, where: str = "", misbehave: Callable[[], None] = lambda: None) -> None:
        self.told: list[str] = []
        self.samples: list[Sequence[Prediction]] = []
        self._where, self._misbehave = where, misbehave

    def begin(self, name: str, config: Mapping[str, Any]) -> None:  # noqa: ARG002
        self._note("begin")

    def epoch(self, result: EpochResult) -> None:  # noqa: ARG002
        self._note("epoch")

    def end(self, record: RunRecord | None, samples: Sequence[Prediction]) -> None:  # noqa: ARG002
        self.samples.append(samples)
        self._note("end")

    def close(self, records: Sequence[RunRecord], tables: Mapping[str, Sequence[TextTable]]) -> list[str]:  # noqa: ARG002
        self._note("close")
        return ["look here"]

    def _note(self, method: str) -> None:
        self.told.append(method)
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
        shield.end(RECORD, lambda: SAMPLES)
    shield.close([RECORD], {})


def shield(folder: Path, **trackers: Planted) -> Shield:
    def making(tracker: Planted) -> Callable[[Path], Planted]:
        return lambda _: tracker

    return Shield({name: making(tracker) for name, tracker in trackers.items()}, folder)


def test_everything_is_passed_on_to_every_tracker(tmp_path: Path) -> None:
    one, other = Planted(), Planted()
    made = shield(tmp_path, one=one, other=other)
    tell(made)
    assert one.told == other.told == [*["begin", "epoch", "end"] * 2, "close"]
    assert one.samples == [SAMPLES, SAMPLES]
    assert made.notes == ["look here", "look here"]


@pytest.mark.parametrize("where", CALLS)
def test_a_tracker_that_raises_is_off_from_then_on_and_said_once(where: str, tmp_path: Path) -> None:
    broken, sound = Planted(where, raise_something), Planted()
    made = shield(tmp_path, broken=broken, sound=sound)
    tell(made)
    whole = [*["begin", "epoch", "end"] * 2, "close"]
    assert broken.told == whole[: whole.index(where) + 1]
    assert sound.told == whole
    said = "--track broken failed and was off from then on: ConnectionError: the server is gone"
    assert sorted(made.notes) == [said, "look here"]


def test_a_tracker_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    def make(folder: Path) -> Planted:
        raise PermissionError(f"cannot write {folder}")

    made = Shield({"broken": make}, tmp_path)
    tell(made)
    assert made.notes == [
        f"--track broken failed and was off from then on: PermissionError: cannot write {tmp_path}"
    ]


@pytest.mark.parametrize("where", CALLS)
def test_a_warning_of_a_tracker_is_no_failure(where: str, tmp_path: Path) -> None:
    warning = Planted(where, warn)
    made = shield(tmp_path, warning=warning)
    tell(made)  # our tests make errors of warnings, as our benchmarks do
    assert warning.told[-1] == "close"
    assert made.notes == ["look here"]


def test_an_interruption_is_not_held_back(tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    made = shield(tmp_path, one=Planted("epoch", interrupt))
    with pytest.raises(KeyboardInterrupt):
        tell(made)


def test_samples_that_cannot_be_had_are_said_once_and_the_tracker_stays(tmp_path: Path) -> None:
    def no_samples() -> list[Prediction]:
        raise SamplesError("The run wrote no checkpoint.")

    one = Planted()
    made = shield(tmp_path, one=one)
    for _ in range(2):
        made.end(RECORD, no_samples)
    assert one.samples == [[], []]
    assert made.notes == [
        f"sample predictions of {MODEL} are not tracked: SamplesError: The run wrote no checkpoint."
    ]


@pytest.mark.parametrize("record", [RECORD, None])
def test_samples_are_made_only_where_somebody_wants_them(record: RunRecord | None, tmp_path: Path) -> None:
    trackers = {} if record else {"one": Planted()}
    shield(tmp_path, **trackers).end(record, lambda: pytest.fail("nobody wants them"))


def test_a_slow_tracker_is_outside_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that only the tracker moves, epochs take no time."""
    now = [0.0]

    def sleep() -> None:
        now[0] += 1_000

    monkeypatch.setattr("bench.training.trainer.time", SimpleNamespace(perf_counter=lambda: now[0]))
    slow = shield(tmp_path, slow=Planted("epoch", sleep))
    ended = run(MODEL, small_dataset(), 51, run_config(tmp_path), observe=slow.epoch)
    assert ended.epoch_seconds == [0.0, 0.0]
    assert now == [2_000]
