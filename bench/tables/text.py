"""The table as text, and how it is drawn: Markdown, LaTeX, a terminal."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.tables import latex


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
        marked: the cells that stand out, as (row, column); the notes say why.
    """

    name: str
    title: str
    header: list[str]
    labels: int
    rows: list[list[str]]
    notes: list[str]
    conditions: list[str]
    data: pd.DataFrame
    marked: frozenset[tuple[int, int]] = frozenset()

    def markdown(self) -> str:
        """GitHub's Markdown; what is marked is bold."""
        rule = ["---"] * self.labels + ["---:"] * (len(self.header) - self.labels)
        rows = [
            [f"**{cell}**" if (i, j) in self.marked else cell for j, cell in enumerate(row)]
            for i, row in enumerate(self.rows)
        ]
        lines = [f"**{self.title}**", ""]
        lines += ["| " + " | ".join(cells) + " |" for cells in (self.header, rule, *rows)]
        lines += ["", *(f"{note}  " for note in (*self.notes, *self.conditions))]
        return "\n".join(lines).rstrip() + "\n"

    def latex(self) -> str:
        """A floating table for LaTeX with the package booktabs; what is marked is bold."""
        body: list[str] = []
        for i, (starts, row) in enumerate(self._grouped()):
            body += [r"\addlinespace"] if starts else []
            body.append(latex.row(row, [j for j in range(len(row)) if (i, j) in self.marked]))
        return latex.table(
            title=self.title,
            columns="l" * self.labels + "r" * (len(self.header) - self.labels),
            header=latex.row(self.header),
            body=body,
            notes=[*self.notes, *self.conditions],
        )

    def terminal(self) -> Table:
        """For a rich console; a line is drawn wherever the first column changes to a new word.

        What is marked is bold and has a star, which shows without colors too.
        """
        table = Table(
            title=Text(self.title),
            caption=Text("\n".join(self.notes)),
            title_justify="left",
            caption_justify="left",
        )
        for i, title in enumerate(self.header):
            table.add_column(Text(title), justify="left" if i < self.labels else "right", no_wrap=True)
        for i, (starts, row) in enumerate(self._grouped()):
            if starts:
                table.add_section()
            table.add_row(
                *(
                    Text(f"*{cell}", style="bold") if (i, j) in self.marked else Text(cell)
                    for j, cell in enumerate(row)
                )
            )
        return table

    def _grouped(self) -> Iterator[tuple[bool, list[str]]]:
        """Whether a row starts a group behind another, and its cells without the word it shares with its group.

        Only tables with several columns of words have groups.
        """
        previous = None
        for row in self.rows:
            same = self.labels > 1 and row[0] == previous
            yield self.labels > 1 and previous is not None and not same, ["" if same else row[0], *row[1:]]
            previous = row[0]


MAX_WIDTH = 200
"""Columns that a table may take on a terminal; wider ones are cut."""


def as_text(table: TextTable, *, color: bool) -> str:
    """The table drawn for a terminal, as wide as it needs to be."""
    text = StringIO()
    Console(file=text, width=MAX_WIDTH, force_terminal=color, no_color=not color).print(table.terminal())
    return text.getvalue()
