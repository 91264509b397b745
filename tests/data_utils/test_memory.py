"""What data need is known before they are read, and compared with what there is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_utils import DataError, Shares, load, memory, open_source
from data_utils.cache import Cache
from data_utils.layouts import reading
from data_utils.layouts.nvidia_tree import write_nvidia_tree
from data_utils.memory import Need, as_size, usable_cores
from data_utils.simulator.shapes import simulate
from tests.data_utils.layouts.files import write_pairs

NEED = Need("kitchen", 2000, 3_000_000_000)


@pytest.mark.parametrize("layout", ["depth", "depth as float", "scanner", "resized", "simulated"])
def test_the_need_that_is_announced_first_is_what_the_data_then_take(layout: str, tmp_path: Path) -> None:
    depth = np.full((8, 8), 900, np.uint16)
    size = 16 if layout in ("resized", "simulated") else None
    if layout == "scanner":
        write_nvidia_tree(tmp_path, simulate(4, 0, 8))
    elif layout != "simulated":
        write_pairs(tmp_path, depth.astype(np.float32) if "float" in layout else depth, ".npy")
    name = "shapes" if layout == "simulated" else str(tmp_path)
    told: list[Need] = []

    def progress(*_: int) -> None:
        assert told, "nothing may be read before"

    source = open_source(name, image_size=size, announce=told.append, progress=progress)
    world = source.world(Shares(valid=0.5, test=0.0, pairs=4, test_pairs=2 if size == 16 else 0), 0)
    datasets = {id(part.dataset): part.dataset for part in world.parts.values()}.values()
    (need,) = told
    assert need.stored_bytes == sum(dataset.stored_bytes for dataset in datasets)
    assert need.pairs == sum(map(len, datasets))
    assert need.drawn == (layout == "simulated")
    assert need.cache is None


def test_the_need_of_mapped_data_names_their_place_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_utils.layouts.reading.SMALLEST_BYTES", 0)
    write_pairs(tmp_path / "data", np.full((8, 8), 900, np.uint16))
    cache = Cache(tmp_path / "cache", 10_000)
    told: list[Need] = []
    for _ in range(2):
        dataset = load(str(tmp_path / "data"), cache=cache, announce=told.append)
    assert told == [Need("data", 4, dataset.stored_bytes, cache.folder, 10_000)] * 2
    assert told[0].sentence == (
        f"4 pairs of data take {as_size(dataset.stored_bytes)} in {cache.folder} and are mapped from there, so "
        "they need not fit into memory"
    )


def test_files_that_cannot_be_read_announce_nothing(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    (tmp_path / "rgb" / "0.png").write_bytes(b"no image")
    told: list[Need] = []
    with pytest.raises(DataError, match=r"0\.png"):
        load(str(tmp_path), announce=told.append)
    assert told == []


@pytest.mark.parametrize(
    ("need", "available", "free", "warning"),
    [
        (NEED, 3_000_000_000, 0, ""),
        (NEED, None, 0, ""),
        (
            NEED,
            2_900_000_000,
            0,
            "kitchen needs 3.0 GB of memory, but 2.9 GB are available; use smaller images (--image-size) or "
            "fewer classes (classes in dataset.toml), or have the pairs mapped from the cache (--cache-size 4GB)",
        ),
        (
            replace(NEED, drawn=True),
            1,
            0,
            "kitchen needs 3.0 GB of memory, but 0.0 kB are available; use fewer pairs (--set pairs=N, or a "
            "smaller profile of a run) or smaller images (--image-size), or have the pairs mapped from the cache "
            "(--cache-size 4GB)",
        ),
        (NEED.mapped_from(Cache(Path("c"), 3_000_000_000)), 1, 3_000_000_000, ""),
        (
            NEED.mapped_from(Cache(Path("c"), 2_000_000_000)),
            1,
            3_000_000_000,
            "kitchen alone is larger than the limit of the cache, 2.0 GB: it stays there until another run needs "
            "room; with a larger --cache-size it is kept",
        ),
        (
            NEED.mapped_from(Cache(Path("c"), 4_000_000_000)),
            1,
            2_000_000_000,
            "kitchen needs 3.0 GB in c, where 2.0 GB are free; make room there, or use smaller images "
            "(--image-size) or fewer classes (classes in dataset.toml)",
        ),
    ],
)
def test_what_there_is_too_little_of_is_said_with_the_remedy(
    need: Need, available: int | None, free: int, warning: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: available)
    monkeypatch.setattr(memory, "_free_bytes", lambda _: free)
    assert need.warning == warning


def test_sizes_are_in_powers_of_ten() -> None:
    assert [as_size(count) for count in (20, 1_550_000, 123_456_789, 9_830_000_000)] == [
        "0.0 kB",
        "1.6 MB",
        "0.1 GB",
        "9.8 GB",
    ]


def test_the_tightest_limit_of_machine_container_and_shell_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"_of_machine": 500, "_of_container": 300, "_of_shell": None}
    for name, limit in limits.items():
        monkeypatch.setattr(memory, name, lambda limit=limit: limit)
    assert memory.available_bytes() == 300
    monkeypatch.setattr(memory, "_of_container", lambda: -10)
    assert memory.available_bytes() == 0
    for name in limits:
        monkeypatch.setattr(memory, name, lambda: None)
    assert memory.available_bytes() is None


def test_a_container_leaves_what_its_tightest_group_leaves(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("0::/outer/inner\n")
    root = tmp_path / "groups"
    for folder, limit, used, cached in (("outer", 1000, 600, 100), ("outer/inner", "max", 50, 0)):
        (root / folder).mkdir(parents=True)
        (root / folder / "memory.max").write_text(f"{limit}\n")
        (root / folder / "memory.current").write_text(f"{used}\n")
        (root / folder / "memory.stat").write_text(f"anon 7\nfile {cached}\n")
    assert memory._of_container(root, own) == 1000 - 600 + 100  # pages of files can be taken
    (root / "outer" / "memory.max").write_text("max\n")
    assert memory._of_container(root, own) is None
    assert memory._of_container(root, tmp_path / "none") is None


def test_reading_many_files_returns_freed_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_nvidia_tree(tmp_path, simulate(4, 0, 8))
    released: list[int] = []
    shown: list[int] = []
    monkeypatch.setattr(reading, "_FILES_UNTIL_RELEASE", 3)
    monkeypatch.setattr(reading, "release_freed_memory", lambda: released.append(shown[-1]))
    load(str(tmp_path), progress=lambda done, _: shown.append(done))
    assert released == [3, 6]  # of 8 files


@pytest.mark.parametrize("library", ["this one", "another"])
def test_freed_memory_is_returned_where_the_c_library_can(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if library == "another":
        monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    memory.release_freed_memory()


def test_files_that_do_not_fit_have_a_remedy_that_works_for_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    write_pairs(tmp_path)
    remedy = r"use smaller images \(--image-size\) or fewer classes \(classes in dataset.toml\), or a machine"
    for place in ("data_utils.mapped.Workspace.empty", "data_utils.loading.read_listing"):
        with monkeypatch.context() as patch:
            patch.setattr(place, full)
            with pytest.raises(DataError, match=remedy) as caught:
                load(str(tmp_path))
        assert "--pairs" not in str(caught.value)


def test_cores_are_those_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr("os.sched_getaffinity", lambda _process: {0, 3}, raising=False)
    assert usable_cores() == 2
    monkeypatch.delattr("os.sched_getaffinity")
    assert usable_cores() == 64


def test_nothing_else_counts_cores() -> None:
    files = Path(memory.__file__).parent.rglob("*.py")
    assert [file.name for file in files if "cpu_count" in file.read_text(encoding="utf-8")] == ["memory.py"]
