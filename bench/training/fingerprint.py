"""Which code a result came from: one hash of the code that decides it, plug-ins included.

Hashed are the modules that ``DECISIVE`` reach through their imports (models, data, training, evaluation), and the
plug-ins with what they import from their own folder or package. What shows results (tables, figures, pages) or
drives a session does not count. The hash is of the syntax trees: comments, docstrings and formatting do not count
either, nor does the version of Python.
"""

import ast
import hashlib
import json
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

from fusiongauge import Plugin, plugins, tree_sha256

ROOT = Path(__file__).resolve().parent.parent.parent
OWN_PACKAGES = ("bench", "data_utils", "fusion_models", "fusiongauge")

DECISIVE = ("bench.training.runs", "bench.training.allocator", "bench.metrics", "fusion_models.embedders")
"""Modules. The allocator decides how long an epoch takes; embedders and metrics are loaded by their registries."""

SHOWN = "bench.training.samples"
"""What a run saves for viewing only: this module and its further imports do not count."""


def code_sha256(*further: Path) -> str:
    """The hash of the deciding code, as it was at the first call in this process.

    Args:
        further: Files that count too; those that do not exist do not.
    """
    return _code_sha256(plugins(), further)


@cache
def _code_sha256(loaded: tuple[Plugin, ...], further: tuple[Path, ...]) -> str:
    # Installed, ROOT is the folder of all packages, so only our own count.
    decisive = source_files(ROOT, DECISIVE, lambda module: module != SHOWN and _top(module) in OWN_PACKAGES)
    hashes = {path.relative_to(ROOT).as_posix(): tree_sha256(path) for path in decisive}
    for plugin in loaded:
        root, files = plugin_files(plugin)
        hashes |= {path.relative_to(root).as_posix(): tree_sha256(path) for path in files}
    hashes |= {path.name: tree_sha256(path) for path in further if path.is_file()}
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def plugin_files(plugin: Plugin) -> tuple[Path, list[Path]]:
    """A plug-in's root folder and its files there."""
    if plugin.name == str(plugin.file):  # given by its path: all that it imports from its folder
        root = plugin.file.parent
        return root, source_files(root, (plugin.file.stem,), lambda module: _top(module) not in OWN_PACKAGES)
    # Installed: its own package alone, as the folder holds all other packages too.
    root = plugin.file.parents[plugin.module.count(".") + (plugin.file.name == "__init__.py")]
    return root, source_files(root, (plugin.module,), lambda module: _top(module) == _top(plugin.module))


def _top(module: str) -> str:
    return module.partition(".")[0]


def source_files(root: Path, modules: tuple[str, ...], follows: Callable[[str], bool]) -> list[Path]:
    """The files of these modules and of all that they import from ``root``, sorted.

    Imports inside functions count; imports by a computed name are not seen. From a package whose names are loaded
    on first use (an ``__init__.pyi`` lists them), only the modules of the imported names count.

    Args:
        root: A folder of modules and packages.
        modules: Where to begin.
        follows: Whether a module counts, and what it imports.
    """
    files: set[Path] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        path = _path(root, module)
        if path is None or path in files or not follows(module):
            continue
        files.add(path)
        parent = module.rpartition(".")[0]
        package = module if path.name == "__init__.py" else parent
        waiting += [parent, *_imported(root, path, package)]
    return sorted(files)


def _path(root: Path, module: str) -> Path | None:
    """The module's file; None for a module that is elsewhere, or a name that is not a module."""
    if not module:
        return None
    place = root.joinpath(*module.split("."))
    candidates = (place.with_name(f"{place.name}.py"), place / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def _imported(root: Path, path: Path, package: str) -> Iterator[str]:
    """Every module a file may import; of ``from a import b`` both a and a.b, as b can be a module."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(node, package)
            yield origin
            lazily = _loaded_lazily(root, origin)
            yield from (lazily.get(alias.name, f"{origin}.{alias.name}") for alias in node.names)


def _loaded_lazily(root: Path, package: str) -> dict[str, str]:
    """The module of each name that a package loads on first use."""
    stub = root.joinpath(*package.split("."), "__init__.pyi")
    if not package or not stub.is_file():
        return {}
    imports = (node for node in ast.parse(stub.read_bytes()).body if isinstance(node, ast.ImportFrom))
    return {alias.asname or alias.name: _origin(node, package) for node in imports for alias in node.names}


def _origin(node: ast.ImportFrom, package: str) -> str:
    return resolve_name("." * node.level + (node.module or ""), package)
