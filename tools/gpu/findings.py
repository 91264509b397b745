"""What has been measured so far, in a file that is written after each part: a check may be stopped at any time."""

import gc
import json
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Findings:
    """Values by their path, ("models", "wide-late-concat-strided+tf32"); also what was left out and what failed.

    Attributes:
        values: As in the file: one key per section, of which "skipped" and "errors" hold one sentence per part.

    Args:
        path: Of the JSON file.
        seconds: The time for all parts.
        cuda: Whether the device is a GPU.
    """

    def __init__(self, path: Path, seconds: float, *, cuda: bool) -> None:
        self._path, self._seconds, self._cuda = path, seconds, cuda
        self._began = time.monotonic()
        self.values: dict[str, Any] = {"skipped": {}, "errors": {}}

    def keep(self, path: tuple[str, ...], value: object) -> None:
        """Store a value, and write the file."""
        place = self.values
        for key in path[:-1]:
            place = place.setdefault(key, {})
        place[path[-1]] = value
        self._write()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Run the body as one part: an error in it is noted and ends nothing else."""
        try:
            yield
        except Exception as error:
            traceback.print_exc()
            first: BaseException = error
            # An error in a recording makes its end fail too, which tells nothing.
            while first.__context__ is not None and not first.__suppress_context__:
                first = first.__context__
            self.keep(("errors", name), f"{type(first).__name__}: {first}"[:300])
        finally:
            gc.collect()  # graphs and their memory are in cycles

    def add(
        self,
        path: tuple[str, ...],
        measure: Callable[[], object],
        *,
        needs: float = 0.0,
        needs_cuda: bool = False,
    ) -> None:
        """Measure one value and store it.

        Args:
            path: Where it is stored.
            measure: Returns the value, of JSON types.
            needs: The part is left out unless more than this share of all time is left.
            needs_cuda: It is left out on a CPU.
        """
        name = " ".join(path)
        if needs_cuda and not self._cuda:
            self.keep(("skipped", name), "needs CUDA")
        elif self._seconds - self._elapsed() < self._seconds * needs:
            self.keep(("skipped", name), "no time left")
        else:
            with self.part(name):
                self.keep(path, measure())

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _write(self) -> None:
        self.values["seconds"] = round(self._elapsed(), 1)
        draft = self._path.with_suffix(".part")
        draft.write_text(json.dumps(self.values))
        draft.replace(self._path)  # so that no stop leaves half a file
