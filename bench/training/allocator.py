"""How the C library hands memory to tensors on a CPU: two policies of glibc."""

import ctypes

# Names and numbers from glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_MMAP_MAX = -4
_NEVER = 2**31 - 1
_MAPPED_BLOCKS = 65_536
"""glibc's default of M_MMAP_MAX."""
LOWEST_MMAP_THRESHOLD, HIGHEST_MMAP_THRESHOLD = 128 * 2**10, 32 * 2**20
"""DEFAULT_MMAP_THRESHOLD_MIN and _MAX of a 64-bit glibc: no other block teaches it anything."""
_OVERHEAD = 4096
"""A mapped block is rounded up to whole pages, with its header."""


def keep_freed_memory() -> bool:
    """Let this process keep the memory it frees for its next tensors; returns whether the C library could.

    glibc maps every large block afresh and gives it back when it is freed, so each activation of each training
    step is paid for again, page fault by page fault. Only where memory comes from is changed, no result. The
    process stays as large as it once was.
    """
    return _set({_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: _NEVER})


def give_back_freed_memory(largest_block: int) -> bool:
    """Let this process give freed memory back as glibc does by itself; returns whether the C library could.

    By itself glibc learns from the blocks it maps: once one is freed, blocks of its size come from the heap, whose
    end is given back where twice as much is free. It learns no more once it has been told anything, so it is told
    what it would have learned.

    Args:
        largest_block: the largest block that was freed, in bytes, of those up to HIGHEST_MMAP_THRESHOLD.
    """
    threshold = min(max(largest_block + _OVERHEAD, LOWEST_MMAP_THRESHOLD), HIGHEST_MMAP_THRESHOLD)
    return _set({_M_MMAP_MAX: _MAPPED_BLOCKS, _M_MMAP_THRESHOLD: threshold, _M_TRIM_THRESHOLD: 2 * threshold})


def _set(parameters: dict[int, int]) -> bool:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library (macOS, musl, Windows)
        return False
    return all(mallopt(parameter, value) for parameter, value in parameters.items())
