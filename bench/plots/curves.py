"""How the validation loss of every model falls."""

from collections.abc import Sequence
from statistics import median
from textwrap import fill

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bench.analysis.conditions import describe
from bench.analysis.frames import completed, strategy_of
from bench.analysis.quantities import chance_loss
from bench.metrics import CHOSEN
from bench.plots.style import GRAY, Band, Look, draw_bands, embedder_looks, embedder_titles, label_log_scale, sheet
from bench.records import RunRecord

PANELS_PER_ROW = 4
MARKERS_PER_LINE = 5
TITLE_CHARACTERS = 30


def curves(records: Sequence[RunRecord]) -> Figure | None:
    """Validation loss by epoch, one panel per strategy, one line per embedder; None if no record has losses.

    Lines are medians over seeds; bands reach from the lowest to the highest seed. Dotted: the loss at chance
    level, the entropy of the classes' proportions among the validation pairs (the median over runs).
    """
    done = [record for record in completed(records) if any(record.valid_losses)]
    strategies: dict[str, dict[str, list[RunRecord]]] = {}
    for record in done:
        strategies.setdefault(strategy_of(record), {}).setdefault(record.embedder, []).append(record)
    if not strategies:
        return None
    of_embedders = embedder_looks((record.reference for record in done), (record.embedder for record in done))
    names = embedder_titles(record.embedder for record in done)
    lines = [Line2D([], [], label=name, **of_embedders[embedder].of_line) for embedder, name in names.items()]
    at_chance: dict[int, list[float]] = {}
    for record in done:
        at_chance.setdefault(record.classes, []).append(chance_loss(record, CHOSEN))
    several = len({record.seed for record in done}) > 1
    spread = "lines: medians over seeds; bands: from the lowest to the highest seed"
    figure, panels = sheet(
        [fill(strategy, TITLE_CHARACTERS) for strategy in strategies],
        columns=PANELS_PER_ROW,
        height_in=1.1,
        title=f"{done[0].study}: validation loss (nats, log scale) by epoch",
        handles=[[*lines, Line2D([], [], color=GRAY, linestyle=":", label="chance level")]],
        notes=[spread if several else "one seed: no bands", *describe(records, times=False)],
        share_x=True,
    )
    for panel, embedders in zip(panels, strategies.values(), strict=True):
        for loss in filter(None, map(median, at_chance.values())):  # pairs of one class have none
            panel.axhline(loss, color=GRAY, linestyle=":", linewidth=1)
        bands = [
            _draw_line(panel, of_embedder, of_embedders[embedder], place)
            for place, (embedder, of_embedder) in enumerate(embedders.items())
        ]
        draw_bands(panel, list(filter(None, bands)))
    panels[0].set_yscale("log", nonpositive="mask")
    label_log_scale(panels[0].yaxis)
    panels[0].xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5, min_n_ticks=1))
    return figure


def _draw_line(panel: Axes, records: Sequence[RunRecord], look: Look, place: int) -> Band | None:
    """Draw the median over a model's seeds; returns the range of seeds where there are several.

    ``place`` is that of the line in the panel, so that the markers of close lines are beside each other.
    """
    losses = pd.DataFrame([record.valid_losses for record in records], dtype=float)
    epochs = range(1, losses.shape[1] + 1)
    every = max(1, len(epochs) // MARKERS_PER_LINE)
    panel.plot(epochs, losses.median(), markevery=(place % every, every), **look.of_line)
    return Band(epochs, losses.min().tolist(), losses.max().tolist(), look.color) if len(losses) > 1 else None
