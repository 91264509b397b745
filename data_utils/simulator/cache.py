"""Simulations in the cache: small ones as one packed file, large ones as arrays that are mapped.

A file holds the arrays in parts, each with its SHA-256. The most common value is left out where that saves space:
most rays meet nothing, and most pixels are black. A file is written under a temporary name and then renamed, so
that no process reads an incomplete one; of two processes that write the same file, the later replaces it by an
equal one. If a file is damaged, as a power failure can leave it, its pairs are simulated again; if it cannot be
written, the run continues without it. Both leave a note.
"""

import functools
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from data_utils import dataset, decoding, geometry, mapped, modality
from data_utils.cache import PART, SIMULATION, Cache
from data_utils.dataset import PairedDataset
from data_utils.mapped import Workspace, mapped_of
from data_utils.memory import usable_cores
from data_utils.simulator import difficulty, light, raycasting, recording, scenes, sensors, shapes, solids, streams
from data_utils.simulator.shapes import BYTES_PER_PIXEL, Empty, Simulation, as_dataset
from fusiongauge import tree_sha256

_CODE = (difficulty, geometry, light, modality, raycasting, recording, scenes, sensors, shapes, solids, streams)
"""The modules that decide the simulated values."""

_DIGEST_BYTES, _LENGTH_BYTES = hashlib.sha256().digest_size, 8

_COMMON = ("labels", "index", "azimuth_rad", "zenith_rad")
"""The arrays that are stored as they are."""

_PAIRS = 512  # packed at a time, by one thread

MAPPED_BYTES = 1 << 30
"""Simulations that take more are mapped; smaller ones are packed, which takes less room on the disk."""

_MOST_THREADS = 8
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

Array = npt.NDArray[Any]
Arrays = dict[str, Array]


def maps(cache: Cache | None, pairs: int, image_size: int) -> bool:
    """Whether a simulation is mapped from the cache."""
    return cache is not None and cache.limit_bytes > 0 and stored_bytes(pairs, image_size) > MAPPED_BYTES


def stored_bytes(pairs: int, image_size: int) -> int:
    """What simulated pairs take."""
    return pairs * image_size**2 * BYTES_PER_PIXEL


def mapped_simulation(
    cache: Cache, name: str, arguments: tuple[object, ...], make: Callable[[Empty], Simulation]
) -> PairedDataset:
    """The data set of that name and these arguments, mapped from the cache, where it is simulated if need be.

    Args:
        cache: Where it is kept.
        name: Of the data set; the folder's name begins with it.
        arguments: Everything the simulation depends on, apart from the code of the simulator and numpy.
        make: Simulates it.
    """
    code = _code_sha256((dataset, decoding, mapped))
    folder = f"{name}-{key((arguments, code))[:16]}"
    if (kept := mapped_of(cache, folder)) is not None:
        return kept
    workspace = Workspace(cache, folder, "simulated pairs", smallest=0)
    try:
        made = workspace.keep(as_dataset(name, make(workspace.empty)))
    finally:
        workspace.discard()
    return made.noting(*workspace.notes)


def cached(
    cache: Cache, name: str, arguments: tuple[object, ...], make: Callable[[], Simulation]
) -> tuple[Simulation, tuple[str, ...]]:
    """The simulation of that name and these arguments, read from the cache, or simulated and written to it.

    Args:
        cache: Where it is kept.
        name: The file name begins with it.
        arguments: Everything the simulation depends on, apart from the code of the simulator and numpy.
        make: Simulates it.

    Returns:
        The simulation, and at most two notes on what failed.
    """
    code = _code_sha256((sys.modules[__name__],))
    file = cache.folder / f"{name}-{key((arguments, code))[:16]}{SIMULATION}"
    try:
        simulation = _unpack(file.read_bytes())
    except FileNotFoundError:
        notes: tuple[str, ...] = ()
    except (OSError, ValueError) as error:
        notes = (f"{file} was damaged or unreadable ({error}); its pairs were simulated again.",)
    else:
        with suppress(OSError):  # a read-only cache can be read all the same
            os.utime(file)
        return simulation, ()
    simulation = make()
    try:
        if cache.limit_bytes:
            _write(file, _pack(simulation))
            cache.shrink()
    except OSError as error:
        notes = (*notes, f"The simulated pairs could not be written to {cache.folder} ({error.strerror}).")
    return simulation, notes


def key(arguments: tuple[object, ...]) -> str:
    """Hash of the arguments of a simulation, the code of the simulator and the version of numpy."""
    return hashlib.sha256(repr((arguments, _code_sha256(_CODE), np.__version__)).encode()).hexdigest()


@functools.cache
def _code_sha256(modules: tuple[object, ...]) -> str:
    trees = [tree_sha256(Path(str(module.__file__))) for module in modules]  # type: ignore[attr-defined]
    return hashlib.sha256("".join(trees).encode()).hexdigest()


def _pack(simulation: Simulation) -> Iterator[bytes]:
    """The content of a file in pieces: what all pairs have in common, then the measurements of some pairs each."""
    common = {name: getattr(simulation, name) for name in _COMMON}
    yield from _part(common | {"classes": np.frombuffer(json.dumps(simulation.classes).encode(), dtype=np.uint8)})

    def packed(first: int) -> tuple[bytes, ...]:
        colors, range_m = _measurements(simulation, first)
        return _part(_sparse("colors", colors) | _sparse("range_m", range_m))

    yield from chain.from_iterable(_in_threads(packed, range(0, len(simulation.labels), _PAIRS)))


def _unpack(data: bytes) -> Simulation:
    """The simulation in the content of a file; a ValueError if the content is damaged."""
    common, start = _read_part(data, 0)
    classes, size = tuple(json.loads(common.pop("classes").tobytes())), len(common["azimuth_rad"])
    rgb = np.empty((len(common["labels"]), 4, size, size), np.uint8).transpose(0, 2, 3, 1)
    range_m = np.empty(rgb.shape[:3], np.float32)
    rgb[..., 3] = 255
    simulation = Simulation(classes=classes, rgb=rgb, range_m=range_m, **common)
    parts = []
    for first in range(0, len(rgb), _PAIRS):
        parts.append((first, start))
        start = _end(data, start)

    def fill(part: tuple[int, int]) -> None:
        arrays, _ = _read_part(data, part[1])
        for name, values in zip(("colors", "range_m"), _measurements(simulation, part[0]), strict=True):
            _fill(name, arrays, values)

    for _ in _in_threads(fill, parts):
        pass
    return simulation


def _in_threads(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """What a function returns for each item, in order; large arrays are worked on without Python's lock."""
    pool = ThreadPoolExecutor(min(_MOST_THREADS, usable_cores()))
    try:
        yield from pool.map(work, items)
    finally:
        pool.shutdown(cancel_futures=True)  # when interrupted, start no further item


def _measurements(simulation: Simulation, first: int) -> tuple[Array, Array]:
    """Of some pairs from the first: colors (3, n, S, S) and ranges (1, n, S, S). Alpha is the same everywhere."""
    pairs = slice(first, first + _PAIRS)
    return simulation.rgb[pairs, ..., :3].transpose(3, 0, 1, 2), simulation.range_m[None, pairs]


def _part(arrays: Arrays) -> tuple[bytes, ...]:
    """The hash and the length of what holds the arrays, and this."""
    content = save(arrays)
    return hashlib.sha256(content).digest(), len(content).to_bytes(_LENGTH_BYTES, "little"), content


def _end(data: bytes, start: int) -> int:
    """Where the part of a file ends that begins there."""
    place = start + _DIGEST_BYTES
    return place + _LENGTH_BYTES + int.from_bytes(data[place : place + _LENGTH_BYTES], "little")


def _read_part(data: bytes, start: int) -> tuple[Arrays, int]:
    """The arrays of a part, and where the next one begins; a ValueError if it is damaged."""
    end = _end(data, start)
    content = data[start + _DIGEST_BYTES + _LENGTH_BYTES : end]
    if hashlib.sha256(content).digest() != data[start : start + _DIGEST_BYTES]:
        raise ValueError("its checksum is wrong")
    try:
        return load(content), end
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def _sparse(name: str, values: Array) -> Arrays:
    """Images (C, n, S, S) as the places and values of the pixels that differ from the first one.

    As they are if most pixels differ.
    """
    common = values[:, 0, 0, 0].copy()
    others = values[0] != common[0]
    for channel, usual in zip(values[1:], common[1:], strict=True):
        others |= channel != usual
    if 2 * np.count_nonzero(others) > others.size:
        return {name: np.ascontiguousarray(values)}
    return {
        f"{name}.places": np.packbits(others),
        f"{name}.values": np.stack([channel[others] for channel in values]),
        f"{name}.common": common,
    }


def _fill(name: str, arrays: Arrays, values: Array) -> None:
    """The inverse of ``_sparse``: fill ``values``."""
    if name in arrays:
        values[...] = arrays[name]
        return
    places = np.unpackbits(arrays[f"{name}.places"], count=values[0].size).view(np.bool_).reshape(values.shape[1:])
    for channel, common, others in zip(values, arrays[f"{name}.common"], arrays[f"{name}.values"], strict=True):
        channel[...] = common
        channel[places] = others


def _write(file: Path, parts: Iterable[bytes]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=file.name, suffix=PART, dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.writelines(parts)
        Path(temporary).replace(file)
    except BaseException:  # also when interrupted: leave no temporary file
        Path(temporary).unlink(missing_ok=True)
        raise
