"""The page as a file. Another process draws its figures while this one makes the tables."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from bench.analysis.claims import Claims
from bench.records import write_file
from bench.records.reading import Run
from bench.report.figures import Image, images, load
from fusiongauge import printable


def write_page(runs: Sequence[Run], path: Path, claims: Claims | None = None) -> None:
    """Write the page of some runs, with verdicts on claims (by default the published ones).

    Missing folders are made.
    A script that calls this needs the guard ``if __name__ == "__main__"``, as for every process that it starts.
    """
    # A new interpreter instead of a copy of this one: a copy of a process with threads may wait for ever.
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as artist:
        artist.submit(load)
        from bench.report.page import page  # takes about as long as the other process takes to start

        html = page(runs, claims, draw=partial(_draw, artist))
    write_file(path, printable(html))  # paths in it may have bytes that are not UTF-8


def _draw(artist: Executor, runs: Iterable[Run]) -> Iterator[list[Image]]:
    """The figures, which the artist draws from now on; this process helps, from the last one on, when it waits."""
    runs = list(runs)
    futures = [artist.submit(images, run) for run in runs]

    def drawn() -> Iterator[list[Image]]:
        own = {i: images(runs[i]) for i in reversed(range(len(runs))) if futures[i].cancel()}
        for i, future in enumerate(futures):
            yield own[i] if i in own else future.result()

    return drawn()
