"""One HTML page per report: highlights, tables, figures, sample predictions, and the command of every cell.

It is made from records alone.
"""
