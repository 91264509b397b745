"""Every seed of every model, and where the published run of a model, of one seed, lies among them."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from statistics import median
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.analysis.conditions import describe
from bench.analysis.frames import completed, grouped, strategy_of
from bench.analysis.published import CLASSES, deviations, overall_accuracy, published_studies, read_published
from bench.metrics import declarations, name_on, reported_part, value
from bench.plots.style import (
    SMALL_POINTS,
    Look,
    embedder_looks,
    embedder_titles,
    label_log_scale,
    label_shares,
    marker_handles,
    name_rows,
    sheet,
    short,
    text_width_in,
)
from bench.records import RunRecord

ROW_IN, GAP_IN = 0.17, 0.12
"""The height of a row for each of its models, and besides."""

APART_IN, LEVELS = 0.024, 5
"""Points of successive seeds differ in height by this, in a cycle of LEVELS, so that equal values are seen."""

MEDIAN, PUBLISHED = "median", "published, one run"
SIGNS: Mapping[str, dict[str, Any]] = {
    MEDIAN: {"marker": "|", "markersize": 11, "markeredgewidth": 2},
    PUBLISHED: {"marker": "*", "markersize": 11, "markerfacecolor": "white"},
}


class Panel(NamedTuple):
    """A quantity of runs, and what was published of it, by model."""

    title: str
    value: Callable[[RunRecord], float | None]
    published: Mapping[str, float]
    is_loss: bool


def seeds(records: Sequence[RunRecord]) -> Figure | None:
    """A point for each seed, one row per strategy, accuracy beside loss; None if no model has two seeds.

    For a study with published runs these are the validation results, as the published ones are.
    """
    done = completed(records)
    models = {
        strategy: grouped(runs, lambda record: record.embedder)
        for strategy, runs in grouped(done, strategy_of).items()
    }
    if all(len(runs) < 2 for of_embedder in models.values() for runs in of_embedder.values()):
        return None
    panels = _panels(done)
    of_embedders = embedder_looks((run.reference for run in done), (run.embedder for run in done))
    titles = embedder_titles(run.embedder for run in done)
    stars = any(run.model in panel.published and panel.value(run) is not None for panel in panels for run in done)
    zeros = sum(panel.value(run) == 0 for panel in panels if panel.is_loss for run in done)
    heights_in = [GAP_IN + ROW_IN * len(of_embedder) for of_embedder in models.values()]
    figure, axes = sheet(
        [panel.title for panel in panels],
        columns=len(panels),
        height_in=sum(heights_in),
        title=f"{done[0].study}: every seed",
        handles=[
            marker_handles((title, of_embedders[name]) for name, title in titles.items()),
            [
                Line2D([], [], linestyle="", color="black", label=sign, **style)
                for sign, style in SIGNS.items()
                if stars or sign != PUBLISHED
            ],
        ],
        notes=[
            "a point for each seed; how high it is in its row has no meaning",
            *(["published: on the original pairs, not on these", *deviations(done)] if stars else []),
            *([f"losses of 0, which are not shown: {zeros}"] if zeros else []),
            *describe(records),
        ],
        left_in=0.25 + max(text_width_in(short(strategy), SMALL_POINTS) for strategy in models),
    )
    tops_in = name_rows(axes, list(map(short, models)), heights_in)
    for axis, panel in zip(axes, panels, strict=True):
        for of_embedder, top_in in zip(models.values(), tops_in, strict=True):
            for place, (embedder, runs) in enumerate(of_embedder.items()):
                _draw(axis, panel, runs, top_in + GAP_IN / 2 + ROW_IN * (place + 0.5), of_embedders[embedder])
        if not panel.is_loss:
            label_shares(axis.xaxis)
        elif any((panel.value(run) or 0) > 0 for run in done):
            axis.set_xscale("log")
            label_log_scale(axis.xaxis)
    return figure


def _panels(records: Sequence[RunRecord]) -> list[Panel]:
    study = records[0].study
    if study not in published_studies():
        part = reported_part(records)
        names = {name_on(evaluated, part): evaluated == "loss" for evaluated in ("accuracy", "loss")}
        titles = {metric.name: metric.title for metric in declarations(records).values()}
        return [Panel(titles[name], partial(value, name=name), {}, is_loss) for name, is_loss in names.items()]
    # Losses and accuracies of another number of classes cannot be compared.
    rows = [row for row in read_published(study)["rows"] if records[0].classes == CLASSES]
    if any("train_and_valid_accuracy" in row for row in rows):
        of_accuracy = Panel(
            "accuracy over all pairs", overall_accuracy, _of(rows, "train_and_valid_accuracy"), is_loss=False
        )
    else:
        of_accuracy = Panel(
            "validation accuracy", attrgetter("valid_accuracy"), _of(rows, "valid_accuracy"), is_loss=False
        )
    loss = "best_valid_loss"
    return [of_accuracy, Panel("best validation loss", attrgetter(loss), _of(rows, loss), is_loss=True)]


def _of(rows: Sequence[Mapping[str, Any]], field: str) -> dict[str, float]:
    """A field of published rows, of the models that have it."""
    return {row["model"]: row[field] for row in rows if row.get(field) is not None}


def _draw(axis: Axes, panel: Panel, runs: Sequence[RunRecord], height_in: float, look: Look) -> None:
    """The seeds of one model, their median and the published value."""
    values = [found for run in runs if (found := panel.value(run)) is not None]
    if not values:
        return
    heights_in = [height_in + APART_IN * (number % LEVELS - LEVELS // 2) for number in range(len(values))]
    style: dict[str, Any] = {"linestyle": "", "color": look.color, "marker": look.marker}
    axis.plot(values, heights_in, markersize=4.5, alpha=0.5, **style)
    for sign, x in {MEDIAN: median(values), PUBLISHED: panel.published.get(runs[0].model)}.items():
        if x is not None:
            axis.plot(x, height_in, linestyle="", color="black", **SIGNS[sign])
