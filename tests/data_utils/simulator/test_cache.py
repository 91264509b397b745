import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from data_utils import PairedDataset, load
from data_utils.cache import Cache
from data_utils.simulator import cache
from data_utils.simulator.cache import _fill, _sparse
from data_utils.simulator.shapes import Simulation

REPOSITORY = Path(__file__).parents[3]


def assert_equal(one: PairedDataset, other: PairedDataset) -> None:
    assert (one.info, one.sha256) == (other.info, other.sha256)


@pytest.fixture
def cache_file(tmp_path: Path) -> Path:
    """The file of a cached simulation."""
    assert load("shapes-four", pairs=8, cache=tmp_path).notes == ()
    (file,) = tmp_path.iterdir()
    return file


def test_the_second_call_simulates_nothing(cache_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = load("shapes-four", pairs=8)
    monkeypatch.setattr("data_utils.simulator.recording.Chunk.record", None)
    cached = load("shapes-four", pairs=8, cache=cache_file.parent)
    assert_equal(cached, fresh)
    assert cached.notes == ()


@pytest.mark.parametrize("change", [{"pairs": 12}, {"pairs": 8, "seed": 1}])
def test_other_arguments_have_another_file(cache_file: Path, change: dict[str, int]) -> None:
    assert_equal(load("shapes-four", cache=cache_file.parent, **change), load("shapes-four", **change))  # type: ignore[arg-type]
    assert len(list(cache_file.parent.iterdir())) == 2


def test_another_simulator_has_another_file(cache_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_CODE", cache._CODE[1:])
    load("shapes-four", pairs=8, cache=cache_file.parent)
    assert len(list(cache_file.parent.iterdir())) == 2


@pytest.mark.parametrize("place", [0, 40, -1])
def test_a_flipped_bit_is_noticed_and_repaired(cache_file: Path, place: int) -> None:
    content = bytearray(cache_file.read_bytes())
    content[place] ^= 1
    cache_file.write_bytes(content)
    dataset = load("shapes-four", pairs=8, cache=cache_file.parent)
    assert_equal(dataset, load("shapes-four", pairs=8))
    (note,) = dataset.notes
    assert "its checksum is wrong" in note
    assert str(cache_file) in note
    assert load("shapes-four", pairs=8, cache=cache_file.parent).notes == ()


@pytest.mark.parametrize("length", [0, 20, 500])
def test_a_truncated_file_is_noticed_and_repaired(cache_file: Path, length: int) -> None:
    cache_file.write_bytes(cache_file.read_bytes()[:length])
    assert "checksum" in load("shapes-four", pairs=8, cache=cache_file.parent).notes[0]
    assert load("shapes-four", pairs=8, cache=cache_file.parent).notes == ()


@pytest.mark.parametrize(("error", "reason"), [(errno.ENOSPC, "No space left"), (errno.EROFS, "Read-only")])
def test_a_full_or_read_only_disk_stops_nothing_and_leaves_nothing(
    error: int, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_simulation: Simulation) -> Iterator[bytes]:
        yield b"the first part"
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(cache, "_pack", fail)
    dataset = load("shapes", pairs=4, cache=tmp_path)
    assert_equal(dataset, load("shapes", pairs=4))
    assert reason in dataset.notes[0]
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_is_not_a_folder_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    dataset = load("shapes", pairs=4, cache=tmp_path / "file")
    assert "could not be written" in dataset.notes[-1]
    assert_equal(dataset, load("shapes", pairs=4))


@pytest.mark.slow
def test_two_processes_fill_one_cache_at_once(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from data_utils import load\n"
        "assert load('shapes', pairs=200, cache=Path(sys.argv[1])).notes == ()"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    processes = [subprocess.Popen(command, cwd=REPOSITORY) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    (file,) = tmp_path.iterdir()
    assert file.suffix == ".simulation"
    assert_equal(load("shapes", pairs=200, cache=tmp_path), load("shapes", pairs=200))


# --- the limit


def put(folder: Path, seed: int, limit: int) -> Path:
    """A file of the cache, as the one that was used last."""
    before = set(folder.glob("*"))
    load("shapes", pairs=4, seed=seed, cache=Cache(folder, limit))
    (file,) = set(folder.glob("*")) - before or {None}  # type: ignore[arg-type]
    return file


def test_what_was_used_least_recently_is_deleted_beyond_the_limit(tmp_path: Path) -> None:
    files = [put(tmp_path, seed, 10**9) for seed in range(3)]
    for age, file in enumerate(files):
        os.utime(file, (1000 + age, 1000 + age))
    limit = sum(file.stat().st_size for file in files)
    load("shapes", pairs=4, seed=0, cache=Cache(tmp_path, limit))  # reading counts as use
    assert all(file.exists() for file in files)
    latest = put(tmp_path, 3, limit + 200)
    assert [file.exists() for file in (*files, latest)] == [True, False, True, True]


def test_a_file_larger_than_the_limit_is_not_kept_and_no_file_with_a_limit_of_0(tmp_path: Path) -> None:
    for limit in (10, 0):
        dataset = load("shapes", pairs=4, cache=Cache(tmp_path, limit))
        assert dataset.notes == ()
        assert_equal(dataset, load("shapes", pairs=4))
        assert [*tmp_path.iterdir()] == []


def test_files_that_vanish_while_others_are_deleted_are_no_error(
    cache_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may delete what this one has just listed."""
    gone = cache_file.with_name("gone.simulation")
    listed = [gone, cache_file]
    monkeypatch.setattr(Path, "iterdir", lambda _: iter(listed))
    Cache(cache_file.parent, 10).shrink()
    assert not cache_file.exists()


def test_what_a_killed_process_left_is_removed_when_it_is_old(cache_file: Path) -> None:
    old, new, other = (cache_file.with_name(name) for name in ("old.part", "new.part", "notes.txt"))
    for file in (old, new, other):
        file.touch()
    for file in (old, other):
        os.utime(file, (1000, 1000))
    Cache(cache_file.parent).shrink()
    assert [file.exists() for file in (old, new, other, cache_file)] == [False, True, True, True]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.4, 0.6, 1.0])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_arrays_are_the_same_however_much_of_them_is_one_value(share: float, dtype: str) -> None:
    generator = np.random.default_rng(0)
    values = np.where(generator.random((3, 5, 7)) < share, generator.random((3, 5, 7)) * 200 + 1, 50).astype(dtype)
    values[0, 0, 0] = 50
    images = np.stack([np.full_like(values, 7), values])  # of two channels, the first is the same everywhere
    stored = _sparse("values", images)
    assert (len(stored) > 1) == (share < 0.5)
    filled = np.empty_like(images)
    _fill("values", stored, filled)
    assert np.array_equal(filled, images)
