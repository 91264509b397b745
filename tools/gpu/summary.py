"""The summary of a check as JSON; needs nothing but Python, so that there is one whatever is missing.

    python -m tools.gpu.summary WORK OUT

WORK is the folder that the steps wrote to, OUT that of the results, which gets ``summary.json``.
"""

import json
import re
import statistics
import sys
from collections import Counter
from pathlib import Path
from typing import Any

Facts = dict[str, Any]

LOGS = ("tests", "cell", "cell-tf32", "cell-bf16", "smoke", "probes", "race", "study")
"""The steps that run pytest."""

OF_A_STEP = ("graph", "equal_bits", "equal_weights", "difference", "ours_ms", "eager_ms", "reference_ms", "ratio")
"""What is printed of a training step; steps with an option have no reference."""

MOST_PRINTED = 11_000
"""Characters, as some consoles keep no more; ``summary.json`` has everything."""


def summary_of(work: Path) -> Facts:
    """What all steps have left; None, or nothing, for steps that have not run."""
    races: dict[str, Facts] = {}
    for record in _lines(work / "race" / "costs.jsonl"):
        races.setdefault(record["precision"], {})[record["model"]] = _race(record)
    cells: dict[str, list[list[Any]]] = {}
    for record in _lines(work / "study" / "records.jsonl"):
        cells.setdefault(record["model"], []).append(_cell(record))
    return {
        "env": _read(work / "env.json"),
        "steps": _lines(work / "steps.jsonl"),
        **{name: _pytest_log(work / "logs" / f"{name}.log") for name in LOGS},
        "smoke_status": Counter(record["status"] for record in _lines(work / "smoke" / "records.jsonl")),
        "smoke_costs": Counter(record["kind"] for record in _lines(work / "smoke" / "costs.jsonl")),
        "probes_kept": Counter(record["benchmark"] for record in _lines(work / "probes" / "probes.jsonl")),
        "race_ratio_lightningratio_refms_oursms_exact_first": races,
        "race_mean_ratio": {
            precision: round(statistics.geometric_mean(facts[0] for facts in of_models.values()), 2)
            for precision, of_models in races.items()
        },
        "study_seed_status_acc_loss_s_MB_eff": cells,
        "measure": _read(work / "measure.json"),  # last, as it is the longest and what is printed may be cut
    }


def printed(summary: Facts) -> str:
    """The summary on one line, with the measurements cut short."""
    measured = summary["measure"]
    if measured:
        models, options = measured.get("models", {}), measured.get("options", {})
        short = {
            **measured,
            "of_a_step": OF_A_STEP,
            "models": {label: _of_a_step(facts) for label, facts in models.items()},
            "options": {
                label: {option: _of_a_step(facts) for option, facts in of_options.items()}
                for label, of_options in options.items()
            },
        }
        short.pop("kernels", None)
        summary = {**summary, "measure": short}
    return json.dumps(summary, separators=(",", ":"))[:MOST_PRINTED]


def _of_a_step(facts: Facts) -> list[Any]:
    return [facts[name] for name in OF_A_STEP if name in facts]


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _lines(path: Path) -> list[Facts]:
    """The whole lines of a file; the last one may have been cut off when the step was stopped."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return []
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def _pytest_log(path: Path) -> Facts | None:
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8", errors="replace")
    ends = re.findall(r"^.*\d+ (?:passed|failed|error|skipped|deselected).*$", text, re.M)
    failed = re.findall(r"^(?:FAILED|ERROR) .*$", text, re.M)
    warned = sorted({line.strip()[:150] for line in re.findall(r"^(?!E ).*\b\w+Warning: .*", text, re.M)})
    raised = dict.fromkeys(
        line[:200] for line in re.findall(r"^E\s+(\S*(?:Error|Warning|assert)\b.*)", text, re.M)
    )
    return {
        "end": (ends[-1] if ends else text[-200:]).strip("= ")[:160],
        "n_failed": len(failed),
        "failed": [line[:180] for line in failed[:12]],
        "raised": list(raised)[:4],
        "warnings": warned[:6],
    }


def _ratio(record: Facts, other: str) -> float | None:
    """How many times as long as ours another loop took; None where it was not raced."""
    seconds = record[f"{other}_seconds"]
    if not seconds:
        return None
    ratios: list[float] = [a / b for a, b in zip(seconds, record["engine_seconds"], strict=True)]
    return round(statistics.median(ratios), 2)


def _race(record: Facts) -> list[float | None]:
    reference, ours = record["reference_losses"][0], record["engine_losses"][0]
    return [
        _ratio(record, "reference"),
        _ratio(record, "lightning"),
        round(1e3 * statistics.median(record["reference_seconds"]) / record["steps"], 3),
        round(1e3 * statistics.median(record["engine_seconds"]) / record["steps"], 3),
        float(f"{record['exact_difference']:.1e}"),
        float(f"{abs(ours - reference) / abs(reference):.1e}"),
    ]


def _cell(record: Facts) -> list[Any]:
    efficiency = None
    if record["status"] == "completed":
        pairs = record["train_pairs"]
        size = min(record["protocol"]["batch_size"], pairs)
        used = pairs - pairs % size if record["protocol"]["drop_last"] else pairs
        flops = record["flops_per_step"] * used / size / statistics.median(record["epoch_seconds"])
        efficiency = round(flops / record["ceiling"]["flops_per_second"], 3)
    accuracy, loss, seconds = record["valid_accuracy"], record["best_valid_loss"], record["train_seconds"]
    return [
        record["seed"],
        record["status"][:4],
        accuracy and round(accuracy, 4),
        loss and float(f"{loss:.4g}"),
        seconds and round(seconds, 2),
        round((record["peak_memory_bytes"] or 0) / 1e6),
        efficiency,
    ]


def main(work: Path, out: Path) -> None:
    """Write and print the summary."""
    summary = summary_of(work)
    (out / "summary.json").write_text(json.dumps(summary, indent=1))
    sys.stdout.write(f"{printed(summary)}\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
