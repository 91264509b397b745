"""How the C library gives memory to tensors on a CPU: a policy of glibc."""

import ctypes

# Names and numbers from glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let this process keep the memory it frees for its next tensors; returns whether the C library can.

    By default glibc maps every large block anew and returns it to the system when it is freed, so the activations
    of each training step cost page faults again. Only where memory comes from is changed, no result. The process
    stays as large as it was at its peak.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library (macOS, musl, Windows)
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))
