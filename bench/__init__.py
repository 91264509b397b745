"""How models are compared: runs, records, statistics, tables. Names are loaded on first use."""

import os

import lazy_loader

import fusiongauge  # noqa: F401 - before libraries that raise for a variable which it removes

# For ``bench.training.seeding.deterministic``; here, as cuBLAS reads it once, before the first matrix product of
# the process.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
