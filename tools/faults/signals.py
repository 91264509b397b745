"""Signals."""

from collections.abc import Iterator

from tools.faults.fault import KEPT, Fault, at


def signals() -> Iterator[Fault]:
    """Ctrl-C once and twice, termination, a lost connection, and a kill, at every stage."""
    for stage, kept in KEPT.items():
        for name, code in (("SIGINT", 2), ("SIGTERM", 2), ("SIGHUP", 2), ("SIGKILL", -9)):
            act = f"os.kill(os.getpid(), signal.{name}); time.sleep(0.01)"
            said = stage != "at the summary" and name != "SIGKILL"
            says = "interrupted|KeyboardInterrupt|Terminated" if said else ""
            yield at(stage, act, name=name, codes=(code,), kept=kept, says=says)
    for name in ("SIGUSR1", "SIGUSR2", "SIGXCPU"):
        act = f"os.kill(os.getpid(), signal.{name}); time.sleep(0.01)"
        yield at("after the first cell", act, name=name, codes=(2,), kept=1, says=f"interrupted|{name}")
    act = "os.kill(os.getpid(), signal.SIGINT); time.sleep(0.01)"
    yield at("while the data are loaded", act, name="SIGINT", codes=(2,), kept=0, says="KeyboardInterrupt")
    # one second of processor time from now on, then a signal in every further one
    limit = (
        "import resource; used = resource.getrusage(resource.RUSAGE_SELF); "
        "used = int(used.ru_utime + used.ru_stime) + 1; "
        "resource.setrlimit(resource.RLIMIT_CPU, (used, used + 600))\n"
        "while True:\n    pass"
    )
    yield at("after the first cell", limit, name="ulimit -t", codes=(2,), kept=1, says="SIGXCPU")
    twice = "os.kill(os.getpid(), signal.SIGINT)"
    again = f"import bench.tables.tabulation as t; t.write_tables = lambda *_, **__: {twice}; {twice}"
    yield at("after the first cell", again, name="Ctrl-C twice", codes=(2,), kept=1, says="interrupted again")
