"""Every figure that records allow, and its files.

A figure is drawn for 900 pixels of width, tells in its caption what it was obtained under, and tells its lines and
points apart by style and shape, so that it survives a printer without colors.
"""

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from types import MappingProxyType

from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.text import Text

from bench.analysis.frames import comparable, comparable_costs, file_stem
from bench.analysis.tuning import with_best_rates
from bench.plots.cost import cost
from bench.plots.curves import curves
from bench.plots.differences import downsampling, strategies
from bench.plots.robustness import robustness
from bench.plots.scaling import scaling
from bench.plots.seeds import seeds
from bench.records import CostRecord, GrowthRecord, ProbeRecord, RunRecord, write_file

FIGURES: Mapping[str, Callable[[Sequence[RunRecord]], Figure | None]] = MappingProxyType(
    {"curves": curves, "cost": cost, "downsampling": downsampling, "strategies": strategies, "seeds": seeds}
)
"""The figures of runs by name: each takes comparable records and returns None if they lack the data for it."""

PIXELS_PER_INCH = 150


def figures(
    records: Sequence[RunRecord], probes: Sequence[ProbeRecord] = (), costs: Sequence[CostRecord] = ()
) -> dict[str, Figure]:
    """Every figure that the records allow, by the stem of its files.

    A stem is ``<figure>`` for the standard study and for costs, ``<study>-<figure>`` for the other studies.
    """
    drawn = {
        file_stem(study, name): draw(with_best_rates(together))
        for study, together in comparable(records).items()
        for name, draw in FIGURES.items()
    }
    drawn |= {
        file_stem(study, "robustness"): robustness(together) for study, together in comparable(probes).items()
    }
    growth = [record for record in costs if isinstance(record, GrowthRecord)]
    drawn |= {name: scaling(together) for name, together in comparable_costs(growth).items()}
    return {stem: figure for stem, figure in drawn.items() if figure is not None}


def write_figures(
    records: Sequence[RunRecord],
    folder: Path,
    probes: Sequence[ProbeRecord] = (),
    costs: Sequence[CostRecord] = (),
) -> list[Path]:
    """Write every figure that the records allow as PNG and SVG, and return the files."""
    paths = []
    for stem, figure in figures(records, probes, costs).items():
        for kind in ("png", "svg"):
            path = folder / f"{stem}.{kind}"
            write_file(path, image(figure, kind))
            paths.append(path)
    return paths


def image(figure: Figure, kind: str, texts: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """A figure as the content of a file of a kind ("png", "svg"); the same figure gives the same bytes.

    ``texts`` are those that a PNG holds besides its pixels. The text of an SVG is text: it is found by searches,
    and takes a third of the time and space of outlines.
    """
    content = BytesIO()
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # a name with "$" is not mathematics
    if kind == "svg":
        # Without a salt and with a date, the same figure would be another file each time; savefig draws twice.
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": "fusiongauge"}):
            FigureCanvasSVG(figure).print_svg(content, metadata={"Date": None})
    else:
        figure.savefig(content, format=kind, dpi=PIXELS_PER_INCH, metadata=dict(texts))
    return content.getvalue()
