"""Simulations in the cache: small ones as one packed file, large ones as arrays that are mapped.

A file holds the SHA-256 of its content and the arrays, without the most common value where that saves space: most
rays meet nothing, and most pixels are black. It is written under a temporary name and then renamed, so that no
process reads an incomplete file; of two processes that write the same file, the later replaces it by an equal one.
If a file is damaged, its pairs are simulated again; if it cannot be written, the run continues without it. Both
leave a note.
"""

import functools
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from data_utils import dataset, decoding, geometry, mapped
from data_utils.cache import PART, SIMULATION, Cache
from data_utils.dataset import PairedDataset
from data_utils.mapped import Workspace, mapped_of
from data_utils.simulator import difficulty, light, raycasting, scenes, sensors, shapes, solids
from data_utils.simulator.shapes import BYTES_PER_PIXEL, Empty, Simulation, as_dataset
from fusiongauge import tree_sha256

_CODE = (difficulty, geometry, light, raycasting, scenes, sensors, shapes, solids)
"""The modules that decide the simulated values."""

_DIGEST_BYTES = hashlib.sha256().digest_size

MAPPED_BYTES = 1 << 30
"""Simulations that take more are mapped; smaller ones are packed, which takes less room on the disk."""

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
    file = cache.folder / f"{name}-{key(arguments)[:16]}{SIMULATION}"
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


def _pack(simulation: Simulation) -> bytes:
    arrays = {field.name: getattr(simulation, field.name) for field in fields(simulation)}
    classes = np.frombuffer(json.dumps(arrays.pop("classes")).encode(), dtype=np.uint8)
    rgb = arrays.pop("rgb")
    pixels = _sparse("pixels", rgb.view(np.uint32)[..., 0])
    # Alpha is the same everywhere.
    arrays |= {"rgb": np.ascontiguousarray(rgb[..., :3])} if "pixels" in pixels else pixels
    arrays |= _sparse("range_m", arrays.pop("range_m"))
    content = save({**arrays, "classes": classes})
    return hashlib.sha256(content).digest() + content


def _unpack(data: bytes) -> Simulation:
    """The simulation in the content of a file; a ValueError if the content is damaged."""
    content = memoryview(data)[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != data[:_DIGEST_BYTES]:
        raise ValueError("its checksum is wrong")
    try:
        arrays = load(bytes(content))
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    classes = tuple(json.loads(arrays.pop("classes").tobytes()))
    range_m = _dense("range_m", arrays)
    if "rgb" in arrays:
        rgb = np.full((*range_m.shape, 4), 255, dtype=np.uint8)
        rgb[..., :3] = arrays.pop("rgb")
    else:
        rgb = _dense("pixels", arrays)[..., None].view(np.uint8)
    return Simulation(classes=classes, rgb=rgb, range_m=range_m, **arrays)


def _sparse(name: str, values: Array) -> Arrays:
    """An array as the places and values of what is not its first value; as it is if there is more of that."""
    others = values != values.flat[0]
    if others.mean() > 0.5:
        return {name: values}
    return {
        f"{name}.places": np.packbits(others),
        f"{name}.values": values[others],
        f"{name}.common": values.flat[:1],
        f"{name}.shape": np.array(values.shape),
    }


def _dense(name: str, arrays: Arrays) -> Array:
    """The inverse of ``_sparse``; takes the array's parts out of the others."""
    if name in arrays:
        return arrays.pop(name)
    places, others, common, shape = (
        arrays.pop(f"{name}.{part}") for part in ("places", "values", "common", "shape")
    )
    values = np.full(shape.tolist(), common[0])
    values.reshape(-1)[np.unpackbits(places, count=values.size).view(np.bool_)] = others
    return values


def _write(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=file.name, suffix=PART, dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())  # the name must not exist before the content
        Path(temporary).replace(file)
    except BaseException:  # also when interrupted: leave no temporary file
        Path(temporary).unlink(missing_ok=True)
        raise
