"""Data sets that are mapped from disk: the next start has them at once, and they can be larger than memory.

A data set has a folder with one npy file per modality, which is mapped and never loaded as a whole, and the rest
in one JSON and one npz file. It is written under a temporary name and then renamed. Room is reserved before
anything is written, so that a full disk is an error and not a crash; the data are then kept in memory.
"""

import json
import os
import tempfile
import zipfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from data_utils.cache import CONTENTS, PART, Cache, delete, keep_while
from data_utils.dataset import DatasetInfo, PairedDataset
from data_utils.decoding import CameraPoints, Decoder, Scaled, ScannerPoints
from data_utils.modality import Modality

SMALLEST_BYTES = 1 << 26
"""Files that take less are decoded at every start: that takes about as long as looking them up."""

_ARRAYS = "arrays.npz"

Array = npt.NDArray[Any]


class Workspace:
    """A new folder in which the arrays of one data set are filled; without a cache they are in memory.

    Args:
        cache: Where the data set is kept; None, or a limit of 0, to have it in memory.
        name: Of its folder there.
        what: What the data are, such as "decoded files", for notes.
        smallest: Arrays of fewer bytes are in memory, as long as no larger one was needed.
    """

    def __init__(self, cache: Cache | None, name: str, what: str, smallest: int) -> None:
        self.notes: list[str] = []
        self._cache = cache if cache is not None and cache.limit_bytes else None
        self._name, self._what, self._smallest = name, what, smallest
        self._temporary: Path | None = None

    def maps(self, size: int) -> bool:
        """Whether an array of this number of bytes is mapped."""
        return self._cache is not None and (size >= self._smallest or self._temporary is not None)

    def empty(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """An array to fill, mapped from a file if it is large; zero where it is not filled.

        Raises:
            MemoryError: It fits neither on the disk nor in memory.
        """
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        if self._cache is None or not self.maps(size):
            return np.zeros(shape, dtype)
        try:
            if self._temporary is None:
                folder = self._cache.folder
                folder.mkdir(parents=True, exist_ok=True)
                self._temporary = Path(tempfile.mkdtemp(prefix=f"{self._name}.", suffix=PART, dir=folder))
            file = self._temporary / f"{name}.npy"
            file.unlink(missing_ok=True)
            array = np.lib.format.open_memmap(file, "w+", dtype, shape)
            with file.open("r+b") as stream:
                os.posix_fallocate(stream.fileno(), 0, array.offset + size)
        except (OSError, AttributeError) as error:  # systems without posix_fallocate
            self.discard()
            self._cache = None
            reason = getattr(error, "strerror", None) or error
            self.notes.append(f"The {self._what} are kept in memory, as the cache cannot be written ({reason}).")
            return np.zeros(shape, dtype)
        return array

    def keep(self, dataset: PairedDataset) -> PairedDataset:
        """Write the rest of the data set, and return it mapped from the cache; itself if nothing was written."""
        if self._temporary is None or self._cache is None:
            return dataset
        place = self._cache.folder / self._name
        try:
            _write(dataset, self._temporary)
            if mapped(place) is None:  # else another process was faster
                delete(place)
                self._temporary.replace(place)
            kept = mapped(place)
            self._cache.shrink()
        except OSError as error:
            self.notes.append(f"The {self._what} could not be written to the cache ({error.strerror}).")
            kept = None
        self.discard()
        return kept or dataset

    def discard(self) -> None:
        """Remove what was not kept; arrays that are mapped from it stay readable."""
        if self._temporary is not None:
            delete(self._temporary)
        self._temporary = None


def mapped_of(cache: Cache, name: str) -> PairedDataset | None:
    """The data set of that name, mapped from a cache; None if it is not there, or not complete."""
    if not cache.limit_bytes:
        return None
    place = cache.folder / name
    dataset = mapped(place)
    if dataset is not None:
        with suppress(OSError):
            os.utime(place)  # it was used
    return dataset


def mapped(place: Path) -> PairedDataset | None:
    """The data set in a folder; None if it is not complete, or if a file was changed."""
    try:
        rest = json.loads((place / CONTENTS).read_text(encoding="utf-8"))
        if any(_state(place / name) != state for name, state in rest["files"].items()):
            return None
        with (place / _ARRAYS).open("rb") as stream, np.load(stream) as content:
            arrays = {name: torch.from_numpy(content[name]) for name in content.files}
        inputs = {}
        for name in rest["channels"]:
            # Copy on write: torch has no tensors that cannot be written, and nothing writes to these.
            values = np.load(place / f"{name}.npy", mmap_mode="c")
            keep_while(place, values)
            inputs[name] = torch.from_numpy(values)
        return _dataset_of(rest, arrays, inputs)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile):
        return None


def _write(dataset: PairedDataset, folder: Path) -> None:
    """Write what is not in a folder yet, and last the file that makes it complete."""
    for name, values in dataset.inputs.items():
        if not (folder / f"{name}.npy").exists():
            np.save(folder / f"{name}.npy", values.numpy())
    arrays, rest = _rest_of(dataset)
    np.savez(folder / _ARRAYS, allow_pickle=False, **arrays)
    for file in folder.iterdir():
        with file.open("r+b") as stream:
            os.fsync(stream.fileno())  # a complete folder must not have files that are empty after a power failure
    rest["files"] = {file.name: _state(file) for file in folder.iterdir()}
    (folder / CONTENTS).write_text(json.dumps(rest), encoding="utf-8")


def _state(file: Path) -> list[int]:
    """Its size, and when it was written: other content, which is not read here, shows in them."""
    status = file.stat()
    return [status.st_size, status.st_mtime_ns]


def _rest_of(dataset: PairedDataset) -> tuple[dict[str, Array], dict[str, Any]]:
    """The small arrays, and what JSON can hold."""
    info = dataset.info
    digests = np.frombuffer(b"".join(dataset.digests), dtype=np.uint8).reshape(len(dataset), -1)
    arrays = {"labels": dataset.labels.numpy(), "groups": dataset.groups.numpy(), "digests": digests}
    decoders: dict[str, dict[str, Any]] = {}
    for name, decoder in dataset.decoders.items():
        if isinstance(decoder, ScannerPoints):
            arrays[f"{name}.directions"] = decoder.directions.numpy()
            decoders[name] = {"max_range_m": decoder.max_range_m}
            continue
        scaled = decoder.depth if isinstance(decoder, CameraPoints) else decoder
        if isinstance(scaled, Scaled):
            arrays[f"{name}.per_unit"] = scaled.per_unit.numpy()
            decoders[name] = {"channels": scaled.channels}
        if isinstance(decoder, CameraPoints):
            arrays[f"{name}.intrinsics"] = decoder.intrinsics.numpy()
    rest = {
        "name": info.name,
        "classes": info.classes,
        "channels": dict(info.channels),
        "image_size": info.image_size,
        "modalities": {name: asdict(modality) for name, modality in info.modalities.items()},
        "names": dataset.names,
        "notes": dataset.notes,
        "assumptions": dataset.assumptions,
        "assigned": dataset.assigned,
        "decoders": decoders,
    }
    return arrays, rest


def _dataset_of(
    rest: dict[str, Any], arrays: dict[str, torch.Tensor], inputs: dict[str, torch.Tensor]
) -> PairedDataset:
    """The inverse of ``_rest_of``."""
    decoders: dict[str, Decoder] = {}
    for name, of_decoder in rest["decoders"].items():
        if f"{name}.directions" in arrays:
            decoders[name] = ScannerPoints(arrays[f"{name}.directions"], of_decoder["max_range_m"])
            continue
        scaled = Scaled(of_decoder["channels"], arrays[f"{name}.per_unit"])
        intrinsics = arrays.get(f"{name}.intrinsics")
        decoders[name] = scaled if intrinsics is None else CameraPoints(scaled, intrinsics)
    rows, columns = rest["image_size"]
    modalities = {name: Modality(**of_modality) for name, of_modality in rest["modalities"].items()}
    dataset = PairedDataset(
        info=DatasetInfo(rest["name"], tuple(rest["classes"]), rest["channels"], (rows, columns), modalities),
        inputs=inputs,
        labels=arrays["labels"],
        groups=arrays["groups"],
        names=tuple(rest["names"]),
        notes=tuple(rest["notes"]),
        decoders=decoders,
        assumptions=tuple(rest["assumptions"]),
        assigned=tuple(rest["assigned"]),
    )
    dataset.remember([digest.tobytes() for digest in arrays["digests"].numpy()])
    return dataset
