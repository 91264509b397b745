"""Tables for LaTeX, in the style of the package booktabs."""

from collections.abc import Iterable, Sequence

_ESCAPES = str.maketrans(
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


def escape(text: str) -> str:
    """Text as LaTeX prints it: nothing in it is a command."""
    return text.translate(_ESCAPES)


def row(cells: Iterable[str], bold: Iterable[int] = ()) -> str:
    """A row of a tabular.

    Args:
        cells: its texts, not escaped.
        bold: the places of those that stand out.
    """
    escaped = [escape(cell) for cell in cells]
    for place in bold:
        escaped[place] = rf"\textbf{{{escaped[place]}}}"
    return " & ".join(escaped) + r" \\"


def table(*, title: str, columns: str, header: str, body: Sequence[str], notes: Sequence[str]) -> str:
    """A floating table.

    Args:
        title: its caption, not escaped.
        columns: how they stand, a letter each: "l" for left, "r" for right.
        header: the row of headings.
        body: rows, and what stands between them.
        notes: paragraphs below, not escaped.
    """
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(title)}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        header,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par{{\footnotesize {escape(note)}\par}}" for note in notes),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"
