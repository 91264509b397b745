import signal

import pytest

from bench.harness.interruption import SIGNALS, Terminated, as_interruptions


@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_interrupts_until_it_is_restored(name: str) -> None:
    number = getattr(signal, name)
    before = signal.signal(number, signal.SIG_DFL)  # under nohup the tests themselves ignore SIGHUP
    try:
        restore = as_interruptions()
        with pytest.raises(Terminated, match=name):
            signal.raise_signal(number)
        restore()
        after = signal.SIG_IGN if name == "SIGXCPU" else signal.SIG_DFL  # it comes again every second
        assert signal.getsignal(number) is after
    finally:
        signal.signal(number, before)


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        restore = as_interruptions()
        signal.raise_signal(signal.SIGHUP)
        restore()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
