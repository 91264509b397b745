import os
from contextlib import suppress
from io import StringIO, TextIOWrapper
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.harness.terminal import Terminal, _Unfailing
from bench.tables.text import MAX_WIDTH


def opened(path: Path | int, encoding: str = "utf-8") -> TextIOWrapper:
    return open(path, "w", encoding=encoding, buffering=1)  # noqa: PTH123


def test_what_a_terminal_cannot_encode_is_escaped_and_lines_stay_lines(tmp_path: Path) -> None:
    with opened(tmp_path / "out", "ascii") as file:
        _Unfailing(file).write("0.9 ± 0.1\n┏━┓\n")
    assert (tmp_path / "out").read_text() == "0.9 \\xb1 0.1\n\\u250f\\u2501\\u2513\n"


def test_a_pipe_that_nobody_reads_is_left_alone() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    broken = opened(writing)
    stream = _Unfailing(broken)
    assert stream.write("text\n") == 5
    stream.flush()
    assert stream.write("more\n") == 5
    with suppress(BrokenPipeError):  # what it holds back
        broken.close()


def test_a_full_disk_and_a_closed_stream_are_left_alone() -> None:
    full = opened(Path("/dev/full"))
    for stream in (_Unfailing(full), _Unfailing(closed())):
        assert stream.write("text\n") == 5
        stream.flush()
    with suppress(OSError):  # what it holds back
        full.close()


def closed() -> StringIO:
    stream = StringIO()
    stream.close()
    return stream


def test_without_a_terminal_nothing_is_written() -> None:
    config: Any = SimpleNamespace(pluginmanager=SimpleNamespace(get_plugin=lambda _: None))
    terminal = Terminal(config)
    for write in (terminal.line, terminal.section, terminal.show):
        write("text")
    assert (terminal.encoding, terminal.color, terminal.live) == ("utf-8", False, False)


@pytest.mark.parametrize(("columns", "width"), [("40", 40), ("", MAX_WIDTH), ("many", MAX_WIDTH)])
def test_tables_are_as_wide_as_they_need_to_be_unless_columns_are_given(
    columns: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config: Any = SimpleNamespace(pluginmanager=SimpleNamespace(get_plugin=lambda _: None))
    monkeypatch.setenv("COLUMNS", columns)
    assert Terminal(config).width == width
