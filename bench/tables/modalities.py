"""Fusion beside the single modalities it is made of: what the second sensor is worth."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from bench.analysis.statistics import mean_interval, paired_difference
from bench.records.run import RunRecord
from bench.tables import seeds
from bench.tables.cells import conditions, frame
from bench.tables.columns import COLUMN
from bench.tables.text import TextTable

ACCURACY = COLUMN["valid_accuracy"]


def modalities_table(records: Sequence[RunRecord]) -> TextTable | None:
    """Every fusion beside the better single modality of its family and embedder; None if none can be compared.

    Compared are fusions whose every modality was run alone, over the seeds that all of these share. Which single
    modality is the better one is decided by its mean over those seeds, not anew for every seed.
    """
    cells = frame(records)
    rows: list[list[str]] = []
    data: list[dict[str, Any]] = []
    marked: list[tuple[int, int]] = []
    for model, of_model in cells[cells.stage != "single"].groupby("model", sort=False):
        accuracies = _accuracies(of_model, cells)
        if accuracies.empty:
            continue
        fusion, *alone = accuracies.columns
        baseline = accuracies[alone].mean().idxmax()
        gain = paired_difference(accuracies[fusion], accuracies[baseline])
        shown = accuracies[[fusion, baseline]]
        better = seeds.best(shown, higher_is_better=True)
        marked += [(len(rows), 2 * place + 2) for place, name in enumerate(shown) if name in better]
        rows.append(
            [
                str(model),
                str(len(shown)),
                ACCURACY.mean(mean_interval(shown[fusion])),
                str(baseline),
                ACCURACY.mean(mean_interval(shown[baseline])),
                ACCURACY.difference(gain),
            ]
        )
        data.append(
            {
                "model": model,
                "seeds": len(shown),
                "valid_accuracy": shown[fusion].mean(),
                "baseline": baseline,
                "baseline_accuracy": shown[baseline].mean(),
                **seeds.raw({"gain": gain}),
            }
        )
    if not rows:
        return None
    return TextTable(
        name="modalities",
        title=f"{records[0].study}: fusion beside its better single modality",
        header=["model", "seeds", "valid accuracy", "alone", "its accuracy", "gain"],
        labels=1,
        rows=rows,
        notes=[
            "alone: the modality that is better by itself, in a model of the same family and embedder; "
            "gain = fusion - alone, paired by seed",
            *seeds.notes(
                cells, "the better of the two, where the gain's interval leaves out 0", any_marked=bool(marked)
            ),
        ],
        conditions=conditions(records),
        data=pd.DataFrame(data),
        marked=frozenset(marked),
    )


def _accuracies(fusion: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Accuracies of a fusion and of its modalities alone, a line a seed that all share, the fusion first.

    Empty where a modality was not run alone, or with other seeds.
    """
    of = fusion.iloc[0]
    modalities = of.modalities.split("+")
    alone = cells[
        (cells.stage == "single")
        & cells.modalities.isin(modalities)
        & (cells.family == of.family)
        & (cells.embedder == of.embedder)
        & (cells.variant == of.variant)
    ]
    by_seed = pd.concat([fusion, alone]).pivot(index="seed", columns="modalities", values="valid_accuracy")
    shared: pd.DataFrame = by_seed.reindex(columns=[of.modalities, *modalities]).dropna()
    return shared
