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
    found: list[tuple[str, str, pd.DataFrame]] = []
    for model, fusion_cells in cells[fused].groupby("model", sort=False):
        accuracies = _accuracies(accuracy, fusion_cells, singles)
        if not accuracies.empty:
            fusion, *alone = accuracies.columns
            baseline = str(accuracies[alone].mean().idxmax())
            found.append((str(model), baseline, accuracies[[fusion, baseline]]))
    rows: list[list[str]] = []
    data: list[dict[str, object]] = []
    texts = compared(accuracy, [pair for _, _, pair in found], ratio)
    for (model, baseline, pair), (both, single) in zip(found, texts, strict=True):
        of_fusion, of_baseline = pair.to_numpy().T
        gain = paired_difference(of_fusion, of_baseline, ratio=ratio)
        rows.append([model, str(len(pair)), both, baseline, single, formats.difference(accuracy, gain)])
        data.append(
            {
                "model": model,
                "seeds": len(pair),
                accuracy.name: of_fusion.mean(),
                "baseline": baseline,
                "baseline_accuracy": of_baseline.mean(),
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
