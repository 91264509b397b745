"""What ``tools/gpu_check.sh`` has measured on a GPU, as tables in Markdown.

python tools/gpu_tables.py MEASURE_JSON ENV_JSON > tables.md
"""

import json
import statistics
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Facts = dict[str, Any]


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    return [f"| {' | '.join(map(str, cells))} |" for cells in (head, ["---"] * len(head), *rows)] + [""]


def _split(label: str) -> tuple[str, str]:
    """Model and precision of a label such as wide-late-concat-strided+tf32."""
    name, _, precision = label.rpartition("+")
    return name, precision


def _race(models: Facts) -> list[str]:
    keys = ("reference_ms", "eager_ms", "ours_ms", "ratio", "TFLOPs")
    rows = [[*_split(label), *(facts[key] for key in keys)] for label, facts in models.items()]
    means = [
        f"Geometric mean of the ratios in {precision}: "
        f"{statistics.geometric_mean(row[5] for row in rows if row[1] == precision):.2f}."
        for precision in dict.fromkeys(row[1] for row in rows)
    ]
    different = [label for label, facts in models.items() if not (facts["equal_bits"] and facts["equal_weights"])]
    bits = (
        f"Losses or weights of the graph differ from those of the eager steps: {', '.join(different)}."
        if different
        else f"In all {len(rows)} cases losses and weights after two epochs by graph are those of eager steps, "
        "bit for bit."
    )
    head = ["model", "precision", "reference, ms", "eager, ms", "graph, ms", "ratio", "graph, TFLOP/s"]
    return [
        "## A training step",
        "",
        "Batches of 32; an epoch after the first. Reference: the loop of the notebooks; eager: ours, launched",
        "operation by operation; graph: ours as it trains; ratio: reference / graph.",
        "",
        *_table(head, rows),
        *means,
        "",
        bits,
        "",
    ]


def _layouts(variants: Facts) -> list[str]:
    """The times as cuDNN chooses its algorithms in our trainings; choosing by timing is not deterministic."""
    labels = [label for label in next(iter(variants.values())) if not label.endswith("benchmark")]
    names = {"nhwc": "channels last", "nchw": "contiguous"}
    head = ["model", *(f"{names[label[:4]]}, {label[5:]}" for label in labels)]
    return [
        "## Layouts and precisions: milliseconds per step, as a graph",
        "",
        *_table(head, ([name, *(times[label] for label in labels)] for name, times in variants.items())),
    ]


def _together(joint: Facts, stacked: Facts) -> list[str]:
    rows = []
    for label, facts in joint.items():
        one, seeds = facts["one_ms"], facts["seeds"]
        ways = [facts["streams_ms"], facts["graph_ms"], stacked.get(label, {}).get("ms")]
        rows.append(
            [*_split(label), seeds, one, *("" if ms is None else f"{ms} ({ms / one:.1f} x)" for ms in ways)]
        )
    head = ["model", "precision", "seeds", "one seed, ms", "a stream each, ms", "one graph, ms", "one network, ms"]
    return [
        "## Several seeds at once",
        "",
        "In brackets: how many times as long as one seed. The benchmarks train one seed after the other.",
        "",
        *_table(head, rows),
    ]


def _fixed(costs: Facts) -> list[str]:
    return ["## What a cell costs besides its epochs", "", *_table(["part", "ms"], costs.items())]


def _kernels(kernels: Facts) -> list[str]:
    rows = [[label, facts["us"], facts["launches"]] for label, facts in kernels.items()]
    return [
        "## Kernels of a step",
        "",
        *_table(["model, layout, precision", "microseconds on the GPU", "launches"], rows),
    ]


def tables(measured: Facts, environment: Facts) -> str:
    """All tables.

    Args:
        measured: ``measure.json`` of the check.
        environment: Its ``env.json``.
    """
    where = f"{environment.get('gpu', 'CPU')}, torch {environment['torch']}, CUDA {environment['cuda']}"
    lines = ["# What tools/gpu_check.sh measured", "", f"On one {where}, cuDNN {environment['cudnn']}.", ""]
    if measured["models"]:
        lines += _race(measured["models"])
    if measured["variants"]:
        lines += _layouts(measured["variants"])
    if measured["joint"]:
        lines += _together(measured["joint"], measured["stacked"])
    if measured["kernels"]:
        lines += _kernels(measured["kernels"])
    return "\n".join([*lines, *_fixed(measured["fixed_ms"])])


if __name__ == "__main__":
    measure, env = (json.loads(Path(name).read_text()) for name in sys.argv[1:3])
    sys.stdout.write(tables(measure, env))
