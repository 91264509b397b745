"""Signals that end a process end a session instead, as Ctrl-C does: what has ended is kept and shown."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType

SIGNALS = ("SIGTERM", "SIGHUP")
"""Sent by job schedulers and process managers; when a terminal is closed."""


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
            signal.signal(number, handler)

    return restore


def _raise(number: int, _: FrameType | None) -> None:
    raise Terminated(signal.Signals(number).name)
