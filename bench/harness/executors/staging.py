"""The code that workers run: copied to one folder, which travels with the job."""

from __future__ import annotations

import shutil
from pathlib import Path

from bench.training.fingerprint import ROOT, plugin_files
from fusiongauge import plugins

PLUGINS = "plugins"
"""The folder of plug-ins in the staged one."""

_PACKAGES = ("bench", "data_utils", "fusion_models")


def stage(folder: Path) -> tuple[list[str], bool]:
    """Copy our packages, and the plug-ins with what they import, apart from libraries.

    Plug-ins of installed packages are not copied; other files that a plug-in reads are not either.

    Returns:
        The paths of the plug-ins in the folder, relative to it and in the order of loading, and whether there are
        plug-ins of installed packages.
    """
    for package in _PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "fusiongauge.py", folder)
    files, installed, folders = [], False, dict[Path, Path]()
    for plugin in plugins():
        if plugin.name != str(plugin.file):
            installed = True
            continue
        parent = plugin.file.parent  # those of one folder stay together, as they can import each other
        own = folders.setdefault(parent, Path(PLUGINS) / str(len(folders)) / parent.name)
        for place, path in plugin_files(plugin).items():
            target = folder / own / place
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        files.append(str(own / plugin.file.name))
    return files, installed
