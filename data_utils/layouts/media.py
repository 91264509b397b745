"""Reading single files: color PNG, 16-bit depth PNG and npy arrays; every defect raises a DataError.

Sizes are read from the file's header and checked before anything is decoded, so a small file that claims to be a
huge image takes no memory.
"""

import io
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from data_utils.errors import DataError

MAX_PIXELS = 4096 * 4096
"""The largest image or array that is read."""

_PNG_HEADER = struct.Struct(">8s4x4sIIBB")  # signature, (length), "IHDR", width, height, bits, color type
_GRAY, _PALETTE = 0, 3  # color types


def stack(what: str, read: Callable[[Path], Tensor], paths: Sequence[Path]) -> Tensor:
    """Read files of one shape into one tensor (N, ...), in the order of the paths.

    Args:
        what: What messages call the files.
        read: One of the readers below.
        paths: At least one.

    Raises:
        DataError: Files cannot be used (the message explains the first and names some others), or their shapes
            differ.
    """
    # Without threads: they gain little, and numpy's parsing of npy headers is not thread-safe (it uses `ast`,
    # whose recursion check occasionally fails when two threads parse: CPython 3.11, SystemError).
    tensors: list[Tensor] = []
    errors: list[tuple[Path, DataError]] = []
    for path in paths:
        try:
            tensors.append(read(path))
        except DataError as error:
            errors.append((path, error))
    if errors:
        others = ", ".join(str(path) for path, _ in errors[1:4])
        more = f" {len(errors) - 1} more {what} file(s) cannot be used, such as {others}." if others else ""
        raise DataError(f"{errors[0][1]}{more}")
    for path, tensor in zip(paths, tensors, strict=True):
        if tensor.shape != tensors[0].shape:
            raise DataError(
                f"{path} has the shape {tuple(tensor.shape)}, but {paths[0]} has {tuple(tensors[0].shape)}; "
                f"bring all {what} files to one size."
            )
    return torch.stack(tensors)


def read_rgba(path: Path) -> Tensor:
    """An 8-bit color PNG as uint8 (4, H, W); without transparency alpha is 255.

    Raises:
        DataError: The file is missing, damaged, too large or not a PNG with 8 bits per channel.
    """
    data, bits, color_type = _png_bytes(path)
    if bits != 8 and color_type != _PALETTE:
        raise DataError(f"{path} has {bits} bits per channel; save it as an 8-bit PNG.")
    # Imported here: torchvision takes a second to load, and simulated data do not need it.
    from torchvision.transforms.v2.functional import pil_to_tensor

    image: Tensor = pil_to_tensor(_decode(path, data).convert("RGBA"))
    return image


def read_depth(path: Path) -> Tensor:
    """A depth image in meters as float32 (H, W), 0 where nothing was measured.

    Args:
        path: A 16-bit gray PNG in millimeters, or a npy of floats in meters.

    Raises:
        DataError: The file is missing, damaged, too large, of another kind, or has negative or infinite depths.
    """
    if path.suffix.lower() == ".npy":
        return read_plane(path)
    data, bits, color_type = _png_bytes(path)
    if (bits, color_type) != (16, _GRAY):
        raise DataError(
            f"{path} is not a 16-bit gray PNG; save depth as one (in millimeters) or as .npy (in meters)."
        )
    return torch.from_numpy(np.array(_decode(path, data), dtype=np.float32)) / 1000


def read_plane(path: Path) -> Tensor:
    """A npy of distances in meters as float32 (R, C).

    Raises:
        DataError: The file is missing, damaged or too large, is not a two-dimensional array of floats, or contains
            NaN, infinity or a negative distance.
    """
    plane = _read_npy(path, dimensions=2)
    if not bool(torch.isfinite(plane).all()):
        raise DataError(f"{path} contains NaN or infinity; store a finite distance for every pixel.")
    if bool((plane < 0).any()):
        raise DataError(f"{path} contains negative distances; store distances in meters, 0 or more.")
    return plane.float()


def read_angles(path: Path) -> Tensor:
    """A npy of angles in radians as float64 (A,).

    Raises:
        DataError: The file is missing, damaged, not a one-dimensional array of floats, or holds values that cannot
            be angles.
    """
    return check_angles(str(path), _read_npy(path, dimensions=1))


def check_angles(place: str, angles: Tensor) -> Tensor:
    """The angles (A,) as float64; ``place`` is where they come from, for the message.

    Raises:
        DataError: There are values above a full turn, or NaN.
    """
    if not bool((angles.abs() <= 2 * torch.pi).all()):  # false for NaN too
        raise DataError(f"{place} contains values above a full turn; store the angles in radians.")
    return angles.double()


def _read_npy(path: Path, dimensions: int) -> Tensor:
    try:
        # Memory-mapped, so that shape and type are checked before anything is read; never unpickles.
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
        raise DataError(f"{path} holds {array.size} values, and the limit is {MAX_PIXELS}; make it smaller.")
    return torch.from_numpy(array.astype(np.float64))


def _png_bytes(path: Path) -> tuple[bytes, int, int]:
    """Content, bits per channel and color type of a PNG of acceptable size."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); restore it or leave its pair out.") from None
    if len(data) < _PNG_HEADER.size:
        raise DataError(f"{path} is truncated or not a PNG; restore it or leave its pair out.")
    signature, chunk, width, height, bits, color_type = _PNG_HEADER.unpack_from(data)
    if signature != b"\x89PNG\r\n\x1a\n" or chunk != b"IHDR":
        raise DataError(f"{path} is not a PNG; convert it to one.")
    if width * height > MAX_PIXELS:
        raise DataError(f"{path} has {width} x {height} pixels, and the limit is {MAX_PIXELS}; make it smaller.")
    return data, bits, color_type


def _decode(path: Path, data: bytes) -> Image.Image:
    """The decoded PNG, in the file's own mode."""
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            return image.copy()
    except (OSError, SyntaxError, ValueError, struct.error):  # what Pillow raises on damaged files
        raise DataError(f"{path} is damaged or truncated; restore it or leave its pair out.") from None
