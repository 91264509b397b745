"""How the validation loss of every model falls."""

from collections.abc import Sequence
from math import ceil, log
from textwrap import fill

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bench.plots.style import EMBEDDERS, GRAY, WIDTH_IN, Look, describe, label_log_scale
from bench.records.run import RunRecord
from bench.tables import completed, conditions, strategy_of

PANELS_A_ROW = 4
PANEL_HEIGHT_IN = 1.5
MARKERS_A_LINE = 5
TITLE_CHARACTERS = 30


def curves(records: Sequence[RunRecord]) -> Figure | None:
    """Validation loss by epoch, a panel a strategy, a line an embedder; None if no run was completed.

    Lines are medians over seeds; bands reach from the lowest to the highest seed.
    """
    done = completed(records)
    strategies: dict[str, dict[str, list[RunRecord]]] = {}
    for record in done:
        strategies.setdefault(strategy_of(record), {}).setdefault(record.embedder, []).append(record)
    if not strategies:
        return None
    columns = min(PANELS_A_ROW, len(strategies))
    rows = ceil(len(strategies) / columns)
    figure = Figure(figsize=(WIDTH_IN, PANEL_HEIGHT_IN * rows + 1.5), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    panels: list[Axes] = list(grid.flat)
    guessing = {log(record.classes) for record in done}
    for panel, (strategy, embedders) in zip(panels, strategies.items(), strict=False):
        panel.set_title(fill(strategy, TITLE_CHARACTERS), loc="left", fontsize=8)
        for loss in guessing:
            panel.axhline(loss, color=GRAY, linestyle=":", linewidth=1)
        for embedder, of_embedder in embedders.items():
            _draw_line(panel, of_embedder, EMBEDDERS[embedder])
    _set_scales(panels[0])
    _drop(panels[len(strategies) :], above=panels[len(strategies) - columns : len(panels) - columns])
    shown = {record.embedder: EMBEDDERS[record.embedder] for record in done}
    handles = [
        Line2D([], [], color=look.color, linestyle=look.line, marker=look.marker, label=look.title)
        for look in shown.values()
    ]
    handles.append(Line2D([], [], color=GRAY, linestyle=":", label="even guessing"))
    several = len({record.seed for record in done}) > 1
    spread = (
        "lines: medians over seeds; bands: from the lowest to the highest seed"
        if several
        else "one seed: no bands"
    )
    title = f"{done[0].study}: validation loss (nats, log scale) by epoch"
    describe(figure, title, handles, [spread, *conditions(records)])
    return figure


def _draw_line(panel: Axes, records: Sequence[RunRecord], look: Look) -> None:
    """The median over seeds, and the range of seeds where there are several."""
    losses = pd.DataFrame([record.valid_losses for record in records], dtype=float)
    epochs = range(1, losses.shape[1] + 1)
    panel.plot(
        epochs,
        losses.median(),
        color=look.color,
        linestyle=look.line,
        marker=look.marker,
        markevery=max(1, len(epochs) // MARKERS_A_LINE),
        markersize=4,
    )
    if len(losses) > 1:
        panel.fill_between(epochs, losses.min(), losses.max(), color=look.color, alpha=0.2, linewidth=0)


def _set_scales(panel: Axes) -> None:
    """Whole epochs, and losses on a log scale with plain figures; all panels share them."""
    panel.set_yscale("log", nonpositive="mask")
    label_log_scale(panel.yaxis)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))


def _drop(unused: Sequence[Axes], above: Sequence[Axes]) -> None:
    """Take panels away, and give the numbers of their axis to those above."""
    for panel in unused:
        panel.remove()
    for panel in above:
        panel.tick_params(labelbottom=True)
