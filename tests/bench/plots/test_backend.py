"""What the environment says about libraries never keeps them from being loaded."""

import os
import subprocess
import sys

import pytest

FRESH = """
import os
import bench
import scipy.special, sklearn.metrics  # raise for an unusable time
import bench.plots
import matplotlib
print(os.environ.get("MPLBACKEND"), os.environ.get("SOURCE_DATE_EPOCH"), matplotlib.get_backend())
"""


@pytest.mark.parametrize(
    ("backend", "epoch", "words"),
    [
        ("nonsense", "nonsense", ["None", "None", "agg"]),
        ("svg", "1700000000", ["svg", "1700000000", "svg"]),
    ],
)
def test_libraries_are_loaded_whatever_variables_hold(backend: str, epoch: str, words: list[str]) -> None:
    environment = {**os.environ, "MPLBACKEND": backend, "SOURCE_DATE_EPOCH": epoch}
    ended = subprocess.run([sys.executable, "-c", FRESH], env=environment, capture_output=True, text=True)
    assert ended.stdout.split() == words, ended.stderr
