"""Records -> DataFrame -> text. Pure: nothing is measured, read or printed here.

A table is a DataFrame of raw numbers first (that is what the CSV files hold) and is rounded only when it becomes
text. Figures over several seeds are means with the interval of ``bench.evidence``.
"""

from bench.tables.cells import comparable, completed, conditions, file_stem, frame, strategy_of
from bench.tables.columns import COLUMN, COLUMNS, EMBEDDER_TITLES, Column
from bench.tables.cost import cost_table
from bench.tables.downsampling import downsampling_table, embedder_pairs
from bench.tables.fusion import fusion_table
from bench.tables.modalities import modalities_table
from bench.tables.text import TextTable, as_text
from bench.tables.variants import variants_table

__all__ = [
    "COLUMN",
    "COLUMNS",
    "EMBEDDER_TITLES",
    "Column",
    "TextTable",
    "as_text",
    "comparable",
    "completed",
    "conditions",
    "cost_table",
    "downsampling_table",
    "embedder_pairs",
    "file_stem",
    "frame",
    "fusion_table",
    "modalities_table",
    "strategy_of",
    "variants_table",
]
