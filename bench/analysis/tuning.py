"""The best of several protocols for each model and seed, chosen on validation pairs.

Runs in which ``--set`` changed a setting may have another budget, so they are chosen from apart from the others.

Test pairs have no say in the choice. A model and seed for which not every protocol has ended on one device model
has none, so that all are tuned with the same effort.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Any

from msgspec.structs import replace

from bench.analysis.frames import grouped
from bench.config import canonical
from bench.records import COMPLETED, CellKey, RunRecord, cell_key
from bench.records.keys import device_model

_RATES = ("learning_rate", "final_learning_rate")


def without_variant(record: RunRecord) -> tuple[CellKey, tuple[object, ...]]:
    """What the variants of a study share, of which one is chosen.

    The cell, whose variant is what was changed; and the device model with its number of threads, as claims are
    decided for each.
    """
    return cell_key(record)._replace(variant=record.changed), device_model(record)


def best_of_variants(records: Iterable[RunRecord]) -> list[RunRecord]:
    """For each model, seed, data, device model and changed settings, the record with the lowest validation loss.

    One that diverged is chosen only where all did.

    Args:
        records: Of one study, all ended.
    """
    records = list(records)
    variants = {record.declared_variant for record in records}
    cells = grouped(records, without_variant)
    latest = [{record.declared_variant: record for record in of_cell} for of_cell in cells.values()]
    return [min(found.values(), key=_validation_loss) for found in latest if len(found) == len(variants)]


def _validation_loss(record: RunRecord) -> float:
    loss = record.best_valid_loss
    return inf if loss is None or record.status != COMPLETED else loss


def with_best_rates(records: Sequence[RunRecord]) -> list[RunRecord]:
    """Records to compare models by: of a study whose variants differ in the learning rate alone, the best of each.

    These have no variant any more but for settings that were changed, and their question says how they were
    chosen. Records of cells that have not ended keep their variant. Other records are returned as they are, and so
    are those of a tuned study in which no model has ended with every rate.
    """
    ended = [record for record in records if record.ended]
    grids = [
        of_changes
        for of_changes in grouped(ended, lambda record: record.changed).values()
        if _differ_in_rates_alone(of_changes)
    ]
    tuned = [record for grid in grids for record in grid]
    chosen = best_of_variants(tuned)
    if not chosen:
        return list(records)
    rates = sorted({record.protocol["learning_rate"] for record in tuned})
    how = (
        f"Every model was trained with learning rates of {_list(rates)}; "
        "for each seed, the one with the lowest validation loss is used."
    )
    best = [
        replace(record, variant=record.changed, question=f"{record.question} {how}".strip()) for record in chosen
    ]
    changes = {record.changed for record in tuned}
    return [*best, *(record for record in records if not record.ended or record.changed not in changes)]


def _list(rates: Sequence[float]) -> str:
    return f"{', '.join(f'{rate:g}' for rate in rates[:-1])} and {rates[-1]:g}"


def _differ_in_rates_alone(records: Sequence[RunRecord]) -> bool:
    protocols: dict[str, Mapping[str, Any]] = {r.variant: canonical(r.protocol) for r in records}
    rates = [protocol.get("learning_rate") for protocol in protocols.values()]
    others = [{k: v for k, v in protocol.items() if k not in _RATES} for protocol in protocols.values()]
    return len(rates) > 1 and len({*rates}) == len(rates) and all(other == others[0] for other in others)
