"""From records to the frames that tables and figures are made of, and which records may stand together in one."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from bench.analysis.conditions import describe_cost, main_device
from bench.config import DEFAULT_STUDY
from bench.metrics import QUANTITIES, declarations, is_shown, is_timed, name_on, reported_part, value
from bench.records import (
    COMPLETED,
    CostRecord,
    Metric,
    ProbeRecord,
    RunRecord,
    conditions_of,
    latest,
)
from bench.records.keys import device_model
from bench.records.load import disturbed

AnyRecord = TypeVar("AnyRecord", bound=RunRecord | ProbeRecord)
AnyCost = TypeVar("AnyCost", bound=CostRecord)
BASELINE = ("intermediate", "concat")
"""Stage and operator that the other models of a family are compared with."""

AS_DECLARED = "as declared"
"""The name of a study's only protocol, beside others with changed settings."""

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)


def completed(records: Iterable[RunRecord]) -> list[RunRecord]:
    """The records of completed cells; of several records of the same cell, the last one."""
    return latest(record for record in records if record.status == COMPLETED)


def frame(records: Sequence[RunRecord]) -> pd.DataFrame:
    """One row per completed cell.

    Returns:
        "model" and "strategy" (with the variant), "row" (the model without variant), "modalities" (joined by "+"),
        "group" (variant, family and stage), "disturbed" (``bench.records.load.disturbed``), "variant", "family",
        "embedder", "reference", "seed", "target_accuracy", and every metric of
        ``bench.metrics.declarations``; numbers are NaN where a record lacks them. Of several records of the same
        cell the last one counts. Times and memory of different device models do not stand together: those of the
        model with the most cells are here, the others are NaN.
    """
    done = completed(records)
    measured_here = main_device(done)
    words: dict[str, Any] = {
        "model": [record.label for record in done],
        "strategy": [strategy_of(record) for record in done],
        "row": [record.model for record in done],
        "modalities": ["+".join(record.modalities) for record in done],
        "group": [f"{record.variant} {record.family}-{record.stage}".strip() for record in done],
        "disturbed": np.array([disturbed(record) for record in done], dtype=bool),
    }
    for field in ("variant", "family", "embedder", "reference", "seed"):
        words[field] = [getattr(record, field) for record in done]
    words["target_accuracy"] = np.array([record.target_accuracy for record in done], dtype=float)
    for name, metric in declarations(records).items():
        shown = [not metric.per_machine or device_model(record) == measured_here for record in done]
        values = [value(record, name) if here else None for record, here in zip(done, shown, strict=True)]
        words[name] = np.array(values, dtype=float)
    return pd.DataFrame(words)


def without_rough_times(cells: pd.DataFrame) -> pd.DataFrame:
    """What ``frame`` returns, with NaN for the times of runs that other processes disturbed."""
    timed = [name for name in QUANTITIES if name in cells and is_timed(QUANTITIES[name])]
    return cells.assign(**{name: cells[name].mask(cells.disturbed) for name in timed})


def strategy_of(record: RunRecord | ProbeRecord) -> str:
    """The model's name without its embedder, with the variant before it."""
    return f"{record.variant} {record.strategy}".strip()


def shown(records: Sequence[RunRecord]) -> list[Metric]:
    """The metrics that tables show of these records: evaluated on the part that they report, and quantities."""
    part = reported_part(records)
    metrics = [metric for metric in declarations(records).values() if metric.part in ("", part)]
    return [metric for metric in metrics if is_shown(metric, records)]


def evaluated(records: Sequence[RunRecord]) -> list[Metric]:
    """Those of them that evaluations computed for some of the records, in order of declaration."""
    return _computed(shown(records), records)


def unshown(records: Sequence[RunRecord]) -> list[Metric]:
    """The metrics that evaluations computed for some of the records and that the main tables do not show."""
    part, in_tables = reported_part(records), shown(records)
    others = [m for m in declarations(records).values() if m.part == part and m not in in_tables]
    return _computed(others, records)


def _computed(metrics: Iterable[Metric], records: Sequence[RunRecord]) -> list[Metric]:
    return [m for m in metrics if m.part and any(value(record, m.name) is not None for record in records)]


def outcomes(records: Sequence[RunRecord]) -> list[Metric]:
    """The same, accuracy first."""
    return sorted(evaluated(records), key=lambda metric: metric.name != name_on("accuracy", metric.part))


def embedder_pairs(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells of each embedder beside those of the reference, one row per strategy, seed and embedder.

    Takes what ``frame`` returns. Columns other than "strategy", "seed" and "reference" are there twice:
    ``<column>`` of the embedder and ``<column>_reference``.
    """
    others = cells[(cells.embedder != cells.reference) & (cells.embedder != "")]
    return cells[cells.embedder == cells.reference].merge(
        others, on=["strategy", "seed", "reference"], suffixes=("_reference", "")
    )


def strategy_pairs(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells of each strategy beside those of intermediate concatenation, one row per model and seed.

    Takes what ``frame`` returns; columns as in ``embedder_pairs``. Pairs share variant, family and embedder.
    """
    baseline = [f"{row.variant} {row.family}-{'-'.join(BASELINE)}".strip() for row in cells.itertuples()]
    return cells[cells.strategy == baseline].merge(
        cells[cells.strategy != baseline],
        on=["variant", "family", "embedder", "seed"],
        suffixes=("_reference", ""),
    )


def grouped(records: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """The records with each key, keys in the order of first appearance."""
    groups: dict[Key, list[Item]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return groups


def comparable(records: Iterable[AnyRecord]) -> dict[str, list[AnyRecord]]:
    """The records that may stand in one table or figure, by name, in the order of first records.

    Records of one study under one set of conditions (``bench.records.Conditions``) stand together. The first
    conditions of a study have the study's name, further ones ``<study>-<data set>-<profile>-<device>``.
    """
    named: dict[str, list[AnyRecord]] = {}
    for (study, conditions), together in grouped(records, lambda r: (r.study, conditions_of(r))).items():
        named[study if study not in named else "-".join((study, *conditions))] = together
    return named


def comparable_costs(costs: Iterable[AnyCost]) -> dict[str, list[AnyCost]]:
    """The records of costs that may stand in one table or figure, by name, in the order of first records.

    Records of one kind that were measured under the same conditions stand together. The first conditions of a kind
    have its name ("inference", "scaling", ...), further ones ``<kind>-2`` and so on.
    """
    named: dict[str, list[AnyCost]] = {}
    by_conditions = grouped(costs, lambda cost: (str(cost.__struct_config__.tag), *describe_cost(cost)))
    for (kind, *_), together in by_conditions.items():
        number = sum(name.startswith(kind) for name in named) + 1
        named[kind if number == 1 else f"{kind}-{number}"] = together
    return named


_NOT_IN_FILES = str.maketrans("/\\\0", "___")


def file_stem(study: str, name: str) -> str:
    """The stem of the files of a table or figure: its name, after the study's unless that is the default one.

    A plug-in's study has no slash in its name, but records of others may: their files stay in their folder.
    """
    return name if study == DEFAULT_STUDY else f"{study.translate(_NOT_IN_FILES)}-{name}"
