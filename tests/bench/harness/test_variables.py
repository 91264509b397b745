import os

import pytest

from bench.harness.variables import EPOCH, ignore_unusable


@pytest.mark.parametrize("value", ["nonsense", "", "1.5", "1e9"])
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
