"""An environment variable that libraries read on import, and raise for where they cannot use the value."""

import os
import time

EPOCH = "SOURCE_DATE_EPOCH"
"""Read by numpy (for scikit-learn): seconds since 1970, the date of what is built."""


def ignore_unusable() -> list[str]:
    """Remove a value that would fail every benchmark in the middle; a note on it, if there is one."""
    value = os.environ.get(EPOCH)
    if value is None:
        return []
    try:
        time.gmtime(int(value))
    except (ValueError, OverflowError, OSError):
        del os.environ[EPOCH]
        return [f"{EPOCH}={value!r} is not a whole number of seconds since 1970 and is ignored"]
    return []
