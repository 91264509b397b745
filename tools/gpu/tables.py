"""What ``tools/gpu_check.sh`` has measured on a GPU, as tables in Markdown.

python -m tools.gpu.tables MEASURE_JSON ENV_JSON > tables.md
"""

import json
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
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
        _bits(models),
        "",
    ]


def _bits(cases: Mapping[str, Facts]) -> str:
    """Whether graphs did what eager steps do."""
    if not any(facts["graph"] for facts in cases.values()):
        return "No step was a graph: without CUDA there are none."
    different = [label for label, facts in cases.items() if not (facts["equal_bits"] and facts["equal_weights"])]
    if different:
        return f"Losses or weights of the graph differ from those of the eager steps: {', '.join(different)}."
    return (
        f"In all {len(cases)} cases losses and weights after two epochs by graph are those of eager steps, "
        "bit for bit."
    )


def _losses(cases: Mapping[str, Facts]) -> str:
    different = [label for label, facts in cases.items() if not facts["equal_bits"]]
    return f"The losses differ: {', '.join(different)}." if different else "The losses are the same, bit for bit."


def _options(options: Mapping[str, Mapping[str, Facts]]) -> list[str]:
    """Steps with augmentation and training methods."""
    cases = {(label, option): facts for label, of_label in options.items() for option, facts in of_label.items()}
    rows = [
        [*_split(label), option, facts["eager_ms"], facts["ours_ms"]] for (label, option), facts in cases.items()
    ]
    return [
        "## A training step with options of the protocol",
        "",
        *_table(["model", "precision", "option", "eager, ms", "graph, ms"], rows),
        _bits({f"{label}+{option}": facts for (label, option), facts in cases.items()}),
        "",
    ]


def _stored(stored: Mapping[str, Facts]) -> list[str]:
    rows = [
        [
            *_split(label),
            facts["stored_ms"],
            facts["prepared_ms"],
            f"{facts['stored_ms'] - facts['prepared_ms']:.3f}",
        ]
        for label, facts in stored.items()
    ]
    return [
        "## What decoding costs per step",
        "",
        "Stored: each batch is made from what the data set stores, as in a run; prepared: from inputs in memory.",
        "",
        *_table(["model", "precision", "stored, ms", "prepared, ms", "difference, ms"], rows),
        _losses(stored),
        "",
    ]


def _branches(branches: Mapping[str, Facts]) -> list[str]:
    keys = ("in_turn_ms", "side_by_side_ms")
    rows = [[*_split(label), *(facts[key] for key in keys)] for label, facts in branches.items()]
    return [
        "## Stems in turn, and each on a stream of its own: milliseconds per step, as a graph",
        "",
        *_table(["model", "precision", "in turn", "at once"], rows),
        _losses(branches),
        "",
    ]


def _layouts(variants: Facts) -> list[str]:
    """The times as cuDNN chooses its algorithms in our trainings; choosing by timing is not deterministic."""
    measured = dict.fromkeys(label for times in variants.values() for label in times)
    labels = [label for label in measured if not label.endswith("benchmark")]
    names = {"nhwc": "channels last", "nchw": "contiguous"}
    head = ["model", *(f"{names[label[:4]]}, {label[5:]}" for label in labels)]
    return [
        "## Layouts and precisions: milliseconds per step, as a graph",
        "",
        *_table(head, ([name, *(times.get(label, "") for label in labels)] for name, times in variants.items())),
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
        "In brackets: how many times as long as one seed. Stems run in turn in all columns. The benchmarks",
        "train one seed after the other, with stems at once.",
        "",
        *_table(head, rows),
    ]


def _fixed(costs: Facts) -> list[str]:
    note = "Each part is timed once, with what its first call loads."
    return ["## What a cell costs besides its epochs", "", note, "", *_table(["part", "ms"], costs.items())]


def _kernels(kernels: Facts) -> list[str]:
    rows = [[label, facts["us"], facts["launches"]] for label, facts in kernels.items()]
    return [
        "## Kernels of a step",
        "",
        *_table(["model, layout, precision", "microseconds on the GPU", "launches"], rows),
    ]


def _errors(errors: Mapping[str, str]) -> list[str]:
    return ["## Failed", "", *(f"- {part}: {error}" for part, error in errors.items()), ""]


def _skipped(skipped: Mapping[str, str]) -> list[str]:
    """How many measurements of each section were left out, and why."""
    counts = Counter((part.partition(" ")[0], reason) for part, reason in skipped.items())
    rows = [[section, count, reason] for (section, reason), count in counts.items()]
    return ["## Left out", "", *_table(["section", "measurements", "reason"], rows)]


def tables(measured: Facts, environment: Facts) -> str:
    """All tables.

    Args:
        measured: ``measure.json`` of the check.
        environment: Its ``env.json``; empty if that step has not run.
    """
    lines = ["# What tools/gpu_check.sh measured", ""]
    if environment:
        where = f"{environment.get('gpu', 'CPU')}, torch {environment['torch']}, CUDA {environment['cuda']}"
        lines += [f"On one {where}, cuDNN {environment['cudnn']}.", ""]
    shown: dict[str, Callable[[Facts], list[str]]] = {
        "models": _race,
        "options": _options,
        "stored": _stored,
        "branches": _branches,
        "variants": _layouts,
        "joint": lambda joint: _together(joint, measured.get("stacked", {})),
        "kernels": _kernels,
        "fixed_ms": _fixed,
        "errors": _errors,
        "skipped": _skipped,
    }
    for section, show in shown.items():
        if measured.get(section):
            lines += show(measured[section])
    return "\n".join(lines)


def main(measured: Path, environment: Path) -> None:
    """Print all tables; the environment may be missing."""
    known = json.loads(environment.read_text(encoding="utf-8")) if environment.is_file() else {}
    sys.stdout.write(tables(json.loads(measured.read_text(encoding="utf-8")), known))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
