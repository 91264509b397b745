"""The page as a file. Its figures are drawn in other processes while this one makes the tables."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from bench.records.reading import Run
from bench.report.figures import load

PROCESSES = 2
"""That draw; more would take longer to start than they save."""


def write_page(runs: Sequence[Run], path: Path) -> None:
    """Write the page of some runs; missing folders are made.

    A script that calls this needs the guard ``if __name__ == "__main__"``, as for every process that it starts.
    """
    # New interpreters instead of copies of this one: a copy of a process with threads may wait for ever.
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        for _ in range(PROCESSES):
            pool.submit(load)
        from bench.report.page import page  # takes about as long as the other processes take to start

        html = page(runs, draw=pool.map)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html, encoding="utf-8")
