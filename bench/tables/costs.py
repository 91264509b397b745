"""The tables of what was measured beside the trainings: inference, growth, the engine, memory."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite, nan
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.conditions import describe_cost
from bench.analysis.costs import (
    exponent,
    lightning_ratio,
    loss_differences,
    mean_lightning_ratio,
    mean_ratio,
    medians,
    ratio,
    ratios,
)
from bench.analysis.formats import number
from bench.analysis.frames import comparable_costs
from bench.analysis.statistics import CONFIDENCE
from bench.records import CostRecord, GrowthRecord, InferenceRecord, RaceRecord, ResidentRecord
from bench.tables.text import TextTable

_INTERVAL = f"{CONFIDENCE:.0%} interval"


def cost_tables(costs: Iterable[CostRecord]) -> list[TextTable]:
    """Every table that these records allow, one per kind and conditions."""
    return [_TABLES[type(records[0])](name, records) for name, records in comparable_costs(costs).items()]


def inference_table(name: str, records: Sequence[InferenceRecord]) -> TextTable:
    """One row per model, in the order they were measured; passes of one pair are latency, of more throughput.

    Replays of CUDA graphs have a column of their own, if there are any.
    """
    latency = {record.model: record for record in records if record.batch_size == 1 and not record.graph}
    replayed = {record.model: record for record in records if record.batch_size == 1 and record.graph}
    throughput = {record.model: record for record in records if record.batch_size > 1}
    rows, data = [], []
    for model, parameters in {record.model: record.parameters for record in records}.items():
        single, many = latency.get(model), throughput.get(model)
        seconds = median(single.seconds) if single else nan
        spread = float(np.subtract(*np.quantile(single.seconds, (0.75, 0.25)))) if single else nan
        rate = many.batch_size / median(many.seconds) if many else nan
        milliseconds = (number(1e3 * seconds, ".2f"), number(1e3 * spread, ".2f"))
        graph = median(replayed[model].seconds) if model in replayed else nan
        of_graph = [number(1e3 * graph, ".2f")] if replayed else []
        rows.append([model, f"{parameters:,}", *milliseconds, *of_graph, number(rate, ",.0f")])
        data.append([model, parameters, seconds, spread, graph, many and many.batch_size, rate])
    columns = ["model", "parameters", "latency_seconds", "latency_iqr_seconds", "graph_latency_seconds"]
    columns += ["throughput_batch", "pairs_per_second"]
    batches = ", ".join(dict.fromkeys(str(record.batch_size) for record in throughput.values()))
    return TextTable(
        name=name,
        title="Inference",
        header=[
            *("model", "parameters", "latency (ms)", "its IQR (ms)"),
            *(["latency as a graph (ms)"] if replayed else []),
            "throughput (pairs/s)",
        ],
        labels=1,
        rows=rows,
        notes=[
            "forward passes with untrained weights, medians; latency: of a single pair"
            + ("; as a graph: the same pass as the replay of a CUDA graph" if replayed else "")
            + (f"; throughput: in batches of {batches}" if batches else "")
        ],
        conditions=describe_cost(records[0]),
        data=pd.DataFrame(data, columns=columns),
    )


def scaling_table(name: str, records: Sequence[GrowthRecord]) -> TextTable:
    """One row per axis and model: the cost at both ends and the exponent between them."""
    latest = {(record.axis, record.model): record for record in records}
    axes = {record.axis: record for record in records}
    rows, data = [], []
    for record in sorted(latest.values(), key=lambda record: list(axes).index(record.axis)):
        seconds, slope = medians(record), exponent(record)
        ends = [f"{record.sizes[0]} to {record.sizes[-1]}", f"{1e3 * seconds[0]:.1f}", f"{1e3 * seconds[-1]:.1f}"]
        interval = f"{slope.low:.2f} to {slope.high:.2f}" if isfinite(slope.low) else "-"
        rows.append([record.axis, record.model, *ends, f"{slope.mean:.2f}", interval])
        data += [
            [record.axis, record.model, size, of_size, len(epochs), slope.mean, slope.low, slope.high]
            for size, of_size, epochs in zip(record.sizes, seconds, record.seconds, strict=True)
        ]
    columns = ["axis", "model", "size", "epoch_seconds", "epochs", "exponent", "exponent_low", "exponent_high"]
    return TextTable(
        name=name,
        title="How the cost of training grows",
        header=["axis", "model", "size", "smallest (ms)", "largest (ms)", "exponent", _INTERVAL],
        labels=2,
        rows=rows,
        notes=[
            *(
                f"{axis}: {record.axis_title}; in proportion to pixels the exponent is {record.work}"
                for axis, record in axes.items()
            ),
            "times are those of the median epoch",
            "exponent: of cost = a * size ** exponent, least squares of logarithms over all epochs",
        ],
        conditions=describe_cost(records[0]),
        data=pd.DataFrame(data, columns=columns),
    )


def engine_table(name: str, records: Sequence[RaceRecord]) -> TextTable:
    """One row per model, with the geometric mean of the ratios in a note.

    PyTorch Lightning's loop has columns of its own, if it was raced.
    """
    races = list({record.model: record for record in records}.values())
    with_lightning = all(race.lightning_seconds for race in races)
    data = pd.DataFrame([_race_row(race) for race in races])
    header = {
        "model": "model",
        "reference_step_seconds": "reference (ms)",
        **({"lightning_step_seconds": "Lightning (ms)"} if with_lightning else {}),
        "engine_step_seconds": "ours (ms)",
        "ratio": "ratio",
        "range": "its range",
        **({"lightning_ratio": "ratio to Lightning"} if with_lightning else {}),
        "exact_difference": "loss, doubles",
        "loss_difference": "loss, floats",
    }
    shown = {
        "model": data.model,
        **{name: [f"{1e3 * value:.2f}" for value in data[name]] for name in header if name.endswith("_seconds")},
        **{name: [f"{value:.2f}" for value in data[name]] for name in ("ratio", "lightning_ratio")},
        "range": [f"{race.least_ratio:.2f} to {race.largest_ratio:.2f}" for race in data.itertuples()],
        **{name: [f"{value:.0e}" for value in data[name]] for name in ("exact_difference", "loss_difference")},
    }
    target, epochs, steps = races[0].target, len(ratios(races[0])), races[0].steps
    return TextTable(
        name=name,
        title="A training step: other loops and ours"
        if with_lightning
        else "A training step: the reference loop and ours",
        header=list(header.values()),
        labels=1,
        rows=[list(row) for row in zip(*(shown[name] for name in header), strict=True)],
        notes=[
            f"geometric mean of the ratios: {mean_ratio(races):.2f}"
            + ("" if target is None else f"; target: at least {target:.1f}")
            + (f"; of those to Lightning: {mean_lightning_ratio(races):.2f}" if with_lightning else ""),
            "each loop runs in a process of its own, one epoch of each in turn",
            f"ratio: median over {epochs} pairs of neighboring epochs of {steps} timed "
            "steps; loss: largest relative difference of the losses, which each step enlarges in floats",
        ],
        conditions=describe_cost(races[0]),
        data=data,
    )


def _race_row(race: RaceRecord) -> dict[str, Any]:
    row = {
        "model": race.model,
        "steps": race.steps,
        "reference_step_seconds": median(race.reference_seconds) / race.steps,
        "engine_step_seconds": median(race.engine_seconds) / race.steps,
        "ratio": ratio(race),
        "least_ratio": min(ratios(race)),
        "largest_ratio": max(ratios(race)),
        "exact_difference": max(race.exact_difference, race.lightning_exact_difference or 0.0),
        "loss_difference": max(loss_differences(race)),
        "lightning_step_seconds": nan,
        "lightning_ratio": nan,
    }
    if race.lightning_seconds:
        row["lightning_step_seconds"] = median(race.lightning_seconds) / race.steps
        row["lightning_ratio"] = lightning_ratio(race)
    return row


def resident_table(name: str, records: Sequence[ResidentRecord]) -> TextTable:
    """One row per measurement: how the process grew."""
    columns = ["pairs", "started_bytes", "loaded_bytes", "prepared_bytes", "trained_bytes"]
    data = [[getattr(record, column) for column in columns] for record in records]
    trained = dict.fromkeys(f"simulates {record.dataset}, trains {record.model}" for record in records)
    return TextTable(
        name=name,
        title="Memory of a run",
        header=["pairs", "started (MB)", "data loaded (MB)", "data prepared (MB)", "trained (MB)"],
        labels=0,
        rows=[[f"{pairs:,}", *(f"{point / 1e6:,.0f}" for point in points)] for pairs, *points in data],
        notes=[f"peak memory of a fresh process up to each point; {'; '.join(trained)} for one epoch"],
        conditions=describe_cost(records[0]),
        data=pd.DataFrame(data, columns=columns),
    )


_TABLES: Mapping[type, Callable[[str, Any], TextTable]] = {
    InferenceRecord: inference_table,
    GrowthRecord: scaling_table,
    RaceRecord: engine_table,
    ResidentRecord: resident_table,
}
