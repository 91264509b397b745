"""A cache of simulations on disk, so that a second run starts at once.

A file holds the SHA-256 of its content and the compressed arrays. It is written under a temporary name and then
renamed, so that no process reads an incomplete file; of two processes that write the same file, the later replaces
it by an equal one. If a file is damaged, its pairs are simulated again; if it cannot be written, the run continues
without it. Both leave a note.
"""

import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from data_utils import geometry
from data_utils.simulator import difficulty, light, raycasting, scenes, sensors, shapes, solids
from data_utils.simulator.shapes import Simulation

_CODE = (difficulty, geometry, light, raycasting, scenes, sensors, shapes, solids)
"""The modules that decide the simulated values."""

_DIGEST_BYTES = hashlib.sha256().digest_size


def cached(
    folder: Path, name: str, arguments: tuple[object, ...], make: Callable[[], Simulation]
) -> tuple[Simulation, tuple[str, ...]]:
    """The simulation of that name and these arguments, read from the cache, or simulated and written to it.

    Args:
        folder: Of the cache; created if it does not exist.
        name: The file name begins with it.
        arguments: Everything the simulation depends on, apart from the code of the simulator and numpy.
        make: Simulates it.

    Returns:
        The simulation, and at most two notes on what failed.
    """
    file = folder / f"{name}-{_key(arguments)}.simulation"
    try:
        return _unpack(file.read_bytes()), ()
    except FileNotFoundError:
        notes: tuple[str, ...] = ()
    except (OSError, ValueError) as error:
        notes = (f"{file} was damaged or unreadable ({error}); its pairs were simulated again.",)
    simulation = make()
    try:
        _write(file, _pack(simulation))
    except OSError as error:
        notes = (*notes, f"The simulated pairs could not be written to {folder} ({error.strerror}).")
    return simulation, notes


def _key(arguments: tuple[object, ...]) -> str:
    digest = hashlib.sha256(repr((arguments, np.__version__)).encode())
    for module in _CODE:
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()[:16]


def _pack(simulation: Simulation) -> bytes:
    arrays = {field.name: getattr(simulation, field.name) for field in fields(simulation)}
    classes = np.frombuffer(json.dumps(arrays.pop("classes")).encode(), dtype=np.uint8)
    content = zlib.compress(save({**arrays, "classes": classes}), level=1)
    return hashlib.sha256(content).digest() + content


def _unpack(data: bytes) -> Simulation:
    """The simulation in the content of a file; a ValueError if the content is damaged."""
    if hashlib.sha256(data[_DIGEST_BYTES:]).digest() != data[:_DIGEST_BYTES]:
        raise ValueError("its checksum is wrong")
    try:
        arrays = load(zlib.decompress(data[_DIGEST_BYTES:]))
    except (zlib.error, SafetensorError) as error:
        raise ValueError(str(error)) from error
    classes = tuple(json.loads(arrays.pop("classes").tobytes()))
    return Simulation(classes=classes, **arrays)


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
