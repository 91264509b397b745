"""A cache of simulations on disk, so that a second run starts at once.

A file holds the SHA-256 of its content and the arrays, without the most common value where that saves space: most
rays meet nothing, and most pixels are black. It is written under a temporary name and then renamed, so that no
process reads an incomplete file; of two processes that write the same file, the later replaces it by an equal one.
If a file is damaged, its pairs are simulated again; if it cannot be written, the run continues without it. Both
leave a note. When the files grow beyond the limit, those that were used least recently are deleted.
"""

import functools
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from data_utils import geometry
from data_utils.simulator import difficulty, light, raycasting, scenes, sensors, shapes, solids
from data_utils.simulator.shapes import Simulation
from fusiongauge import tree_sha256

_CODE = (difficulty, geometry, light, raycasting, scenes, sensors, shapes, solids)
"""The modules that decide the simulated values."""

_DIGEST_BYTES = hashlib.sha256().digest_size

DEFAULT_LIMIT_BYTES = 4_000_000_000
"""Room for some fifty worlds of 10,000 pairs and 4,000 test pairs, or fifteen of a level with image noise."""

_ABANDONED_SECONDS = 3600  # after which a temporary file was left behind by a process that was killed

Array = npt.NDArray[Any]
Arrays = dict[str, Array]


@dataclass(frozen=True)
class Cache:
    """Where simulations are kept.

    Attributes:
        folder: Created if it does not exist.
        limit_bytes: Of all files together; 0 to write none.
    """

    folder: Path
    limit_bytes: int = DEFAULT_LIMIT_BYTES


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
    file = cache.folder / f"{name}-{key(arguments)[:16]}.simulation"
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
            _shrink(cache)
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
    handle, temporary = tempfile.mkstemp(prefix=file.name, suffix=".part", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())  # the name must not exist before the content
        Path(temporary).replace(file)
    except BaseException:  # also when interrupted: leave no temporary file
        Path(temporary).unlink(missing_ok=True)
        raise


def _shrink(cache: Cache) -> None:
    """Delete the files that were used least recently until the rest is within the limit.

    Other processes may read, write and delete files meanwhile: a file that is gone is no error, and one that is
    open stays readable where it is open.
    """
    files = []
    for path in cache.folder.iterdir():
        with suppress(FileNotFoundError):
            status = path.stat()
            if path.suffix == ".simulation":
                files.append((status.st_mtime_ns, status.st_size, path))
            elif path.suffix == ".part" and time.time() - status.st_mtime > _ABANDONED_SECONDS:
                path.unlink()
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= cache.limit_bytes:
            break
        path.unlink(missing_ok=True)
        total -= size
