"""Reading single files: color PNG, 16-bit depth PNG and npy planes; every flaw ends in a DataError.

Sizes are taken from the file's header and checked before anything is decoded, so a small file cannot claim a
huge image.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from data_utils.dataset import DataError

MAX_PIXELS = 4096 * 4096
"""The largest image or plane that is read."""

_SHOWN = 3  # further files that a message names
_PNG_HEADER = struct.Struct(">8s4x4sIIBB")  # signature, (length), "IHDR", width, height, bits, color type
_GRAY, _PALETTE = 0, 3  # color types


def stack(what: str, read: Callable[[Path], Tensor], paths: Sequence[Path]) -> Tensor:
    """Reads files of one shape into one tensor (N, ...), in the order of the paths.

    Args:
        what: What the files are called in a message.
        read: One of the readers below.
        paths: At least one.

    Raises:
        DataError: Files cannot be used (the first is explained, some others named), or their shapes differ.
    """
    # One after the other: threads gain little, and numpy's parsing of npy headers is not safe in them (it uses
    # `ast`, whose recursion check fails now and then when two threads parse: CPython 3.11, SystemError).
    tensors: list[Tensor] = []
    flaws: list[tuple[Path, DataError]] = []
    for path in paths:
        try:
            tensors.append(read(path))
        except DataError as flaw:
            flaws.append((path, flaw))
    if flaws:
        others = ", ".join(str(path) for path, _ in flaws[1 : 1 + _SHOWN])
        more = f" {len(flaws) - 1} more {what} file(s) cannot be used, such as {others}." if others else ""
        raise DataError(f"{flaws[0][1]}{more}")
    for path, tensor in zip(paths, tensors, strict=True):
        if tensor.shape != tensors[0].shape:
            raise DataError(
                f"{path} has the shape {tuple(tensor.shape)} and {paths[0]} {tuple(tensors[0].shape)}; "
                f"bring all {what} files to one size."
            )
    return torch.stack(tensors)


def read_rgba(path: Path) -> Tensor:
    """A color PNG of 8 bits as uint8 (4, H, W); without transparency alpha is 255.

    Raises:
        DataError: The file is missing, damaged, too large or no PNG of 8 bits a channel.
    """
    data, bits, color_type = _png_bytes(path)
    if bits != 8 and color_type != _PALETTE:
        raise DataError(f"{path} has {bits} bits a channel; save it as a PNG of 8 bits.")
    # Imported here: torchvision takes a second to load, and simulated data need none of it.
    from torchvision.transforms.v2.functional import pil_to_tensor

    image: Tensor = pil_to_tensor(_decode(path, data).convert("RGBA"))
    return image


def read_depth(path: Path) -> Tensor:
    """A depth image in meters as float32 (H, W), 0 where nothing was measured.

    Args:
        path: A gray PNG of 16 bits in millimeters, or a npy of floats in meters.

    Raises:
        DataError: The file is missing, damaged, too large, of another kind, or has negative or infinite depths.
    """
    if path.suffix.lower() == ".npy":
        return read_plane(path)
    data, bits, color_type = _png_bytes(path)
    if (bits, color_type) != (16, _GRAY):
        raise DataError(
            f"{path} is no gray PNG of 16 bits; save depth as one (in millimeters) or as .npy (in meters)."
        )
    return torch.from_numpy(np.array(_decode(path, data), dtype=np.float32)) / 1000


def read_plane(path: Path) -> Tensor:
    """A npy of distances in meters as float32 (R, C).

    Raises:
        DataError: The file is missing, damaged or too large, is not a plane of floats, or has a NaN, an
            infinity or a negative distance in it.
    """
    plane = _read_npy(path, dimensions=2)
    if not bool(torch.isfinite(plane).all()):
        raise DataError(f"{path} has NaN or infinity in it; store a finite distance for every pixel.")
    if bool((plane < 0).any()):
        raise DataError(f"{path} has negative distances in it; store distances in meters, 0 or more.")
    return plane.float()


def read_angles(path: Path) -> Tensor:
    """A npy of angles in radians as float64 (A,).

    Raises:
        DataError: The file is missing, damaged, not a list of floats, or has something else than angles in it.
    """
    return check_angles(str(path), _read_npy(path, dimensions=1))


def check_angles(place: str, angles: Tensor) -> Tensor:
    """The angles as float64.

    Args:
        place: Where they come from, for the message.
        angles: (A,).

    Raises:
        DataError: There are values beyond a full turn, or NaN.
    """
    if not bool((angles.abs() <= 2 * torch.pi).all()):  # false for NaN too
        raise DataError(f"{place} has values beyond a full turn in it; store the angles in radians.")
    return angles.double()


def _read_npy(path: Path, dimensions: int) -> Tensor:
    try:
        # Mapped into memory, so that shape and type are known before anything is read; never unpickles.
        array = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; restore it or leave its pair out.") from None
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f"{path} cannot be read as a plain npy array ({error}); save it again with "
            "numpy.save(..., allow_pickle=False)."
        ) from None
    if array.ndim != dimensions or array.dtype.kind != "f":
        raise DataError(
            f"{path} holds {array.dtype} of shape {array.shape}; save floats with {dimensions} dimension(s)."
        )
    if array.size > MAX_PIXELS:
        raise DataError(f"{path} holds {array.size} values; make it smaller, at most {MAX_PIXELS} are read.")
    return torch.from_numpy(array.astype(np.float64))


def _png_bytes(path: Path) -> tuple[bytes, int, int]:
    """Content, bits a channel and color type of a PNG of acceptable size."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); restore it or leave its pair out.") from None
    if len(data) < _PNG_HEADER.size:
        raise DataError(f"{path} is cut short or no PNG; restore it or leave its pair out.")
    signature, chunk, width, height, bits, color_type = _PNG_HEADER.unpack_from(data)
    if signature != b"\x89PNG\r\n\x1a\n" or chunk != b"IHDR":
        raise DataError(f"{path} is no PNG; convert it to one.")
    if width * height > MAX_PIXELS:
        raise DataError(f"{path} has {width} x {height} pixels; make it smaller, at most {MAX_PIXELS} are read.")
    return data, bits, color_type


def _decode(path: Path, data: bytes) -> Image.Image:
    """The decoded PNG, in the file's own mode."""
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            return image.copy()
    except (OSError, SyntaxError, ValueError, struct.error):  # what Pillow raises on damaged files
        raise DataError(f"{path} is damaged or cut short; restore it or leave its pair out.") from None
