"""The terminal of a session. Writing to it never fails a run: characters are escaped, a closed one is left."""

from __future__ import annotations

from typing import Any

import pytest

from bench.tables.text import width_of


class Terminal:
    """pytest's terminal, or none with ``-p no:terminal``.

    Args:
        config: Of pytest, after all plug-ins are configured.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        self._capture: Any = config.pluginmanager.get_plugin("capturemanager")
        self._line_broken_in: object = None
        if self._reporter is not None:
            writer: Any = config.get_terminal_writer()
            writer._file = _Unfailing(writer._file)  # pytest has no other way to it

    @property
    def encoding(self) -> str:
        """Of what can be written; "utf-8" where nothing is."""
        file: Any = self._reporter and self._reporter._tw._file
        return getattr(file, "encoding", None) or "utf-8"

    @property
    def color(self) -> bool:
        """Whether it shows colors, as pytest decides it: by ``--color``, PY_COLORS, NO_COLOR and TERM."""
        return self._reporter is not None and bool(self._reporter.hasmarkup)

    @property
    def live(self) -> bool:
        """Whether a line can be rewritten."""
        return self.color and bool(self._reporter.isatty())

    @property
    def width(self) -> int:
        """In characters; see ``width_of``."""
        return width_of(terminal=self._reporter is not None and self._reporter.isatty())

    def line(self, text: str) -> None:
        """Write a line."""
        if self._reporter is not None:
            self._reporter.ensure_newline()
            self._reporter.write_line(text)

    def section(self, title: str) -> None:
        """Write a line with a title."""
        if self._reporter is not None:
            self._reporter.section(title)

    def show(self, text: str) -> None:
        """Write text as it is in the middle of a test."""
        if self._reporter is None or self._capture is None:
            return
        with self._capture.global_and_fixture_disabled():
            # pytest names a file when it enters it: break that line once, and do not make pytest name it again.
            file = self._reporter.currentfspath
            if self._line_broken_in != file:
                self._reporter.ensure_newline()
                self._line_broken_in = file
            self._reporter.write(text, flush=True)
            self._reporter.currentfspath = file


class _Unfailing:
    """Writes to a stream what it can encode; once the stream fails, nothing more is written.

    A terminal can be closed, a pipe have no reader (``| head``), a disk be full: the records matter more.
    """

    def __init__(self, stream: Any) -> None:
        self._stream, self._silent = stream, False

    def write(self, text: str) -> int:
        """Write text; characters that the encoding lacks are escaped."""
        if not self._silent:
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                encoding = self._stream.encoding
                self.write(text.encode(encoding, "fusiongauge.printable").decode(encoding))
            except (OSError, ValueError):  # ValueError: it is closed
                self._silent = True
        return len(text)

    def flush(self) -> None:
        """Pass on what was written."""
        if not self._silent:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._silent = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
