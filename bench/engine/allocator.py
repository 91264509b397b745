"""How the C library hands memory to tensors on a CPU."""

import ctypes

# Names and numbers from glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let this process keep the memory it frees for its next tensors; returns whether the C library could.

    glibc maps every large block afresh and gives it back when it is freed, so each activation of each training
    step is paid for again, page fault by page fault. Only where memory comes from is changed, no result. The
    process stays as large as it once was.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library (macOS, musl, Windows)
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))
