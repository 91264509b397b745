"""How the C library hands memory to tensors on a CPU."""

import ctypes

# Names and numbers from glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_MMAP_MAX = -4
_NEVER = 2**31 - 1
_DEFAULT_MMAP_MAX = 2**16
_HIGHEST_MMAP_THRESHOLD = 32 * 2**20


def keep_freed_memory() -> bool:
    """Let this process keep the memory it frees for its next tensors; returns whether the C library could.

    glibc maps every large block afresh and gives it back when it is freed, so each activation of each training
    step is paid for again, page fault by page fault. Only where memory comes from is changed, no result. The
    process stays as large as it once was.
    """
    return _set({_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: _NEVER})


def give_back_freed_memory() -> bool:
    """Take ``keep_freed_memory`` back, to time what a process without it does; returns whether that could be.

    What is free now is given back at once. glibc raises its two thresholds by itself until it is told numbers;
    here they are set as high as it would ever go, so that from now on it rather gives back too little.
    """
    highest = {_M_MMAP_THRESHOLD: _HIGHEST_MMAP_THRESHOLD, _M_TRIM_THRESHOLD: 2 * _HIGHEST_MMAP_THRESHOLD}
    if not _set({_M_MMAP_MAX: _DEFAULT_MMAP_MAX, **highest}):
        return False
    ctypes.CDLL(None).malloc_trim(0)
    return True


def _set(parameters: dict[int, int]) -> bool:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library (macOS, musl, Windows)
        return False
    return all(bool(mallopt(name, value)) for name, value in parameters.items())
