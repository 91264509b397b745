"""What ``python -m bench`` can be asked for, a module a command.

A command module offers ``register``, which adds its parser and sets ``command`` to a function from the parsed
options to the exit status. To add one, write the module and put it into COMMANDS.
"""

from types import ModuleType

from bench.commands import audit, baseline, compare, corruptions, history, keep, nightly, plots, report, tables

COMMANDS: tuple[ModuleType, ...] = (
    tables,
    plots,
    report,
    compare,
    baseline,
    history,
    nightly,
    keep,
    audit,
    corruptions,
)
