"""The entry point of pytest: loads the plug-in of the benchmarks where a command line is about them.

Every pytest of an environment loads it, also those of other projects. Their options and packages may have the same
names as ours (``--device``, a folder ``bench``), so nothing is declared or imported there; this module has a name
that no other project has.
"""

import argparse
import copy
import importlib.util
from pathlib import Path
from typing import Any

import pytest
from _pytest.config.findpaths import determine_setup  # the only way to repeat what pytest does itself

HOME = Path(__file__).resolve().parent
"""The checkout, or the folder that packages are installed in."""

PLUGIN = "bench.harness.plugin"
"""The plug-in; conftest.py loads it under the same name where FusionGauge is not installed."""

VALUES = {
    "--plugin": 1,
    "--profile": 1,
    "--dataset": 1,
    "--device": 1,
    "--seeds": 1,
    "--set": 1,
    "--image-size": 1,
    "--results-dir": 1,
    "--fail-on": 1,
    "--track": 1,
    "--study": 1,
    "--shard": 1,
    "--executor": 1,
    "--cache-size": 1,
    "--max-seeds": 1,
    "--budget": 1,
    "--compare-models": 2,
    "--claims": 1,
    "--earlier": 1,
}
"""The options of the plug-in that take values, and how many."""


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, parser: pytest.Parser, args: list[str]) -> None:
    """Load the plug-in; all installed ones are loaded already, so an option that is taken is noticed."""
    config: Any = early_config
    here, words = config.invocation_params.dir, _paths(config.known_args_namespace.file_or_dir, args)
    if not (_is_about_us(words, here) or (config.known_args_namespace.pyargs and _named(words))):
        return
    config.pluginmanager.import_plugin(PLUGIN)
    _find_root_again(config, parser, args)


def _paths(words: list[str], args: list[str]) -> list[str]:
    """The words that pytest takes for paths, without values of options that it does not know yet."""
    ours = argparse.ArgumentParser(
        add_help=False, allow_abbrev=False, exit_on_error=False, fromfile_prefix_chars="@"
    )
    for option, count in VALUES.items():
        ours.add_argument(option, action="append", nargs=count)
    try:
        rest = ours.parse_known_args(args)[1]
    except argparse.ArgumentError:  # a value is missing, which pytest reports where the options are ours
        return words
    return [word for word in words if word in rest]


def _is_about_us(words: list[str], here: Path) -> bool:
    """Whether paths are in our checkout; without paths, whether the working directory is."""
    if not (HOME / "conftest.py").is_file():  # not a checkout
        paths = [(here / word.partition("::")[0]).resolve() for word in words]
        return any(HOME / "bench" in (path, *path.parents) for path in paths)
    paths = [(here / word.partition("::")[0]).resolve() for word in words] or [here.resolve()]
    return any(HOME in (path, *path.parents) for path in paths)


def _named(words: list[str]) -> bool:
    """Whether ``--pyargs`` names our package, and not one of the same name."""
    if not any(word.partition("::")[0].partition(".")[0] == "bench" for word in words):
        return False
    found = importlib.util.find_spec("bench")
    return found is not None and str(HOME / "bench") in map(str, found.submodule_search_locations or ())


def _find_root_again(config: Any, parser: pytest.Parser, args: list[str]) -> None:
    """The root and the ini-file as pytest would have found them if it had known the options from the start.

    In ``--dataset PATH`` it takes PATH for a folder of tests.
    """
    known = parser.parse_known_args(args, namespace=copy.copy(config.option))
    root, inifile, ini, _ = determine_setup(
        inifile=known.inifilename,
        override_ini=known.override_ini,
        args=known.file_or_dir,
        rootdir_cmd_arg=known.rootdir or None,
        invocation_dir=config.invocation_params.dir,
    )
    known.confcutdir = known.confcutdir or str(inifile.parent if inifile else root)
    config.known_args_namespace = known
    if (root, inifile) != (config.rootpath, config.inipath):
        config._rootpath, config._inipath = root, inifile
        setattr(config, "_inicfg" if hasattr(config, "_inicfg") else "inicfg", ini)  # renamed in pytest 9.1
        config._inicache.clear()
