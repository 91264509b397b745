"""From records of probes to the frames that tables and figures are made of.

Corruptions, their levels and units, and feature probes are those that the records hold, in the order of their
first records. Of several records of the same value the last one counts.
"""

from collections.abc import Iterable, Sequence
from math import nan

import pandas as pd

from bench.analysis.formats import enumerated
from bench.analysis.frames import strategy_of
from bench.analysis.robustness import effective_robustness, relative_robustness
from bench.records import ProbeRecord

ROBUSTNESS = "robustness"

_MEASURES = {
    "shift-consistency": "same answer under two shifts up to {level:g} px",
    "shift-similarity": "CKA with shifts up to {level:g} px, {layer}",
    "seed-similarity": "CKA between seeds, {layer}",
    "zero-gradients": "zero gradients, {layer}",
    "receptive-field": "receptive field (px), {layer}",
}
"""What the values of the feature probes that ship here are called."""


def robustness_curves(probes: Iterable[ProbeRecord]) -> pd.DataFrame:
    """One row per level of every complete curve, rising.

    A curve is complete if it has every level that any record of its corruption has, at least two.

    Returns:
        Columns "model" and "strategy" (with the variant), "embedder", "seed", "corruption", "unit" (of the level),
        "level", "accuracy".
    """
    rows = [
        [model, strategy_of(probe), probe.embedder, seed, corruption, probe.level_unit, probe.level, probe.value]
        for (model, seed, corruption), curve in _curves(probes).items()
        for probe in curve
    ]
    columns = ["model", "strategy", "embedder", "seed", "corruption", "unit", "level", "accuracy"]
    return pd.DataFrame(rows, columns=columns)


def robustness_frame(probes: Iterable[ProbeRecord]) -> pd.DataFrame:
    """One row per model, seed and corruption: a complete curve in numbers.

    Returns:
        Columns "model" (with its variant), "seed", "corruption", "unit" and "highest" (of the level), "clean" and
        "worst" (accuracy at the lowest and highest level), "relative", "effective" (NaN without late fusion of the
        same variant, family, embedder and seed).
    """
    curves = _curves(probes)
    late: dict[tuple[str, ...], list[ProbeRecord]] = {}
    for curve in curves.values():
        if curve[0].stage == "late":
            late.setdefault(_reference(curve[0]), curve)
    rows = []
    for (model, seed, corruption), curve in curves.items():
        levels, accuracies = [probe.level or 0.0 for probe in curve], [probe.value for probe in curve]
        of_late = [probe.value for probe in late.get(_reference(curve[0]), ())]
        relative = relative_robustness(levels, accuracies)
        effective = effective_robustness(levels, accuracies, of_late) if of_late else nan
        ends = (curve[-1].level_unit, levels[-1], accuracies[0], accuracies[-1])
        rows.append([model, seed, corruption, *ends, relative, effective])
    columns = ["model", "seed", "corruption", "unit", "highest", "clean", "worst", "relative", "effective"]
    return pd.DataFrame(rows, columns=columns)


def features_frame(probes: Iterable[ProbeRecord]) -> pd.DataFrame:
    """One row per value of probes.

    Returns:
        Columns "strategy" (with the variant), "embedder", "seed", "other_seed", "measure", "value".
    """
    values = {
        (strategy_of(probe), probe.embedder, probe.seed, probe.other_seed, _measure(probe)): probe.value
        for probe in probes
    }
    columns = ["strategy", "embedder", "seed", "other_seed", "measure", "value"]
    return pd.DataFrame([[*key, value] for key, value in values.items()], columns=columns)


def describe_probes(probes: Sequence[ProbeRecord]) -> list[str]:
    """What values were obtained under, one line each; the records agree in data set, profile and device."""
    seeds = sorted({probe.seed for probe in probes})
    first = probes[0]
    return [
        f"data: {first.dataset}, up to {max(probe.samples for probe in probes)} pairs per value",
        f"profile: {first.profile}, seeds: {enumerated(seeds)} (n = {len(seeds)})",
        f"device: {first.device}",
    ]


def _curves(probes: Iterable[ProbeRecord]) -> dict[tuple[str, int, str], list[ProbeRecord]]:
    """The complete curves by model (with its variant), seed and corruption: one record per level, rising."""
    values: dict[tuple[str, int, str], dict[float, ProbeRecord]] = {}
    levels: dict[str, set[float]] = {}
    for probe in probes:
        if probe.benchmark == ROBUSTNESS and probe.metric == "accuracy" and probe.level is not None:
            values.setdefault((probe.label, probe.seed, probe.probe), {})[probe.level] = probe
            levels.setdefault(probe.probe, set()).add(probe.level)
    return {
        key: [curve[level] for level in sorted(curve)]
        for key, curve in values.items()
        if len(curve) > 1 and curve.keys() == levels[key[-1]]
    }


def _reference(probe: ProbeRecord) -> tuple[str, ...]:
    """What a curve shares with that of late fusion that it is compared with."""
    return probe.variant, probe.family, probe.embedder, str(probe.seed), probe.probe


def _measure(probe: ProbeRecord) -> str:
    """What a value is called; those of unknown probes by the names in their record."""
    if probe.probe in _MEASURES:
        return _MEASURES[probe.probe].format(level=probe.level or 0, layer=probe.layer)
    unit = f"({probe.unit})" if probe.unit else ""
    level = "" if probe.level is None else f"at {probe.level:g} {probe.level_unit}".strip()
    value = " ".join(filter(None, (probe.probe, probe.metric, unit, level)))
    return f"{value}, {probe.layer}" if probe.layer else value
