"""Records -> DataFrame -> text. Nothing is measured, read or printed here.

A table is a DataFrame of raw numbers first, which its CSV file holds, and is rounded only when it becomes text.
``tabulation`` makes every table that some records allow; each other module makes the tables of one subject.
"""

from bench.tables.text import TextTable, as_text

__all__ = ["TextTable", "as_text"]
