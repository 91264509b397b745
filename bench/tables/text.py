"""A table as text, and how it is written: Markdown, LaTeX, a terminal."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from io import StringIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

MAX_WIDTH = 200
"""Columns that a table takes where no terminal tells how many it has."""

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        **{character: rf"\{character}" for character in "&%$#_{}"},
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "±": r"\textpm{}",
    }
)


@dataclass(frozen=True)
class TextTable:
    """A table as text, ready for any format.

    Attributes:
        name: Stem of its files.
        title: One line above it.
        header: One heading per column; the first ``labels`` columns are words, the rest numbers.
        labels: The number of columns of words.
        rows: Cells as text.
        data: The raw numbers.
        notes: Lines below it.
        conditions: What the numbers were obtained under; in files, after the notes.
        marked: The cells that stand out, as (row, column); the notes tell why.
        groups: What each row belongs to, where that is not its first column; rows of a group are adjacent.
        further: Whether it is in files and on the page alone, to keep the terminal and summaries short.
    """

    name: str
    title: str
    header: list[str]
    labels: int
    rows: list[list[str]]
    data: pd.DataFrame
    notes: list[str] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)
    marked: frozenset[tuple[int, int]] = frozenset()
    groups: Sequence[str] = ()
    further: bool = False

    def markdown(self) -> str:
        """GitHub's Markdown; marked cells are bold."""
        rows = [self._emphasized(i, row, "**{}**") for i, row in enumerate(self.rows)]
        lines = [f"**{self.title}**", "", *markdown_lines(self.header, self.labels, rows)]
        lines += ["", *(f"{note}  " for note in (*self.notes, *self.conditions))]
        return "\n".join(lines).rstrip() + "\n"

    def latex(self) -> str:
        """A floating table for LaTeX with the package booktabs; marked cells are bold."""
        body: list[str] = []
        for i, (starts, row) in enumerate(self._grouped()):
            escaped = [cell.translate(_LATEX) for cell in row]
            body += [r"\addlinespace"] if starts else []
            body.append(" & ".join(self._emphasized(i, escaped, r"\textbf{{{}}}")) + r" \\")
        notes = [note.translate(_LATEX) for note in (*self.notes, *self.conditions)]
        lines = [
            r"% needs \usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{self.title.translate(_LATEX)}}}",
            rf"\begin{{tabular}}{{{'l' * self.labels}{'r' * (len(self.header) - self.labels)}}}",
            r"\toprule",
            " & ".join(title.translate(_LATEX) for title in self.header) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            *(rf"\par{{\footnotesize {note}\par}}" for note in notes),
            r"\end{table}",
        ]
        return "\n".join(lines) + "\n"

    def terminal(self, *, encoding: str = "utf-8") -> Table:
        """For a rich console; a rule is drawn before each further group of rows.

        Marked cells are bold and have a star, which shows without colors too.
        """
        from rich.table import Table
        from rich.text import Text

        def text(words: str, style: str = "") -> Text:
            return Text(_encodable(words, encoding), style=style)

        caption = text("\n".join(self.notes))
        table = Table(title=text(self.title), caption=caption, title_justify="left", caption_justify="left")
        for i, title in enumerate(self.header):
            table.add_column(text(title), justify="left" if i < self.labels else "right", overflow="fold")
        for i, (starts, row) in enumerate(self._grouped()):
            if starts:
                table.add_section()
            marks = [(i, j) in self.marked for j in range(len(row))]
            cells = zip(row, marks, strict=True)
            table.add_row(*(text(f"*{cell}", "bold") if mark else text(cell) for cell, mark in cells))
        return table

    def columns(self, numbers: Sequence[int]) -> TextTable:
        """The table with its columns of words and these columns of numbers alone."""
        kept = [*range(self.labels), *numbers]
        places = {old: new for new, old in enumerate(kept)}
        return replace(
            self,
            header=[self.header[j] for j in kept],
            rows=[[row[j] for j in kept] for row in self.rows],
            marked=frozenset((i, places[j]) for i, j in self.marked if j in places),
        )

    def _emphasized(self, i: int, cells: Iterable[str], pattern: str) -> list[str]:
        return [pattern.format(cell) if (i, j) in self.marked else cell for j, cell in enumerate(cells)]

    def _grouped(self) -> Iterator[tuple[bool, list[str]]]:
        """Whether a row starts a further group, and its cells without the first word of its group.

        Without ``groups``, the first of several columns of words tells which rows belong together.
        """
        first_words = [row[0] for row in self.rows] if self.labels > 1 else []
        starts = self.starts()
        for i, row in enumerate(self.rows):
            same = bool(first_words) and i > 0 and first_words[i] == first_words[i - 1]
            yield i in starts, ["" if same else row[0], *row[1:]]

    def starts(self) -> set[int]:
        """The rows that start a further group."""
        groups = self.groups or ([row[0] for row in self.rows] if self.labels > 1 else [])
        return {i for i in range(1, len(groups)) if groups[i] != groups[i - 1]}


def markdown_lines(header: Sequence[str], labels: int, rows: Sequence[Sequence[str]]) -> list[str]:
    """A table in GitHub's Markdown; columns after the first ``labels`` are aligned to the right."""
    rule = ["---"] * labels + ["---:"] * (len(header) - labels)
    escaped = [[cell.replace("|", r"\|") for cell in cells] for cells in (header, rule, *rows)]
    return ["| " + " | ".join(cells) + " |" for cells in escaped]


def as_text(table: TextTable, *, color: bool, encoding: str = "utf-8", width: int = MAX_WIDTH) -> str:
    """The table drawn for a terminal.

    Args:
        table: What is wider than the terminal is drawn as several tables below each other, each with the columns
            of words.
        color: Whether bold text can be shown.
        encoding: Of the terminal; lines are drawn in ASCII where it is not Unicode.
        width: Of the terminal, in characters.
    """
    from rich.console import Console
    from rich.measure import Measurement

    text = _Encoded()
    text.encoding = encoding
    # The environment is of no interest: a "dumb" terminal would have 80 columns.
    console = Console(
        file=text,
        width=width,
        height=100,
        force_terminal=color,
        no_color=not color,
        _environ={},
        legacy_windows=False,
    )

    def fits(numbers: Sequence[int]) -> bool:
        drawn = table.columns(numbers).terminal(encoding=encoding)
        drawn.title = drawn.caption = None
        return Measurement.get(console, console.options.update(width=10_000), drawn).maximum <= width

    parts: list[list[int]] = [[]]
    for column in range(table.labels, len(table.header)):
        if parts[-1] and not fits([*parts[-1], column]):
            parts.append([])
        parts[-1].append(column)
    for number, part in enumerate(parts, start=1):
        piece = table.columns(part)
        title = table.title if number == 1 else f"{table.title} ({number} of {len(parts)})"
        piece = replace(piece, title=title, notes=table.notes if number == len(parts) else [])
        console.print(piece.terminal(encoding=encoding))
    return text.getvalue()


def width_of(*, terminal: bool) -> int:
    """The characters that fit: into a terminal, or as many as tables need elsewhere, unless COLUMNS is set."""
    told = terminal or os.environ.get("COLUMNS", "").isdecimal()
    return (shutil.get_terminal_size().columns if told else 0) or MAX_WIDTH


class _Encoded(StringIO):
    """Text for a stream with an encoding; rich chooses the characters of its lines by it."""

    encoding = "utf-8"


def _encodable(text: str, encoding: str) -> str:
    """The text with characters that the encoding lacks written as ASCII."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.replace("±", "+-").encode(encoding, "backslashreplace").decode(encoding)
    return text
