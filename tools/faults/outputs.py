"""Where the output of a run goes: a pipe, a pipe that is closed, a terminal that is."""

import os
import pty
import select
import signal
import time
from collections.abc import Callable, Mapping
from functools import partial

TIMEOUT_SECONDS = 300


def started(run: Callable[[], None], redirect: Callable[[], None]) -> int:
    """The process that runs something, after its output was connected."""
    child = os.fork()
    if child == 0:
        redirect()
        run()
    return child


def ended(child: int) -> int:
    """The exit status of a process, which is killed when it takes too long."""
    until = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < until:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 124


def to_pipe(run: Callable[[], None], *, into: str = "") -> tuple[int, str]:
    """Run something and read its output, through a pipe: a file would be subject to the faults."""
    reading, writing = os.pipe()

    def redirect() -> None:
        os.close(reading)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(into, os.O_WRONLY) if into else writing, 1)
        os.dup2(writing, 2)
        os.close(writing)

    child = started(run, redirect)
    os.close(writing)
    text, until = b"", time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < until:
        if select.select([reading], [], [], 1)[0]:
            if not (part := os.read(reading, 65536)):
                break
            text += part
    os.close(reading)
    return ended(child), text.decode(errors="replace")


def to_head(run: Callable[[], None]) -> tuple[int, str]:
    """Run something whose output is closed after the first line, as by ``| head -1``."""
    reading, writing = os.pipe()

    def redirect() -> None:
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        os.close(writing)
        os.close(reading)

    child = started(run, redirect)
    os.close(writing)
    text = b""
    while b"\n" not in text and (part := os.read(reading, 1)):
        text += part
    os.close(reading)
    return ended(child), text.decode(errors="replace")


def to_terminal(run: Callable[[], None]) -> tuple[int, str]:
    """Run something on a terminal that is closed while the second cell is trained."""
    child, terminal = pty.fork()
    if child == 0:
        run()
    text, until = b"", time.monotonic() + TIMEOUT_SECONDS
    while b"[2/2]" not in text and time.monotonic() < until:
        if select.select([terminal], [], [], 1)[0]:
            try:
                text += os.read(terminal, 4096)
            except OSError:
                break
    os.close(terminal)
    return ended(child), text.decode(errors="replace")


STARTS: Mapping[str, Callable[[Callable[[], None]], tuple[int, str]]] = {
    "pipe": to_pipe,
    "devfull": partial(to_pipe, into="/dev/full"),
    "head": to_head,
    "hangup": to_terminal,
}
