"""Signals that end a process end a session instead, as Ctrl-C does: what has ended is kept and shown."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType

SIGNALS = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")
"""Sent by job schedulers and process managers, some of them a while before a job's time ends; when a terminal is
closed; when the processor time of ``ulimit -t`` is used up. Without a handler each ends the process at once."""


class Terminated(KeyboardInterrupt):
    """A signal of SIGNALS arrived; pytest treats it as Ctrl-C."""


def as_interruptions() -> Callable[[], None]:
    """Have these signals raise ``Terminated`` in the main thread, unless something else handles or ignores them.

    Returns:
        Restores what was before.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in SIGNALS if hasattr(signal, name)):
            if signal.getsignal(number) is signal.SIG_DFL:  # `nohup` ignores SIGHUP
                before[number] = signal.signal(number, _raise)

    def restore() -> None:
        for number, handler in before.items():
            if signal.getsignal(number) is _raise:  # one that is ignored from now on stays so
                signal.signal(number, handler)

    return restore


def _raise(number: int, _: FrameType | None) -> None:
    if number == getattr(signal, "SIGXCPU", None):  # comes every second from now on, also while tables are written
        signal.signal(number, signal.SIG_IGN)
    raise Terminated(signal.Signals(number).name)
