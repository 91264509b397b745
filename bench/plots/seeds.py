"""Every seed of every model, and where the published run of a model, of one seed, lies among them."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import accumulate
from operator import attrgetter
from statistics import fmean
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.analysis.conditions import describe
from bench.analysis.frames import completed, grouped, strategy_of
from bench.analysis.published import measured_accuracy, published_studies, read_published
from bench.metrics import declarations, name_on, reported_part, value
from bench.plots.style import (
    SMALL_POINTS,
    Look,
    embedder_looks,
    embedder_titles,
    label_log_scale,
    label_shares,
    marker_handles,
    sheet,
    short,
    text_width_in,
)
from bench.records import RunRecord

ROW_IN, GAP_IN = 0.17, 0.12
"""The height of a row for each of its models, and besides."""

MEAN, PUBLISHED = "mean", "published, one run"
SIGNS: Mapping[str, dict[str, Any]] = {
    MEAN: {"marker": "|", "markersize": 11, "markeredgewidth": 2},
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
    of_strategies = grouped(done, strategy_of)
    models = {strategy: grouped(runs, lambda record: record.embedder) for strategy, runs in of_strategies.items()}
    if all(len(runs) < 2 for of_embedder in models.values() for runs in of_embedder.values()):
        return None
    panels = _panels(done)
    of_embedders = embedder_looks((run.reference for run in done), (run.embedder for run in done))
    titles = embedder_titles(run.embedder for run in done)
    shown = [sign for sign in SIGNS if sign == MEAN or any(panel.published for panel in panels)]
    heights_in = [GAP_IN + ROW_IN * len(of_embedder) for of_embedder in models.values()]
    bottoms_in = list(accumulate(heights_in))
    figure, axes = sheet(
        [panel.title for panel in panels],
        columns=len(panels),
        height_in=bottoms_in[-1],
        title=f"{done[0].study}: every seed",
        handles=[
            marker_handles((title, of_embedders[name]) for name, title in titles.items()),
            [Line2D([], [], linestyle="", color="black", label=sign, **SIGNS[sign]) for sign in shown],
        ],
        notes=[
            "a point for each seed"
            + ("; published: on the original pairs, not on these" if len(shown) > 1 else ""),
            *describe(records),
        ],
        left_in=0.25 + max(text_width_in(short(strategy), SMALL_POINTS) for strategy in models),
    )
    for axis, panel in zip(axes, panels, strict=True):
        axis.grid(visible=False, axis="y")
        for number, (of_embedder, height_in, bottom_in) in enumerate(
            zip(models.values(), heights_in, bottoms_in, strict=True)
        ):
            top_in = bottom_in - height_in
            if number % 2:
                axis.axhspan(top_in, bottom_in, color="0.96", zorder=0)
            for place, (embedder, runs) in enumerate(of_embedder.items()):
                _draw(axis, panel, runs, top_in + GAP_IN / 2 + ROW_IN * (place + 0.5), of_embedders[embedder])
        if panel.is_loss:
            axis.set_xscale("log")
            label_log_scale(axis.xaxis)
        else:
            label_shares(axis.xaxis)
    middles_in = [bottom_in - height_in / 2 for bottom_in, height_in in zip(bottoms_in, heights_in, strict=True)]
    axes[0].set_yticks(middles_in, map(short, models))
    axes[0].set_ylim(bottoms_in[-1], 0)
    return figure


def _panels(records: Sequence[RunRecord]) -> list[Panel]:
    study = records[0].study
    if study not in published_studies():
        part = reported_part(records)
        names = {name_on(evaluated, part): evaluated == "loss" for evaluated in ("accuracy", "loss")}
        titles = {metric.name: metric.title for metric in declarations(records).values()}
        return [Panel(titles[name], partial(value, name=name), {}, is_loss) for name, is_loss in names.items()]
    rows = {row["model"]: row for row in read_published(study)["rows"]}
    over_all = "train_and_valid_accuracy"
    accuracy = over_all if any(over_all in row for row in rows.values()) else "valid_accuracy"
    return [
        Panel(
            "accuracy over all pairs" if accuracy == over_all else "validation accuracy",
            lambda run: measured_accuracy(rows.get(run.model, {}), run),
            _of(rows, accuracy),
            is_loss=False,
        ),
        Panel("best validation loss", attrgetter("best_valid_loss"), _of(rows, "best_valid_loss"), is_loss=True),
    ]


def _of(rows: Mapping[str, Mapping[str, Any]], field: str) -> dict[str, float]:
    """A field of published rows, of the models that have it."""
    return {model: row[field] for model, row in rows.items() if row.get(field) is not None}


def _draw(axis: Axes, panel: Panel, runs: Sequence[RunRecord], height_in: float, look: Look) -> None:
    """The seeds of one model, their mean and the published value."""
    values = [found for run in runs if (found := panel.value(run)) is not None]
    if not values:
        return
    axis.plot(
        values,
        [height_in] * len(values),
        linestyle="",
        color=look.color,
        marker=look.marker,
        markersize=5,
        alpha=0.5,
    )
    signs = {MEAN: fmean(values), PUBLISHED: panel.published.get(runs[0].model)}
    for sign, x in signs.items():
        if x is not None:
            axis.plot(x, height_in, linestyle="", color="black", **SIGNS[sign])
