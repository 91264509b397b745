"""What the main table has no room for: further metrics of predictions, and the accuracy of each class."""

from collections.abc import Sequence

import pandas as pd

from bench.analysis.conditions import describe
from bench.analysis.confusion import confusions
from bench.analysis.formats import number
from bench.analysis.frames import unshown
from bench.records import RunRecord
from bench.tables.models import models_table, undefined
from bench.tables.text import TextTable


def predictions_table(records: Sequence[RunRecord]) -> TextTable | None:
    """The evaluated metrics that are not in the main table: means over seeds; None without any."""
    metrics = unshown(records)
    if not metrics:
        return None
    notes = undefined(records, metrics)
    return models_table("predictions", "further metrics of predictions", records, metrics, notes, further=True)


def classes_table(records: Sequence[RunRecord]) -> TextTable | None:
    """The accuracy of every model on the pairs of each class; None where records do not tell it."""
    counted = confusions(records)
    classes = list(dict.fromkeys(name for model in counted for name in model.classes))
    if not counted:
        return None
    rows, data = [], []
    for model in counted:
        accuracies, seeds = dict(zip(model.classes, model.accuracies, strict=True)), len(model.seeds)
        rows.append([model.model, str(seeds), *(number(accuracies.get(name), ".3f") for name in classes)])
        data.append([model.model, seeds, *map(accuracies.get, classes)])
    header = ["model", "seeds", *classes]
    return TextTable(
        name="classes",
        title=f"{records[0].study}: {counted[0].part} accuracy of each class",
        header=header,
        labels=1,
        rows=rows,
        data=pd.DataFrame(data, columns=header),  # a list, as a class can be called "seeds"
        notes=["share of the class's pairs that is right, of the pairs of all seeds together"],
        conditions=describe(records, times=False),
        further=True,
    )
