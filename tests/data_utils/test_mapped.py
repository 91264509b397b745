"""Decoded files that are kept: the same bits, mapped, and read again when anything changes."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from data_utils import PairedDataset, load
from data_utils.layouts import reading
from data_utils.layouts.nvidia_tree import write_nvidia_tree
from data_utils.simulator.shapes import simulate
from tests.data_utils.layouts.files import write_pairs

DEPTH = np.arange(64, dtype=np.uint16).reshape(8, 8) * 30


@pytest.fixture(autouse=True)
def keep_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "SMALLEST_BYTES", 0)


def assert_equal(one: PairedDataset, other: PairedDataset) -> None:
    assert one.sha256 == other.sha256
    assert one.info == other.info
    assert (one.names, one.notes, one.assumptions, one.assigned) == (
        other.names,
        other.notes,
        other.assumptions,
        other.assigned,
    )
    for modality, values in one.batch().inputs.items():
        assert torch.equal(values, other.batch().inputs[modality])


def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("a file is decoded again")

    monkeypatch.setattr("data_utils.layouts.listing.read_image", fail)


@pytest.mark.parametrize("layout", ["points of depth", "depth", "a scale per row", "scanner", "resized"])
def test_the_second_start_decodes_nothing_and_gives_the_same_bits(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, cache = tmp_path / "data", tmp_path / "cache"
    if layout == "scanner":
        write_nvidia_tree(folder, simulate(4, 0, 8))
    elif layout == "a scale per row":
        write_pairs(folder, DEPTH, header=",depth_scale", row=",1000")
        text = (folder / "manifest.csv").read_text().replace(",1000\n", ",500\n", 1)
        (folder / "manifest.csv").write_text(text)
    else:
        write_pairs(folder, DEPTH)
    if layout == "depth":
        text = (folder / "manifest.csv").read_text().replace(",fx,fy,cx,cy", ",a,b,c,d")
        (folder / "manifest.csv").write_text(text)
    size = 4 if layout == "resized" else None
    in_memory = load(str(folder), image_size=size)
    first = load(str(folder), image_size=size, cache=cache)
    no_decoding(monkeypatch)
    second = load(str(folder), image_size=size, cache=cache)
    assert_equal(in_memory, first)
    assert_equal(in_memory, second)
    assert [path.name[:8] for path in cache.iterdir()] == ["decoded-"]


def test_data_of_the_cache_are_mapped(tmp_path: Path) -> None:
    write_pairs(tmp_path / "data", DEPTH)
    data = load(str(tmp_path / "data"), cache=tmp_path / "cache")
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("only Linux tells what is mapped")
    assert all(f"{name}.npy" in maps.read_text() for name in data.inputs)


def test_changed_files_and_declarations_are_decoded_again(tmp_path: Path) -> None:
    folder, cache = write_pairs(tmp_path / "data", DEPTH), tmp_path / "cache"
    before = load(str(folder), cache=cache)
    file = folder / "depth" / "0.png"
    changed = load(str(write_pairs(folder, DEPTH + 1)), cache=cache)
    assert changed.sha256 != before.sha256
    os.utime(file, ns=(0, 0))
    load(str(folder), cache=cache)
    (folder / "dataset.toml").write_text(
        '[modalities.rgb]\nkind = "image"\n[modalities.depth]\nkind = "depth"\nscale = 500\n'
    )
    load(str(folder), cache=cache)
    assert len([*cache.iterdir()]) == 4


@pytest.mark.parametrize("damage", ["dataset.json", "arrays.npz", "rgb.npy"])
def test_an_incomplete_cache_is_replaced(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, cache = write_pairs(tmp_path / "data", DEPTH), tmp_path / "cache"
    before = load(str(folder), cache=cache).sha256
    (file,) = cache.glob(f"*/{damage}")
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content[:40])
    assert load(str(folder), cache=cache).sha256 == before
    no_decoding(monkeypatch)
    assert load(str(folder), cache=cache).sha256 == before  # it was replaced


def test_a_full_disk_is_a_note_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    folder = write_pairs(tmp_path / "data", DEPTH)
    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    data = load(str(folder), cache=tmp_path / "cache")
    assert data.sha256 == load(str(folder)).sha256
    assert data.notes[-1] == (
        "The decoded files are kept in memory, as the cache cannot be written (No space left on device)."
    )
    assert data.notes == data.assumptions
    assert not [*(tmp_path / "cache").iterdir()]


def test_small_data_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    load(str(write_pairs(tmp_path / "data", DEPTH)), cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
