import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bench.tables import TextTable, as_text

TABLE = TextTable(
    name="sample",
    title="A sample: 100%",
    header=["group", "name_of", "value"],
    labels=2,
    rows=[["a", "[red]x[/red]", "0.5 ± 0.1"], ["a", "y", "1"], ["b", "x", "2"]],
    notes=["marked: why"],
    conditions=["data: made_up"],
    data=pd.DataFrame(),
    marked=frozenset({(0, 2)}),
)


def test_markdown_by_hand() -> None:
    assert TABLE.markdown() == (
        "**A sample: 100%**\n"
        "\n"
        "| group | name_of | value |\n"
        "| --- | --- | ---: |\n"
        "| a | [red]x[/red] | **0.5 ± 0.1** |\n"
        "| a | y | 1 |\n"
        "| b | x | 2 |\n"
        "\n"
        "marked: why  \n"
        "data: made_up\n"
    )


def test_a_bar_in_a_heading_or_cell_is_no_column_of_markdown() -> None:
    table = replace(TABLE, header=["group", "a | b", "value"])
    assert "| group | a \\| b | value |" in table.markdown()


def test_latex_by_hand() -> None:
    assert TABLE.latex() == (
        "% needs \\usepackage{booktabs}\n"
        "\\begin{table}\n"
        "\\centering\n"
        "\\caption{A sample: 100\\%}\n"
        "\\begin{tabular}{llr}\n"
        "\\toprule\n"
        "group & name\\_of & value \\\\\n"
        "\\midrule\n"
        "a & [red]x[/red] & \\textbf{0.5 \\textpm{} 0.1} \\\\\n"
        " & y & 1 \\\\\n"
        "\\addlinespace\n"
        "b & x & 2 \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
        "\\par{\\footnotesize marked: why\\par}\n"
        "\\par{\\footnotesize data: made\\_up\\par}\n"
        "\\end{table}\n"
    )


def test_nothing_in_a_text_is_a_latex_command() -> None:
    texts = [r"50% of $x_1^2$ & {a} #1 ~ \input{b}", "a < b > c | ± 1"]
    latex = replace(TABLE, header=texts, labels=1, rows=[texts], title=texts[0], marked=frozenset()).latex()
    first = r"50\% of \$x\_1\textasciicircum{}2\$ \& \{a\} \#1 \textasciitilde{} \textbackslash{}input\{b\}"
    second = r"a \textless{} b \textgreater{} c \textbar{} \textpm{} 1"
    assert latex.count(rf"{first} & {second} \\") == 2  # heading and row
    assert rf"\caption{{{first}}}" in latex


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_accepts_the_table(tmp_path: Path) -> None:
    document = (
        rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{TABLE.latex()}\end{{document}}"
    )
    (tmp_path / "table.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "table.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout


def test_on_a_terminal_a_word_is_not_repeated_below_itself() -> None:
    text = as_text(TABLE, color=False)
    assert [line.split("│")[1].strip() for line in text.splitlines() if line.startswith("│")] == ["a", "", "b"]


def test_what_is_marked_has_a_star_with_and_without_colors() -> None:
    plain, colored = as_text(TABLE, color=False), as_text(TABLE, color=True)
    assert plain.count("*") == 1
    assert "│ *0.5 ± 0.1 │" in plain
    assert "\x1b" not in plain
    assert "\x1b[1m*0.5 ± 0.1\x1b[0m" in colored


def test_brackets_in_cells_are_text_and_no_markup() -> None:
    assert "[red]x[/red]" in as_text(TABLE, color=True)


def test_a_terminal_without_unicode_gets_lines_of_ascii() -> None:
    for encoding in ("ascii", "latin-1", "cp1252"):
        text = as_text(TABLE, color=False, encoding=encoding)
        text.encode(encoding)
        cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if "|" in line]
        assert cells[0] == TABLE.header
        assert cells[2] == ["a", "[red]x[/red]", "*0.5 +- 0.1" if encoding == "ascii" else "*0.5 ± 0.1"]


def test_names_that_a_terminal_cannot_encode_are_escaped_and_columns_stay_in_line() -> None:
    table = replace(TABLE, rows=[["Mütze", "樹", "1"], ["b", "x", "2"]], marked=frozenset())
    rows = [line for line in as_text(table, color=False, encoding="ascii").splitlines() if line.startswith("|")]
    assert r"M\xfctze" in rows[2]
    assert r"\u6a39" in rows[2]
    assert len(set(map(len, rows))) == 1


@pytest.mark.parametrize("width", [20, 30, 40, 80])
def test_a_table_wider_than_the_terminal_is_drawn_in_parts_with_all_of_its_cells(width: int) -> None:
    header = ["model", *(f"column {i}" for i in range(8))]
    table = replace(
        TABLE, header=header, labels=1, rows=[["short", *map(str, range(100, 108))]], marked=frozenset({(0, 8)})
    )
    lines = as_text(table, color=False, width=width).splitlines()
    assert max(map(len, lines)) <= width
    drawn = [line.split("│")[1:-1] for line in lines if line.startswith("│")]
    assert {row[0].strip() for row in drawn} == {"short"}
    assert [cell.strip() for row in drawn for cell in row[1:]] == [*map(str, range(100, 107)), "*107"]
    assert "marked: why" in lines[-1]
