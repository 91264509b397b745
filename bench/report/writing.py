"""The page as a file. Its figures are drawn in a second process while this one makes the tables."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from bench.records.reading import Run
from bench.report.figures import load


def write_page(runs: Sequence[Run], path: Path) -> None:
    """Write the page of some runs; missing folders are made.

    A script that calls this needs the guard ``if __name__ == "__main__"``, as for every process that it starts.
    """
    # A new interpreter and no copy of this one: a copy of a process with threads may wait for ever.
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as artist:
        artist.submit(load)
        from bench.report.page import page  # takes as long to load as the other process takes to start

        html = page(runs, draw=artist.map)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html, encoding="utf-8")
