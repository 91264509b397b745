"""Environment variables that libraries read on import, and raise for where they cannot use the value."""

from __future__ import annotations

import os
import re

EPOCH = "SOURCE_DATE_EPOCH"
"""Read by numpy (for scikit-learn) and matplotlib: whole seconds since 1970."""


def ignore_unusable() -> list[str]:
    """Remove values that would fail every benchmark in the middle; a note on each."""
    value = os.environ.get(EPOCH)
    if value is None or re.fullmatch(r"\s*[+-]?\d+\s*", value):
        return []
    del os.environ[EPOCH]
    return [f"{EPOCH}={value!r} is not a whole number of seconds and is ignored"]
