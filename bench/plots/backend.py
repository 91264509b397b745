"""Loads matplotlib, whatever MPLBACKEND names: figures are drawn into files, which needs no screen.

On import, matplotlib raises for a backend that it does not know.
"""

import importlib
import os
from contextlib import suppress


def _load() -> None:
    named = os.environ.pop("MPLBACKEND", "")
    matplotlib = importlib.import_module("matplotlib")
    if named:
        with suppress(ValueError):
            matplotlib.rcParams["backend"] = named  # as it does on import
            os.environ["MPLBACKEND"] = named


_load()
