"""How the elements of batches and weights lie in memory: one layout per kind of device, the faster one there.

Fixed and not measured anew in every session, where noise would decide over bits. ``tools/gpu_check.sh`` measures
both layouts on a GPU; docs/speed.md has what it measured.
"""

import torch

LAYOUTS = {"cpu": torch.channels_last, "cuda": torch.contiguous_format}
"""By the type of the device."""

_NAMES = {torch.channels_last: "channels last", torch.contiguous_format: "contiguous"}


def layout_of(device: torch.device | str) -> torch.memory_format:
    """The layout of (N, C, H, W) tensors on a device; that of the CPU on other types, where none was measured."""
    return LAYOUTS.get(torch.device(device).type, torch.channels_last)


def layout_name(device: torch.device | str) -> str:
    """The layout in words, for records."""
    return _NAMES[layout_of(device)]
