"""Fusion beside the single modalities that it fuses: what further sensors are worth."""

from collections.abc import Sequence

import pandas as pd

from bench.analysis import formats
from bench.analysis.frames import frame
from bench.analysis.resampling import shared_pairs
from bench.analysis.statistics import paired_difference
from bench.metrics import declarations, name_on, reported_part
from bench.records import Metric, RunRecord
from bench.tables.seeds import BETTER_OF_TWO, compared, raw, seed_table
from bench.tables.text import TextTable


def modalities_table(records: Sequence[RunRecord]) -> TextTable | None:
    """Every fusion beside the best single modality of its family, embedder and variant; None without any.

    A fusion needs runs of each of its modalities alone, over seeds that all of these share. Which single modality
    is the best is decided by its mean over those seeds, not for each seed.
    """
    cells, accuracy = frame(records), declarations()[name_on("accuracy", reported_part(records))]
    ratio = shared_pairs(records)
    fused = cells.modalities.map(lambda modalities: "+" in modalities).astype(bool)
    singles = cells[~fused]
    if singles.empty:
        return None
    rows: list[list[str]] = []
    data: list[dict[str, object]] = []
    for model, fusion_cells in cells[fused].groupby("model", sort=False):
        accuracies = _accuracies(accuracy, fusion_cells, singles)
        if accuracies.empty:
            continue
        fusion, *alone = accuracies.columns
        baseline = accuracies[alone].mean().idxmax()
        gain = paired_difference(accuracies[fusion], accuracies[baseline], ratio=ratio)
        both, single = compared(accuracy, accuracies[[fusion, baseline]], ratio)
        gained = formats.difference(accuracy, gain)
        rows.append([str(model), str(len(accuracies)), both, str(baseline), single, gained])
        data.append(
            {
                "model": model,
                "seeds": len(accuracies),
                accuracy.name: accuracies[fusion].mean(),
                "baseline": baseline,
                "baseline_accuracy": accuracies[baseline].mean(),
                **raw({"gain": gain}),
            }
        )
    if not rows:
        return None
    return seed_table(
        "modalities",
        "fusion and its best single modality",
        ["model", "seeds", accuracy.title, "alone", "its accuracy", "gain"],
        1,
        rows,
        data,
        records,
        seeds=cells.seed.nunique(),
        best=BETTER_OF_TWO,
        before=[
            "alone: the modality that is best by itself, in a model of the same family and embedder; "
            "gain = fusion - alone, paired by seed"
        ],
    )


def _accuracies(accuracy: Metric, fusion: pd.DataFrame, singles: pd.DataFrame) -> pd.DataFrame:
    """Accuracies of a fusion and of its modalities alone, one row per seed that all share, the fusion first.

    Empty where a modality was not run alone, or with other seeds. Of several models of one modality, the first is
    taken.
    """
    first = fusion.iloc[0]
    columns = {first.modalities: fusion}
    alike = singles[["family", "embedder", "variant"]] == first[["family", "embedder", "variant"]]
    alone = singles[alike.all(axis=1)]
    for modality in first.modalities.split("+"):
        of_modality = alone[alone.modalities == modality]
        columns[modality] = of_modality[of_modality.model == next(iter(of_modality.model), None)]
    return pd.DataFrame({name: cells.set_index("seed")[accuracy.name] for name, cells in columns.items()}).dropna()
