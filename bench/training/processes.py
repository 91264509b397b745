"""Other Python processes, for what must not depend on anything that this one has done."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch

from fusiongauge import load_installed_plugins, load_plugin, plugins


def fresh_process() -> ProcessPoolExecutor:
    """One process in which nothing has run yet, with this one's threads and plug-ins; leaving it ends it.

    Not forked: a fork would inherit memory and generators, and CUDA does not survive one.
    """
    files = tuple(plugin.name for plugin in plugins() if plugin.name == str(plugin.file))
    setup = (torch.get_num_threads(), files, len(files) < len(plugins()))
    return ProcessPoolExecutor(1, get_context("spawn"), _set_up, setup)


def _set_up(threads: int, files: tuple[str, ...], installed: bool) -> None:
    torch.set_num_threads(threads)
    if installed:
        load_installed_plugins()
    for file in files:
        load_plugin(file)
