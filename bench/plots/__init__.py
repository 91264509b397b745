"""Records -> figures -> files. Nothing is measured here, and nothing is drawn on a screen.

A figure is drawn for 900 pixels of width, says in its caption what it was obtained under, and tells its lines and
points apart by style and shape, so that it survives a printer without colors.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from matplotlib import rc_context
from matplotlib.figure import Figure

from bench.plots.cost import cost
from bench.plots.curves import curves
from bench.plots.downsampling import downsampling
from bench.plots.robustness import robustness
from bench.plots.style import STYLE
from bench.records.probe import ProbeRecord
from bench.records.run import RunRecord
from bench.tables import comparable, file_stem

FIGURES: Mapping[str, Callable[[Sequence[RunRecord]], Figure | None]] = MappingProxyType(
    {"curves": curves, "cost": cost, "downsampling": downsampling}
)
"""The figures by name: functions of records that may stand together; None where these allow no such figure."""

PROBE_FIGURES: Mapping[str, Callable[[Sequence[ProbeRecord]], Figure | None]] = MappingProxyType(
    {"robustness": robustness}
)
"""Likewise, of what probes found."""

PIXELS_PER_INCH = 150


def figures(records: Sequence[RunRecord], probes: Sequence[ProbeRecord] = ()) -> dict[str, Figure]:
    """Every figure that runs and their probes allow, by the stem of its files.

    A stem is ``<figure>`` for the standard study, ``<study>-<figure>`` for the others.
    """
    with rc_context(STYLE):
        made = {
            file_stem(study, name): draw(together)
            for study, together in comparable(records).items()
            for name, draw in FIGURES.items()
        }
        made |= {
            file_stem(study, name): draw_probes(found)
            for study, found in comparable(probes).items()
            for name, draw_probes in PROBE_FIGURES.items()
        }
    return {stem: figure for stem, figure in made.items() if figure is not None}


def write_figures(records: Sequence[RunRecord], folder: Path, probes: Sequence[ProbeRecord] = ()) -> list[Path]:
    """Write every figure that runs and their probes allow as PNG and SVG, and return the files."""
    made = figures(records, probes)
    return [path for stem, figure in made.items() for path in write_figure(figure, folder, stem)]


def write_figure(figure: Figure, folder: Path, stem: str) -> list[Path]:
    """Write a figure as ``<stem>.png`` and ``.svg``, and return both; the same figure gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    png, svg = (folder / f"{stem}.{suffix}" for suffix in ("png", "svg"))
    figure.savefig(png, dpi=PIXELS_PER_INCH)
    with rc_context({"svg.hashsalt": stem}):  # of the names within the file, random otherwise
        figure.savefig(svg, metadata={"Date": None})
    return [png, svg]


__all__ = ["FIGURES", "PROBE_FIGURES", "figures", "write_figure", "write_figures"]
