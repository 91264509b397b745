"""Records -> figures -> files. Nothing is measured here, and nothing is drawn on a screen."""

import bench.plots.backend  # noqa: F401 - before all that imports matplotlib
from bench.plots.drawing import FIGURES, figures, image, write_figures

__all__ = ["FIGURES", "figures", "image", "write_figures"]
