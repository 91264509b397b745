"""One limit for everything in the cache, and what is in use is never deleted."""

import gc
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from data_utils import PairedDataset, load
from data_utils.cache import Cache
from data_utils.layouts import reading
from data_utils.simulator import cache as simulated
from tests.data_utils.layouts.files import write_pairs

DEPTH = np.arange(64, dtype=np.uint16).reshape(8, 8) * 30


@pytest.fixture(autouse=True)
def map_all_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "SMALLEST_BYTES", 0)


def size_of(path: Path) -> int:
    return sum(file.stat().st_size for file in path.iterdir()) if path.is_dir() else path.stat().st_size


def entries(folder: Path) -> set[str]:
    return {path.name.partition("-")[0] for path in folder.iterdir()}


def test_decoded_files_count_and_the_least_recently_used_entry_goes_first(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    data = str(write_pairs(tmp_path / "data", DEPTH))
    load(data, cache=folder)
    load("shapes-four", pairs=8, cache=folder)
    assert entries(folder) == {"decoded", "shapes"}
    files, simulation = sorted(folder.iterdir())
    gc.collect()  # what was loaded is gone, so nothing is in use
    for age, path in enumerate((files, simulation)):
        os.utime(path, (1000 + age, 1000 + age))
    both = Cache(folder, size_of(files) + size_of(simulation))
    both.shrink()
    assert entries(folder) == {"decoded", "shapes"}
    load(data, cache=both)  # reading counts as use
    gc.collect()
    Cache(folder, both.limit_bytes - 1).shrink()
    assert entries(folder) == {"decoded"}
    Cache(folder, size_of(files) - 1).shrink()
    assert entries(folder) == set()


def test_data_that_are_mapped_are_never_deleted(tmp_path: Path) -> None:
    folder, data = tmp_path / "cache", str(write_pairs(tmp_path / "data", DEPTH))
    cache = Cache(folder, 1)
    dataset = load(data, cache=cache)
    part = dataset.take(torch.arange(2))
    cache.shrink()
    assert entries(folder) == {"decoded"}
    load("shapes-four", pairs=8, cache=Cache(folder, 100_000))
    assert entries(folder) == {"decoded", "shapes"}  # what is mapped leaves the others their room
    cache.shrink()
    assert entries(folder) == {"decoded"}
    inputs = dataset.inputs["rgb"][:1]
    del dataset
    gc.collect()
    cache.shrink()
    assert entries(folder) == {"decoded"}  # a view of a modality is enough
    del inputs
    gc.collect()
    cache.shrink()
    assert entries(folder) == set()
    assert len(part) == 2


@pytest.mark.parametrize("written", ["new", "old"])
def test_what_a_killed_process_left_is_removed_when_nothing_is_written_to_it_any_more(
    written: str, tmp_path: Path
) -> None:
    folder = tmp_path / "decoded-1234.abc.part"
    folder.mkdir()
    (folder / "rgb.npy").touch()
    os.utime(folder, (1000, 1000))  # of the folder, which does not follow its files
    if written == "old":
        os.utime(folder / "rgb.npy", (1000, 1000))
    Cache(tmp_path).shrink()
    assert folder.exists() == (written == "new")


def test_what_is_no_data_of_ours_stays(tmp_path: Path) -> None:
    for name in ("notes.txt", "ab.lock"):
        (tmp_path / name).write_text("x" * 100)
    (tmp_path / "photos").mkdir()
    Cache(tmp_path, 1).shrink()
    assert len([*tmp_path.iterdir()]) == 3


@pytest.mark.parametrize("kind", ["files", "simulation"])
def test_a_limit_of_0_keeps_nothing_on_disk(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated, "MAPPED_BYTES", 0)
    name = "shapes" if kind == "simulation" else str(write_pairs(tmp_path / "data", DEPTH))
    dataset = load(name, pairs=4, cache=Cache(tmp_path / "cache", 0))
    assert dataset.notes == load(name, pairs=4).notes
    assert not (tmp_path / "cache").exists()


def simulate_mapped(folder: Path) -> PairedDataset:
    return load("shapes-four", pairs=8, seed=3, cache=folder)


def test_large_simulations_are_mapped_with_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    eager = load("shapes-four", pairs=8, seed=3)
    monkeypatch.setattr(simulated, "MAPPED_BYTES", 0)
    first = simulate_mapped(tmp_path)
    monkeypatch.setattr("data_utils.simulator.recording.Chunk.record", None)  # nothing is simulated from here on
    second = simulate_mapped(tmp_path)
    for mapped in (first, second):
        assert (mapped.sha256, mapped.info, mapped.names) == (eager.sha256, eager.info, eager.names)
        assert mapped.notes == ()
        for modality, values in eager.batch().inputs.items():
            assert np.array_equal(values, mapped.batch().inputs[modality])
    (place,) = tmp_path.iterdir()
    maps = Path("/proc/self/maps")
    if maps.exists():
        assert all(f"{place.name}/{name}.npy" in maps.read_text() for name in eager.inputs)


def test_a_simulation_that_was_changed_on_the_disk_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulated, "MAPPED_BYTES", 0)
    before = simulate_mapped(tmp_path).sha256
    (file,) = tmp_path.glob("*/rgb.npy")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    again = simulate_mapped(tmp_path)
    vars(again).pop("digests")  # hash what is there, not what was remembered
    assert again.sha256 == before
