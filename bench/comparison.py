"""What changed between two runs: facts of the same cells, side by side.

Facts are a record without what would only repeat itself in every entry; pytest-benchmark's JSON carries them as
``extra_info``. Times are left to pytest-benchmark's own comparison.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bench.records import COMPLETED, RunRecord
from bench.tables import COLUMN, TextTable

COMPARED = ("best_valid_loss", "valid_accuracy", "parameters", "peak_memory_bytes")

Facts = Mapping[str, Any]


def facts(record: RunRecord) -> dict[str, Any]:
    """The record as JSON types, without the environment (the machine info of pytest-benchmark holds it)."""
    return {key: value for key, value in record.to_dict().items() if key != "environment"}


def comparison_table(before: Sequence[Facts], now: Sequence[Facts]) -> TextTable | None:
    """Loss, accuracy, parameters and memory of the cells that both runs completed; None if there are none.

    A cell is a study with its variant, a profile, a model, a data set and a seed. Memory is compared only where
    both runs counted it the same way.
    """
    earlier = {_cell(entry): entry for entry in before if _is_complete(entry)}
    rows, data, cells = [], [], 0
    for entry in now:
        old = earlier.get(_cell(entry))
        if old is None or not _is_complete(entry):
            continue
        cells += 1
        for field in COMPARED:
            if field == "peak_memory_bytes" and old["peak_memory_method"] != entry["peak_memory_method"]:
                continue
            column, a, b = COLUMN[field], old[field], entry[field]
            name = f"{entry['model']} (seed {entry['seed']})"
            rows.append([name, column.title, column.text(a), column.text(b), _change(column.signed, b - a)])
            data.append({"model": entry["model"], "seed": entry["seed"], "metric": field, "before": a, "now": b})
    if not rows:
        return None
    frame = pd.DataFrame(data).assign(change=lambda table: table.now - table.before)
    return TextTable(
        name="comparison",
        title="Compared with the earlier run",
        header=["model", "metric", "before", "now", "change"],
        labels=2,
        rows=rows,
        notes=[f"cells in both runs: {cells}; in this one: {len(now)}"],
        conditions=[],
        data=frame,
    )


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The entries that two environments do not share, a line each: ``name: before -> now``."""
    names = sorted({*before, *now})
    return [
        f"{name}: {before.get(name)} -> {now.get(name)}" for name in names if before.get(name) != now.get(name)
    ]


def _cell(entry: Facts) -> tuple[object, ...]:
    return tuple(entry[name] for name in ("study", "variant", "profile", "model", "dataset", "seed"))


def _is_complete(entry: Facts) -> bool:
    return entry.get("status") == COMPLETED


def _change(signed: Any, difference: float) -> str:
    return "=" if difference == 0 else str(signed(difference))
