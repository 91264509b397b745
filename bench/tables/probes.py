"""Records of probes -> DataFrame -> text. Pure, as ``bench.tables`` is."""

from collections.abc import Iterable, Sequence

import pandas as pd

from bench.analysis.statistics import Interval, mean_interval
from bench.probes.corruptions import CORRUPTIONS
from bench.probes.robustness import effective_robustness, relative_robustness
from bench.records.probe import ProbeRecord
from bench.tables import EMBEDDER_TITLES, TextTable
from fusion_models import MODELS, ModelSpec, find_model

_SPREAD = "±: half the 95% interval of the mean over seeds (Student's t)"

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


def robustness_curves(found: Iterable[ProbeRecord]) -> pd.DataFrame:
    """One row a level of every complete curve, rising.

    Returns:
        Columns "model" (with its variant), "seed", "corruption", "level", "accuracy".
    """
    rows = [
        [_named(variant, model), seed, name, level, accuracy]
        for (variant, model, seed, name), accuracies in _curves(found).items()
        for level, accuracy in zip(CORRUPTIONS[name].levels, accuracies, strict=True)
    ]
    return pd.DataFrame(rows, columns=["model", "seed", "corruption", "level", "accuracy"])


def robustness_frame(found: Iterable[ProbeRecord]) -> pd.DataFrame:
    """One row a model, seed and corruption: what its curve is worth.

    Returns:
        Columns "model" (with its variant), "seed", "corruption", "clean" and "worst" (accuracy at the lowest and
        highest level), "relative", "effective" (NaN without late fusion of the same family, embedder and seed).
    """
    curves = _curves(found)
    rows = []
    for (variant, model, seed, name), accuracies in curves.items():
        levels = CORRUPTIONS[name].levels
        late = curves.get((variant, _late_of(find_model(model)), seed, name))
        rows.append(
            {
                "model": _named(variant, model),
                "seed": seed,
                "corruption": name,
                "clean": accuracies[0],
                "worst": accuracies[-1],
                "relative": relative_robustness(levels, accuracies),
                "effective": effective_robustness(levels, accuracies, late) if late else float("nan"),
            }
        )
    columns = ["model", "seed", "corruption", "clean", "worst", "relative", "effective"]
    return pd.DataFrame(rows, columns=columns)


def robustness_table(found: Sequence[ProbeRecord]) -> TextTable | None:
    """A line a corruption and model: means over seeds; None if no curve is complete."""
    cells = robustness_frame(found)
    if cells.empty:
        return None
    rows = [
        [
            f"{name}, to {corruption.levels[-1]:g} {corruption.unit}",
            str(model),
            f"{group.clean.mean():.3f}",
            f"{group.worst.mean():.3f}",
            _shown(mean_interval(group.relative)),
            _shown(mean_interval(group.effective.dropna()), "+"),
            str(len(group)),
        ]
        for name, corruption in CORRUPTIONS.items()
        for model, group in cells[cells.corruption == name].groupby("model", sort=False)
    ]
    return TextTable(
        name="robustness",
        title=f"{found[0].study}: accuracy under corrupted inputs",
        header=["corruption", "model", "clean", "at the highest level", "relative", "effective", "n"],
        labels=2,
        rows=rows,
        notes=[
            "relative: mean accuracy over the levels (area under the curve)",
            "effective: how much more of its accuracy it keeps than late fusion of the same seed and embedder",
            _SPREAD,
        ],
        conditions=conditions([record for record in found if record.benchmark == "robustness"]),
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
            strategy = _named(record.variant, spec.strategy)
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
        sides = [group[group.embedder == embedder] for embedder in EMBEDDER_TITLES]
        count = " / ".join(str(len(side)) for side in sides)
        rows.append([str(strategy), str(measure), *(_shown(_over_seeds(side)) for side in sides), count])
    return TextTable(
        name="features",
        title=f"{found[0].study}: what downsampling does inside the models",
        header=["strategy", "measure", *EMBEDDER_TITLES.values(), "n"],
        labels=2,
        rows=rows,
        notes=["n: seeds of either side; between seeds, pairs of seeds", _SPREAD],
        conditions=conditions([record for record in found if record.benchmark == "features"]),
        data=cells,
    )


def conditions(found: Sequence[ProbeRecord]) -> list[str]:
    """What values were obtained under, a line each; the records agree in data set, profile and device."""
    seeds = sorted({record.seed for record in found})
    first = found[0]
    return [
        f"data: {first.dataset}, up to {max(record.samples for record in found)} validation pairs a value",
        f"profile: {first.profile}, seeds: {', '.join(map(str, seeds))} (n = {len(seeds)})",
        f"device: {first.device}",
    ]


def _curves(found: Iterable[ProbeRecord]) -> dict[tuple[str, str, int, str], list[float]]:
    """Accuracies by variant, model, seed and corruption, one a level; curves with a level missing are left out.

    Of several records of the same value the last one counts.
    """
    values: dict[tuple[str, str, int, str], dict[float, float]] = {}
    for record in found:
        if record.benchmark == "robustness" and record.probe in CORRUPTIONS and record.level is not None:
            key = (record.variant, record.model, record.seed, record.probe)
            values.setdefault(key, {})[record.level] = record.value
    return {
        key: [at[level] for level in CORRUPTIONS[key[-1]].levels]
        for key, at in values.items()
        if at.keys() >= set(CORRUPTIONS[key[-1]].levels)
    }


def _named(variant: str, model: str) -> str:
    return f"{variant} {model}".strip()


def _late_of(spec: ModelSpec) -> str:
    """The row that effective robustness is held against: late fusion of the same family and embedder, if any."""
    alike = (spec.family, "late", spec.embedder)
    return next((name for name, each in MODELS.items() if (each.family, each.stage, each.embedder) == alike), "")


def _over_seeds(values: pd.DataFrame) -> Interval:
    """The mean, with an interval unless the values are of pairs of seeds: those are not independent."""
    found = mean_interval(values.value)
    return Interval(found.mean, found.mean, found.mean, found.n) if values.other_seed.notna().any() else found


def _shown(interval: Interval, sign: str = "") -> str:
    """A mean over seeds, with half its interval where the seeds differ."""
    if not interval.n:
        return "-"
    half = f" ± {(interval.high - interval.low) / 2:.3f}" if interval.high > interval.low else ""
    return f"{interval.mean:{sign}.3f}{half}"
