"""Records -> DataFrame -> text. Pure: nothing is measured, read or printed here.

A table is a DataFrame of raw numbers first (that is what the CSV files hold) and is rounded only when it becomes
text.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from statistics import median
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from bench.records import COMPLETED, RunRecord


@dataclass(frozen=True)
class Column:
    """How one field of a record is shown.

    Attributes:
        field: name in the frame and in CSV files.
        title: heading, with the unit.
        text: value -> text.
        signed: difference -> text.
    """

    field: str
    title: str
    text: Callable[[float], str]
    signed: Callable[[float], str]


def _megabytes(pattern: str) -> Callable[[float], str]:
    return lambda value: pattern.format(value / 1e6)


COLUMNS = (
    Column("best_valid_loss", "best valid loss", "{:.4g}".format, "{:+.3g}".format),
    Column("valid_accuracy", "valid accuracy", "{:.3f}".format, "{:+.3f}".format),
    Column("parameters", "parameters", "{:,.0f}".format, "{:+,.0f}".format),
    Column("epoch_seconds", "epoch time (s)", "{:.2f}".format, "{:+.2f}".format),
    Column("train_seconds", "train time (s)", "{:.1f}".format, "{:+.1f}".format),
    Column("peak_memory_bytes", "peak memory (MB)", _megabytes("{:.0f}"), _megabytes("{:+.0f}")),
)
COLUMN = {column.field: column for column in COLUMNS}

EMBEDDER_TITLES = {"maxpool": "MaxPool", "strided": "strided"}


@dataclass(frozen=True)
class TextTable:
    """A table as text, ready for any format.

    Attributes:
        name: stem of its files.
        title: one line above it.
        header: a heading a column; the first ``labels`` columns are words, the rest numbers.
        labels: how many.
        rows: cells as text.
        notes: lines below it.
        conditions: what the numbers were obtained under; in files, below the notes.
        data: the raw numbers.
    """

    name: str
    title: str
    header: list[str]
    labels: int
    rows: list[list[str]]
    notes: list[str]
    conditions: list[str]
    data: pd.DataFrame

    def markdown(self) -> str:
        """GitHub's Markdown."""
        rule = ["---"] * self.labels + ["---:"] * (len(self.header) - self.labels)
        lines = [f"**{self.title}**", ""]
        lines += ["| " + " | ".join(cells) + " |" for cells in (self.header, rule, *self.rows)]
        lines += ["", *(f"{note}  " for note in (*self.notes, *self.conditions))]
        return "\n".join(lines).rstrip() + "\n"

    def terminal(self) -> Table:
        """For a rich console; a line is drawn wherever the first column changes to a new word."""
        table = Table(
            title=self.title, caption="\n".join(self.notes), title_justify="left", caption_justify="left"
        )
        for i, title in enumerate(self.header):
            table.add_column(title, justify="left" if i < self.labels else "right", no_wrap=True)
        previous = None
        grouped = self.labels > 1
        for row in self.rows:
            if grouped and previous not in (None, row[0]):
                table.add_section()
            shown = ["" if grouped and row[0] == previous else row[0], *row[1:]]
            table.add_row(*shown)
            previous = row[0]
        return table


def frame(records: Iterable[RunRecord]) -> pd.DataFrame:
    """One row a completed cell, with the fields that tables use; ``epoch_seconds`` is the cell's median.

    Of several records of the same cell the last one counts.
    """
    rows: dict[tuple[str, str, str, str, int], dict[str, Any]] = {}
    for record in records:
        if record.status != COMPLETED:
            continue
        key = (record.study, record.variant, record.model, record.dataset, record.seed)
        rows.pop(key, None)
        rows[key] = {
            "model": " ".join(filter(None, (record.variant, record.model))),
            "strategy": " ".join(filter(None, (record.variant, record.model.removesuffix(f"-{record.embedder}")))),
            "embedder": record.embedder,
            "seed": record.seed,
            "best_valid_loss": record.best_valid_loss,
            "valid_accuracy": record.valid_accuracy,
            "parameters": record.parameters,
            "epoch_seconds": median(record.epoch_seconds),
            "train_seconds": record.train_seconds,
            "peak_memory_bytes": record.peak_memory_bytes,
        }
    columns = ["model", "strategy", "embedder", "seed", *COLUMN]
    return pd.DataFrame(list(rows.values()), columns=columns)


def fusion_table(records: Sequence[RunRecord]) -> TextTable:
    """One line a model, in the order they were run: means over seeds."""
    cells = frame(records)
    means = cells.groupby("model", sort=False)[list(COLUMN)].mean()
    means.insert(0, "seeds", cells.groupby("model", sort=False).size())
    rows = [
        [str(model), f"{row['seeds']:.0f}", *(column.text(row[column.field]) for column in COLUMNS)]
        for model, row in means.iterrows()
    ]
    return TextTable(
        name="fusion",
        title=f"{records[0].study}: fusion architectures",
        header=["model", "seeds", *(column.title for column in COLUMNS)],
        labels=1,
        rows=rows,
        notes=[],
        conditions=conditions(records),
        data=means.reset_index(),
    )


def variants_table(records: Sequence[RunRecord]) -> TextTable | None:
    """The variants of a study's protocol side by side, a line a model; None if there are not several.

    A cell is the mean over seeds, with the lowest and highest seed behind it where there are several.
    """
    done = [record for record in records if record.status == COMPLETED]
    variants = list(dict.fromkeys(record.variant for record in done))
    if len(variants) < 2:
        return None
    data = pd.DataFrame(
        {
            "model": record.model,
            "variant": record.variant,
            "seed": record.seed,
            "valid_accuracy": record.valid_accuracy,
            "best_valid_loss": record.best_valid_loss,
        }
        for record in done
    )
    shown = [(field, variant) for field in ("valid_accuracy", "best_valid_loss") for variant in variants]
    rows = []
    for model, of_model in data.groupby("model", sort=False):
        row = [str(model)]
        for field, variant in shown:
            values = of_model.loc[of_model.variant == variant, field]
            text = COLUMN[field].text
            spread = f" ({text(values.min())} to {text(values.max())})" if len(values) > 1 else ""
            row.append(text(values.mean()) + spread if len(values) else "-")
        rows.append(row)
    return TextTable(
        name="variants",
        title=f"{done[0].study}: {' beside '.join(variants)}",
        header=["model", *(f"{COLUMN[field].title.removeprefix('best ')}, {variant}" for field, variant in shown)],
        labels=1,
        rows=rows,
        notes=["mean over seeds (lowest to highest seed)"],
        conditions=conditions(records),
        data=data,
    )


def downsampling_table(records: Sequence[RunRecord]) -> TextTable | None:
    """MaxPool beside strided for every strategy that has both, with the difference; None if none has.

    A difference is strided less MaxPool: means over the seeds that both were run with.
    """
    cells = frame(records)
    first, second = EMBEDDER_TITLES
    pairs = cells[cells.embedder == first].merge(
        cells[cells.embedder == second], on=["strategy", "seed"], suffixes=(f"_{first}", f"_{second}")
    )
    if pairs.empty:
        return None
    rows, data = [], []
    for strategy, pair in pairs.groupby("strategy", sort=False):
        for column in COLUMNS:
            a, b = pair[f"{column.field}_{first}"].mean(), pair[f"{column.field}_{second}"].mean()
            rows.append([str(strategy), column.title, column.text(a), column.text(b), column.signed(b - a)])
            data.append(
                {
                    "strategy": strategy,
                    "metric": column.field,
                    "seeds": len(pair),
                    first: a,
                    second: b,
                    "difference": b - a,
                }
            )
    return TextTable(
        name="downsampling",
        title=f"{records[0].study}: MaxPool beside strided convolution",
        header=["strategy", "metric", *EMBEDDER_TITLES.values(), "difference"],
        labels=2,
        rows=rows,
        notes=["difference = strided - MaxPool, paired by seed"],
        conditions=conditions(records),
        data=pd.DataFrame(data),
    )


MAX_WIDTH = 200
"""Columns that a table may take on a terminal; wider ones are cut."""


def as_text(table: TextTable, *, color: bool) -> str:
    """The table drawn for a terminal, as wide as it needs to be."""
    text = StringIO()
    Console(file=text, width=MAX_WIDTH, force_terminal=color, no_color=not color).print(table.terminal())
    return text.getvalue()


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
        f"{distinct(r.environment['threads'] for r in done)} threads, "
        f"torch {distinct(r.environment['packages']['torch'] for r in done)}",
    ]
    unfinished = [
        f"{record.model} (seed {record.seed}, {record.status})" for record in records if record not in done
    ]
    if unfinished:
        lines.append(f"left out, not completed: {', '.join(unfinished)}")
    return lines
