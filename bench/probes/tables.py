"""Records of probes -> DataFrame -> text. Pure, as ``bench.tables`` is."""

from collections.abc import Iterable, Sequence

import pandas as pd

from bench.probes.corruptions import CORRUPTIONS
from bench.probes.records import ProbeRecord
from bench.probes.robustness import effective_robustness, relative_robustness
from bench.tables import EMBEDDER_TITLES, TextTable
from fusion_models import MODELS, ModelSpec, find_model

_MEASURES = {
    "shift-consistency": "same answer under two shifts up to {level:g} px",
    "shift-similarity": "CKA with shifts up to {level:g} px, {layer}",
    "seed-similarity": "CKA between seeds, {layer}",
    "zero-gradients": "zero gradients, {layer}",
    "receptive-field": "receptive field (px), {layer}",
}
"""What the values of each feature probe are called."""


def probe_tables(found: Sequence[ProbeRecord]) -> list[TextTable]:
    """Every table that these records allow."""
    made = [robustness_table(found), features_table(found)]
    return [table for table in made if table is not None]


def robustness_frame(found: Iterable[ProbeRecord]) -> pd.DataFrame:
    """One row a model, seed and corruption: its curve, and what the curve is worth.

    Of several records of the same value the last one counts; a curve with a level missing is left out.

    Returns:
        Columns "model", "seed", "corruption", "clean" and "worst" (accuracy at the lowest and highest level),
        "relative", "effective" (NaN without late fusion of the same family, embedder and seed).
    """
    curves: dict[tuple[str, str, int, str], dict[float, float]] = {}
    for record in found:
        if record.benchmark == "robustness" and record.probe in CORRUPTIONS and record.level is not None:
            key = (record.variant, record.model, record.seed, record.probe)
            curves.setdefault(key, {})[record.level] = record.value
    rows = []
    for (variant, model, seed, name), curve in curves.items():
        levels = CORRUPTIONS[name].levels
        late = curves.get((variant, _late_of(find_model(model)), seed, name), {})
        if not set(levels) <= curve.keys():
            continue
        accuracies = [curve[level] for level in levels]
        rows.append(
            {
                "model": " ".join(filter(None, (variant, model))),
                "seed": seed,
                "corruption": name,
                "clean": accuracies[0],
                "worst": accuracies[-1],
                "relative": relative_robustness(levels, accuracies),
                "effective": effective_robustness(levels, accuracies, [late[level] for level in levels])
                if set(levels) <= late.keys()
                else float("nan"),
            }
        )
    columns = ["model", "seed", "corruption", "clean", "worst", "relative", "effective"]
    return pd.DataFrame(rows, columns=columns)


def robustness_table(found: Sequence[ProbeRecord]) -> TextTable | None:
    """A line a corruption and model: means over seeds; None if no curve is complete."""
    cells = robustness_frame(found)
    if cells.empty:
        return None
    rows = []
    for name, corruption in CORRUPTIONS.items():
        for model, group in cells[cells.corruption == name].groupby("model", sort=False):
            effective = group.effective.dropna()
            rows.append(
                [
                    f"{name}, to {corruption.levels[-1]:g} {corruption.unit}",
                    str(model),
                    f"{group.clean.mean():.3f}",
                    f"{group.worst.mean():.3f}",
                    _mean_and_range(group.relative, "{:.3f}"),
                    _mean_and_range(effective, "{:+.3f}"),
                    str(len(group)),
                ]
            )
    return TextTable(
        name="robustness",
        title=f"{found[0].study}: accuracy under corrupted inputs",
        header=["corruption", "model", "clean", "at the highest level", "relative", "effective", "n"],
        labels=2,
        rows=rows,
        notes=[
            "relative: mean accuracy over the levels (area under the curve); mean over seeds (lowest to highest)",
            "effective: how much more of its accuracy it keeps than late fusion of the same seed and embedder",
        ],
        conditions=_conditions([record for record in found if record.benchmark == "robustness"]),
        data=cells,
    )


def features_frame(found: Iterable[ProbeRecord]) -> pd.DataFrame:
    """One row a value of the feature probes; of several records of the same value the last one counts.

    Returns:
        Columns "strategy", "embedder", "seed", "other_seed", "measure", "value".
    """
    values = {}
    for record in found:
        if record.benchmark == "features" and record.probe in _MEASURES:
            spec = find_model(record.model)
            measure = _MEASURES[record.probe].format(level=record.level or 0, layer=record.layer)
            strategy = " ".join(filter(None, (record.variant, spec.strategy)))
            values[strategy, spec.embedder, record.seed, record.other_seed, measure] = record.value
    columns = ["strategy", "embedder", "seed", "other_seed", "measure", "value"]
    return pd.DataFrame([[*key, value] for key, value in values.items()], columns=columns)


def features_table(found: Sequence[ProbeRecord]) -> TextTable | None:
    """A line a strategy and measure, MaxPool beside strided: means over seeds; None without such values."""
    cells = features_frame(found)
    if cells.empty:
        return None
    rows = []
    for (strategy, measure), group in cells.groupby(["strategy", "measure"], sort=False):
        by_embedder = [group.value[group.embedder == embedder] for embedder in EMBEDDER_TITLES]
        shown = [_mean_and_range(values, "{:.3f}") for values in by_embedder]
        count = " / ".join(str(len(values)) for values in by_embedder)
        rows.append([str(strategy), str(measure), *shown, count])
    return TextTable(
        name="features",
        title=f"{found[0].study}: what downsampling does inside the models",
        header=["strategy", "measure", *EMBEDDER_TITLES.values(), "n"],
        labels=2,
        rows=rows,
        notes=["mean over seeds (lowest to highest); n of each side; between seeds, n counts pairs of seeds"],
        conditions=_conditions([record for record in found if record.benchmark == "features"]),
        data=cells,
    )


def _late_of(spec: ModelSpec) -> str:
    """The row that effective robustness is held against: late fusion of the same family and embedder, if any."""
    alike = (spec.family, "late", spec.embedder)
    return next((name for name, each in MODELS.items() if (each.family, each.stage, each.embedder) == alike), "")


def _mean_and_range(values: "pd.Series[float]", pattern: str) -> str:
    if values.empty:
        return "-"
    mean = pattern.format(values.mean())
    return (
        f"{mean} ({pattern.format(values.min())} to {pattern.format(values.max())})" if len(values) > 1 else mean
    )


def _conditions(found: Sequence[ProbeRecord]) -> list[str]:
    seeds = sorted({record.seed for record in found})
    first = found[0]
    return [
        f"data: {first.dataset}, up to {max(record.samples for record in found)} validation pairs a value",
        f"profile: {first.profile}, seeds: {', '.join(map(str, seeds))} (n = {len(seeds)})",
        f"device: {first.device}",
    ]
