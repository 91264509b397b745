"""The folder of a run: one process writes it, and a record is on its disk before the next cell starts."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from bench.analysis.formats import counted
from bench.harness.kept import keep
from bench.harness.writable import why_no_folder
from bench.records import Outbox
from bench.records.run import FILE_NAME as RECORDS
from fusiongauge import FusionGaugeError


class FolderError(FusionGaugeError, OSError):
    """The files of a run cannot be written, or another run is writing them; the message has the remedy."""


class RunFolder:
    """The files of a run, while it goes on.

    Attributes:
        path: Made when it is taken.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._outbox = Outbox()

    @cached_property
    def _lock(self) -> FileLock:
        """Held while the folder is written; the system releases it when the process dies, however it dies."""
        return FileLock(self.path / "run.lock", timeout=0)

    def take(self, claims: Mapping[Path, str]) -> None:
        """Keep other runs out of the folder, and write what is declared for this one (``kept.keep``).

        Raises:
            FolderError: It cannot be written, or another run is writing it.
        """
        if reason := why_no_folder(self.path):
            raise FolderError(self._refusal(reason))
        try:
            self._lock.acquire()
            (self.path / RECORDS).open("ab").close()  # unlike touch, refuses a folder
            keep(self.path, claims)
        except Timeout as error:
            raise FolderError(
                f"another run is writing to {self.path}; wait until it ends, or give another folder "
                "with --results-dir"
            ) from error
        except (OSError, NotImplementedError) as error:  # the latter of a file system without locks
            raise FolderError(self._refusal(getattr(error, "strerror", None) or str(error))) from error

    def release(self) -> None:
        """Let other runs in."""
        self._lock.release()

    def write(self, name: str, record: msgspec.Struct) -> None:
        """Append a record to the file of this name; one that cannot be written waits for the next, or the end.

        Raises:
            FolderError: It cannot be written now.
        """
        path = self.path / name
        try:
            self._outbox.add(path, record)
        except OSError as error:
            raise FolderError(
                f"the record cannot be written to {path} ({error.strerror}); make room on the disk: writing is "
                "tried again with the next record and at the end"
            ) from error

    def write_what_waits(self) -> list[str]:
        """Write the records that wait, to another folder if they still cannot be written to this one.

        Returns:
            Where they are in that case, a sentence.
        """
        try:
            self._outbox.send()
        except OSError as error:
            count = len(self._outbox)
            where = "they are lost, apart from the tables; make room and run the benchmark again"
            with suppress(OSError):  # the folder of temporary files may be full too
                elsewhere = Path(tempfile.mkdtemp(prefix="fusiongauge-"))
                self._outbox.redirect(elsewhere)
                self._outbox.send()
                where = f"they are in {elsewhere}; make room and append its files to those of the same names"
            return [f"{counted(count, 'record')} could not be written to {self.path} ({error.strerror}); {where}"]
        return []

    def _refusal(self, reason: str) -> str:
        return f"cannot write results to {self.path} ({reason}); give another folder with --results-dir"
