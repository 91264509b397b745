"""Decoded files kept on disk: the next start maps them, and a data set can be larger than memory.

A data set has a folder with one npy file per modality, which is mapped and never loaded as a whole, and the rest
in one JSON and one npz file. It is written under a temporary name and then renamed; its name depends on the files
(names, sizes, times of change), on what is declared of them and on the code that decodes. Room is reserved before
anything is written, so that a full disk is an error and not a crash; the data are then kept in memory.
"""

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL
import torch

from data_utils.dataset import DatasetInfo, PairedDataset
from data_utils.decoding import CameraPoints, Decoder, Scaled, ScannerPoints
from data_utils.layouts import media, planes, sizes
from data_utils.modality import Modality
from fusiongauge import tree_sha256

SMALLEST_BYTES = 1 << 26
"""Files that take less are decoded at every start: that takes about as long as looking them up."""

_CODE = (media, planes, sizes)
_REST, _ARRAYS = "dataset.json", "arrays.npz"

Array = npt.NDArray[Any]


class Workspace:
    """A new folder in which the arrays of one data set are filled; without a place for it they are in memory.

    Args:
        folder: Of the cache; None to keep everything in memory.
        key: Names the data set there.
    """

    def __init__(self, folder: Path | None, key: str) -> None:
        self.notes: list[str] = []
        self._final = None if folder is None else folder / f"decoded-{key[:16]}"
        self._temporary: Path | None = None

    def empty(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """An array to fill, mapped from a file if it is large; zero where it is not filled.

        Raises:
            MemoryError: It fits neither on the disk nor in memory.
        """
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        if self._final is None or (size < SMALLEST_BYTES and self._temporary is None):
            return np.zeros(shape, dtype)
        try:
            if self._temporary is None:
                self._final.parent.mkdir(parents=True, exist_ok=True)
                self._temporary = Path(tempfile.mkdtemp(prefix=f"{self._final.name}.", dir=self._final.parent))
            file = self._temporary / f"{name}.npy"
            file.unlink(missing_ok=True)
            array = np.lib.format.open_memmap(file, "w+", dtype, shape)
            with file.open("r+b") as stream:
                os.posix_fallocate(stream.fileno(), 0, array.offset + size)
        except (OSError, AttributeError) as error:  # systems without posix_fallocate
            self.discard()
            self._final = None
            reason = getattr(error, "strerror", None) or error
            self.notes.append(f"The decoded files are kept in memory, as the cache cannot be written ({reason}).")
            return np.zeros(shape, dtype)
        return array

    def keep(self, dataset: PairedDataset) -> PairedDataset:
        """Write the rest of the data set, and return it mapped from the cache; itself if nothing was written."""
        if self._temporary is None or self._final is None:
            return dataset
        try:
            for name, values in dataset.inputs.items():
                if not (self._temporary / f"{name}.npy").exists():
                    np.save(self._temporary / f"{name}.npy", values.numpy())
            arrays, rest = _rest_of(dataset)
            np.savez(self._temporary / _ARRAYS, allow_pickle=False, **arrays)
            (self._temporary / _REST).write_text(json.dumps(rest), encoding="utf-8")
            if mapped(self._final) is None:  # else another process was faster
                shutil.rmtree(self._final, ignore_errors=True)
                self._temporary.replace(self._final)
            kept = mapped(self._final)
        except OSError as error:
            self.notes.append(f"The decoded files could not be written to the cache ({error.strerror}).")
            kept = None
        self.discard()
        return kept or dataset

    def discard(self) -> None:
        """Remove what was not kept; arrays that are mapped from it stay readable."""
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary = None


def mapped_of(folder: Path, key: str) -> PairedDataset | None:
    """The data set of a key, mapped from a cache; None if it is not there, or not complete."""
    place = folder / f"decoded-{key[:16]}"
    dataset = mapped(place)
    if dataset is not None:
        with suppress(OSError):
            os.utime(place)
    return dataset


def mapped(place: Path) -> PairedDataset | None:
    """The data set in a folder; None if it is not complete."""
    try:
        rest = json.loads((place / _REST).read_text(encoding="utf-8"))
        with (place / _ARRAYS).open("rb") as stream, np.load(stream) as content:
            arrays = {name: torch.from_numpy(content[name]) for name in content.files}
        # Copy on write: torch has no tensors that cannot be written, and nothing writes to these.
        inputs = {
            name: torch.from_numpy(np.load(place / f"{name}.npy", mmap_mode="c")) for name in rest["channels"]
        }
        return _dataset_of(rest, arrays, inputs)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return None


def key_of(files: Iterator[Path], declared: object) -> str:
    """The key of files and of everything that decides what is made of them.

    Raises:
        OSError: A file cannot be found.
    """
    code = [tree_sha256(Path(str(module.__file__))) for module in _CODE]
    digest = hashlib.sha256(repr((code, np.__version__, PIL.__version__, declared)).encode("utf-8", "replace"))
    for file in files:
        status = file.stat()
        digest.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _rest_of(dataset: PairedDataset) -> tuple[dict[str, Array], dict[str, Any]]:
    """The small arrays, and what JSON can hold."""
    info = dataset.info
    arrays = {"labels": dataset.labels.numpy(), "groups": dataset.groups.numpy()}
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
    return PairedDataset(
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
