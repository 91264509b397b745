"""From records to the frames that tables and figures are made of, and which records may stand together in one."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import pandas as pd

from bench.config import DEFAULT_STUDY
from bench.metrics import declarations, value
from bench.records import COMPLETED, ProbeRecord, RunRecord, conditions_of, latest

WORDS = ("model", "strategy", "variant", "row", "family", "stage", "embedder", "modalities")
"""The columns of ``frame`` that are not numbers. ``model`` is the name within a study, ``row`` without variant."""

AnyRecord = TypeVar("AnyRecord", bound=RunRecord | ProbeRecord)


def completed(records: Iterable[RunRecord]) -> list[RunRecord]:
    """The records of completed cells; of several records of the same cell, the last one."""
    return latest(record for record in records if record.status == COMPLETED)


def frame(records: Sequence[RunRecord]) -> pd.DataFrame:
    """One row per completed cell.

    Returns:
        WORDS, "seed", "target_accuracy", and every metric of ``bench.metrics.declarations``, NaN where a record
        lacks it. Of several records of the same cell the last one counts.
    """
    metrics = declarations(records)
    rows = [
        {
            "model": record.label,
            "strategy": f"{record.variant} {record.strategy}".strip(),
            "variant": record.variant,
            "row": record.model,
            "family": record.family,
            "stage": record.stage,
            "embedder": record.embedder,
            "modalities": "+".join(record.modalities),
            "seed": record.seed,
            "target_accuracy": record.target_accuracy,
            **{name: value(record, name) for name in metrics},
        }
        for record in completed(records)
    ]
    numbers = ["target_accuracy", *metrics]
    return pd.DataFrame(rows, columns=[*WORDS, "seed", *numbers]).astype(dict.fromkeys(numbers, float))


def comparable(records: Iterable[AnyRecord]) -> dict[str, list[AnyRecord]]:
    """The records that may stand in one table or figure, by name, in the order of first records.

    Records of one study under one set of conditions (``bench.records.Conditions``) stand together. The first
    conditions of a study have the study's name, further ones ``<study>-<data set>-<profile>-<device>``.
    """
    groups: dict[tuple[str, tuple[str, ...]], list[AnyRecord]] = {}
    for record in records:
        groups.setdefault((record.study, conditions_of(record)), []).append(record)
    named: dict[str, list[AnyRecord]] = {}
    for (study, conditions), together in groups.items():
        named[study if study not in named else "-".join((study, *conditions))] = together
    return named


def file_stem(study: str, name: str) -> str:
    """The stem of the files of a table or figure: its name, after the study's unless that is the default one."""
    return name if study == DEFAULT_STUDY else f"{study}-{name}"


def describe(records: Sequence[RunRecord]) -> list[str]:
    """What the numbers of a table were obtained under, one line each; differing conditions are all named."""

    def distinct(values: Iterable[object]) -> str:
        return ", ".join(dict.fromkeys(str(value) for value in values))

    done = [record for record in records if record.status == COMPLETED]
    if not done:
        return ["no run was completed"]
    seeds = sorted({record.seed for record in done})
    environments = [record.environment for record in done]
    lines = [
        f"data: {distinct(r.dataset for r in done)}, {distinct(r.classes for r in done)} classes, "
        f"{distinct(r.train_pairs for r in done)} training pairs, "
        f"{distinct(r.valid_pairs for r in done)} validation pairs",
        f"profile: {distinct(r.profile for r in done)}, {distinct(r.protocol['epochs'] for r in done)} epochs, "
        f"seeds: {', '.join(map(str, seeds))} (n = {len(seeds)})",
        f"device: {distinct(e.get('device_name', 'unknown') for e in environments)}, "
        f"threads: {distinct(e.get('threads', 'unknown') for e in environments)}, "
        f"torch {distinct(e.get('packages', {}).get('torch', 'unknown') for e in environments)}",
    ]
    unfinished = [
        f"{record.model} (seed {record.seed}, {record.status})" for record in records if record not in done
    ]
    if unfinished:
        lines.append(f"left out, not completed: {', '.join(unfinished)}")
    return lines
