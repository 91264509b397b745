"""One HTML page of runs, for people: summary, tables, plots, sample predictions, and how to get each row again.

Made from records alone, but for the sample predictions, which need a run's checkpoints and its data.
"""
