"""The variants of a study's protocol."""

from collections.abc import Sequence

from bench.evidence.statistics import mean_interval
from bench.records import RunRecord
from bench.tables import seeds
from bench.tables.cells import conditions, frame
from bench.tables.columns import COLUMN
from bench.tables.text import TextTable

SHOWN = (COLUMN["valid_accuracy"], COLUMN["best_valid_loss"])


def variants_table(records: Sequence[RunRecord]) -> TextTable | None:
    """The variants of a study's protocol side by side, a line a model; None if there are not several."""
    cells = frame(records)
    variants = list(cells.variant.unique())
    if len(variants) < 2:
        return None
    rows: list[list[str]] = []
    marked: list[tuple[int, int]] = []
    for model, of_model in cells.groupby("row", sort=False):
        row = [str(model)]
        for column in SHOWN:
            values = of_model.pivot(index="seed", columns="variant", values=column.field).reindex(columns=variants)
            better = seeds.best(values, higher_is_better=column.higher_is_better)
            marked += [(len(rows), len(row) + place) for place, name in enumerate(variants) if name in better]
            row += [column.mean(mean_interval(values[variant].dropna())) for variant in variants]
        rows.append(row)
    return TextTable(
        name="variants",
        title=f"{records[0].study}: {' beside '.join(variants)}",
        header=[
            "model",
            *(f"{column.title.removeprefix('best ')}, {variant}" for column in SHOWN for variant in variants),
        ],
        labels=1,
        rows=rows,
        notes=seeds.notes(
            cells,
            "the best variant of a model, with all that the seeds do not tell from it (differences paired by "
            "seed, t test at 5%, Holm over the variants)",
            any_marked=bool(marked),
        ),
        conditions=conditions(records),
        data=cells[["row", "variant", "seed", *(column.field for column in SHOWN)]].rename(
            columns={"row": "model"}
        ),
        marked=frozenset(marked),
    )
