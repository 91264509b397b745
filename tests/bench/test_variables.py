import os
import subprocess
import sys

import pytest

from bench.variables import EPOCH, ignore_unusable


@pytest.mark.parametrize("value", ["nonsense", "", "1.5", "1e9", "9" * 20])
def test_an_epoch_that_is_no_whole_number_is_ignored(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EPOCH, value)
    (note,) = ignore_unusable()
    assert repr(value) in note
    assert EPOCH not in os.environ
    assert ignore_unusable() == []


@pytest.mark.parametrize("value", ["0", "1700000000", " 5 "])
def test_one_that_libraries_can_read_stays(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EPOCH, value)
    assert ignore_unusable() == []
    assert os.environ[EPOCH] == value


BACKEND = "MPLBACKEND"

FRESH = """
import os
import bench.plots, matplotlib
from bench import metrics
print(os.environ.get("MPLBACKEND"), os.environ.get("SOURCE_DATE_EPOCH"), matplotlib.get_backend())
print(metrics._scikit_learn().accuracy_score([1, 0], [1, 0]), os.environ.get("SOURCE_DATE_EPOCH"))
"""


@pytest.mark.parametrize(
    ("backend", "epoch", "words"),
    [
        ("nonsense", "nonsense", ["None", "nonsense", "agg", "1.0", "None"]),
        ("svg", "1700000000", ["svg", "1700000000", "svg", "1.0", "1700000000"]),
    ],
)
def test_libraries_are_loaded_without_a_session_too(backend: str, epoch: str, words: list[str]) -> None:
    environment = {**os.environ, BACKEND: backend, EPOCH: epoch}
    ended = subprocess.run([sys.executable, "-c", FRESH], env=environment, capture_output=True, text=True)
    assert ended.stdout.split() == words, ended.stderr
