"""From records to the cells that tables are made of, and what these were obtained under."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Protocol, TypeVar

import pandas as pd

from bench.analysis.efficiency import achieved_flops, efficiency
from bench.records.run import COMPLETED, RunRecord
from bench.studies import DEFAULT_STUDY, STUDIES
from bench.tables.columns import COLUMN

WORDS = ("model", "strategy", "variant", "row", "family", "stage", "embedder", "modalities")


def completed(records: Iterable[RunRecord]) -> list[RunRecord]:
    """The records of completed cells; of several records of the same cell, the last one."""
    cells: dict[tuple[str, str, str, str, int], RunRecord] = {}
    for record in records:
        if record.status == COMPLETED:
            key = (record.study, record.variant, record.model, record.dataset, record.seed)
            cells.pop(key, None)
            cells[key] = record
    return list(cells.values())


def strategy_of(record: RunRecord) -> str:
    """What a model has in common with its twins of other embedders, with the variant of the protocol."""
    return " ".join(filter(None, (record.variant, record.model.removesuffix(f"-{record.embedder}"))))


def frame(records: Iterable[RunRecord]) -> pd.DataFrame:
    """One row a completed cell, with the fields that tables use; ``epoch_seconds`` is the cell's median.

    What a record does not know is NaN. Of several records of the same cell the last one counts.
    """
    rows = [
        {
            "model": " ".join(filter(None, (record.variant, record.model))),
            "strategy": strategy_of(record),
            "variant": record.variant,
            "row": record.model,
            "family": record.family,
            "stage": record.stage,
            "embedder": record.embedder,
            "modalities": "+".join(record.modalities),
            "seed": record.seed,
            "target_accuracy": record.target_accuracy,
            "best_valid_loss": record.best_valid_loss,
            "valid_accuracy": record.valid_accuracy,
            "parameters": record.parameters,
            "flops_per_step": record.flops_per_step,
            "epoch_seconds": median(record.epoch_seconds),
            "train_seconds": record.train_seconds,
            "seconds_to_target": record.seconds_to_target,
            "achieved_flops": achieved_flops(record),
            "efficiency": efficiency(record),
            "peak_memory_bytes": record.peak_memory_bytes,
        }
        for record in completed(records)
    ]
    numbers = ["target_accuracy", *COLUMN]
    return pd.DataFrame(rows, columns=[*WORDS, "seed", *numbers]).astype(dict.fromkeys(numbers, float))


class Conditioned(Protocol):
    """A record of anything that was measured under these conditions."""

    @property
    def study(self) -> str:
        """What it was run for."""

    @property
    def dataset(self) -> str:
        """What it was measured on."""

    @property
    def profile(self) -> str:
        """How much of the protocol was run."""

    @property
    def device(self) -> str:
        """What it ran on, "cpu" or "cuda"."""


AnyRecord = TypeVar("AnyRecord", bound=Conditioned)


def comparable(records: Iterable[AnyRecord]) -> dict[str, list[AnyRecord]]:
    """The records by study, in the order of first records: what one table or figure may show together.

    Records of a study that differ in data set, profile or device are never put together. Those on the data set
    that the study names keep its name, where they are of one profile and device; all others then stand under
    ``<study>-<data set>-<profile>-<device>``.
    """
    groups: dict[str, dict[tuple[str, ...], list[AnyRecord]]] = {}
    for record in records:
        differing = (record.dataset, record.profile, record.device)
        groups.setdefault(record.study, {}).setdefault(differing, []).append(record)
    return {
        study if differing == _plain(study, list(of_study)) else "-".join((study, *differing)): of_conditions
        for study, of_study in groups.items()
        for differing, of_conditions in of_study.items()
    }


def _plain(study: str, groups: list[tuple[str, ...]]) -> tuple[str, ...] | None:
    """The group that needs no more words than its study's name."""
    known = STUDIES.get(study)
    on_own_data = [group for group in groups if known and group[0] == known.dataset]
    candidates = groups if len(groups) == 1 else on_own_data
    return candidates[0] if len(candidates) == 1 else None


def file_stem(study: str, name: str) -> str:
    """How the files of a table or figure are called: by its name, and by the study unless that is the default."""
    return name if study == DEFAULT_STUDY else f"{study}-{name}"


def conditions(records: Sequence[RunRecord]) -> list[str]:
    """What the numbers of a table were obtained under, a line each; differing conditions are all named."""

    def distinct(values: Iterable[object]) -> str:
        return ", ".join(dict.fromkeys(str(value) for value in values))

    done = [record for record in records if record.status == COMPLETED]
    if not done:
        return ["no run was completed"]
    seeds = sorted({record.seed for record in done})
    lines = [
        f"data: {distinct(r.dataset for r in done)}, {distinct(r.classes for r in done)} classes, "
        f"{distinct(r.train_pairs for r in done)} training pairs, "
        f"{distinct(r.valid_pairs for r in done)} validation pairs",
        f"profile: {distinct(r.profile for r in done)}, {distinct(r.protocol['epochs'] for r in done)} epochs, "
        f"seeds: {', '.join(map(str, seeds))} (n = {len(seeds)})",
        f"device: {distinct(r.environment['device_name'] for r in done)}, "
        f"threads: {distinct(r.environment['threads'] for r in done)}, "
        f"torch {distinct(r.environment['packages']['torch'] for r in done)}",
    ]
    if any(record.seeds_together > 1 for record in done):
        counts = distinct(sorted(r.seeds_together for r in done))
        lines.append(f"seeds trained side by side: {counts}; times are equal shares of theirs")
    unfinished = [
        f"{record.model} (seed {record.seed}, {record.status})" for record in records if record not in done
    ]
    if unfinished:
        lines.append(f"left out, not completed: {', '.join(unfinished)}")
    return lines
