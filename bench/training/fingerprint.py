"""Which code a result came from: one hash of the code that decides it, plug-ins included.

Hashed are the modules that ``DECISIVE`` reach through their imports (models, data, training, evaluation), and the
plug-ins with what they import, apart from libraries, whose versions count. What shows results (tables, figures,
pages) or drives a session does not count. The hash is of the syntax trees: comments, docstrings and formatting do
not count either, nor does the version of Python.
"""

import ast
import hashlib
import json
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

from fusiongauge import Plugin, PluginError, plugins, tree_sha256

ROOT = Path(__file__).resolve().parent.parent.parent
OWN_PACKAGES = ("bench", "data_utils", "fusion_models", "fusiongauge")

DECISIVE = ("bench.training.runs", "bench.training.allocator", "bench.metrics", "fusion_models.embedders")
"""Modules. The allocator decides how long an epoch takes; embedders and metrics are loaded by their registries."""

SHOWN = "bench.training.samples"
"""What a run saves for viewing only: this module and its further imports do not count."""


def code_sha256(*further: Path, modules: tuple[str, ...] = ()) -> str:
    """The hash of the deciding code, as it was at the first call in this process.

    Args:
        further: Files that count too; those that do not exist do not.
        modules: Of ours, which count too, with all that they import.
    """
    return _code_sha256(plugins(), further, modules)


@cache
def _code_sha256(loaded: tuple[Plugin, ...], further: tuple[Path, ...], modules: tuple[str, ...]) -> str:
    # Installed, ROOT is the folder of all packages, so only our own count.
    decisive = source_files(
        ROOT, (*DECISIVE, *modules), lambda module: module != SHOWN and _top(module) in OWN_PACKAGES
    )
    hashes: dict[str, object] = {path.relative_to(ROOT).as_posix(): tree_sha256(path) for path in decisive}
    hashes |= {path.name: tree_sha256(path) for path in further if path.is_file()}
    if loaded:  # in any order
        of_plugins = [[_trees(plugin_files(plugin)), library_versions(plugin)] for plugin in loaded]
        hashes["plug-ins"] = sorted(json.dumps(one, sort_keys=True) for one in of_plugins)
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def _trees(files: Mapping[Path, Path]) -> dict[str, str]:
    return {place.as_posix(): tree_sha256(path) for place, path in files.items()}


def plugin_files(plugin: Plugin) -> dict[Path, Path]:
    """The files of a plug-in and of all that it imports, apart from libraries.

    Returns:
        By its place relative to the plug-in's folder, each file. What is imported from elsewhere has the place
        that it would be imported from if it was in that folder.

    Raises:
        PluginError: A module beside the plug-in is not what the plug-in imports under its name.
    """
    root = _folder(plugin)
    files = _reached(root, [plugin.module], lambda module: _own_file(plugin, module))
    return {_place(path, root, module): path for path, module in files.items()}


def library_versions(plugin: Plugin) -> dict[str, str]:
    """The versions of the libraries that a plug-in imports; not torch's, which is elsewhere in records."""
    files = plugin_files(plugin).values()
    names = {_top(module) for path in files for module in _imported(_folder(plugin), path, "")}
    loaded = {name: sys.modules.get(name) for name in names - {"torch", *OWN_PACKAGES}}
    versions = {name: getattr(module, "__version__", None) for name, module in loaded.items()}
    return {name: version for name, version in versions.items() if isinstance(version, str)}


def _folder(plugin: Plugin) -> Path:
    """The folder that a plug-in's own modules are in; of an installed one, that of all packages."""
    if plugin.name == str(plugin.file):
        return plugin.file.parent
    return plugin.file.parents[plugin.module.count(".") + (plugin.file.name == "__init__.py")]


def _own_file(plugin: Plugin, module: str) -> Path | None:
    """The file of a module that a plug-in imports; None for one of a library, and for another plug-in."""
    if module == plugin.module:
        return plugin.file
    given = plugin.name == str(plugin.file)
    if not given and _top(module) == _top(plugin.module):
        return _path(_folder(plugin), module)
    # The folder of an installed one holds all other packages too.
    beside = _path(plugin.file.parent, module.removeprefix(f"{plugin.module}.")) if given else None
    loaded = getattr(sys.modules.get(module), "__file__", None)
    file = Path(loaded).resolve() if loaded else beside
    if file is None or file.suffix != ".py" or _is_of_a_library(file):
        return None
    if file in {other.file for other in plugins()}:  # counts by itself
        return None
    if beside is not None and file != beside.resolve():
        raise PluginError(
            f"{plugin.file}: its module {module!r} would be {beside}, but {file} was imported under this name "
            "before; rename one of the two"
        )
    return file


def _is_of_a_library(file: Path) -> bool:
    """Whether a file is ours, of Python, or of an installed package."""
    if {"site-packages", "dist-packages"} & {*file.parts} or file.is_relative_to(_PYTHON):
        return True
    return file.is_relative_to(ROOT) and file.relative_to(ROOT).parts[0].removesuffix(".py") in OWN_PACKAGES


_PYTHON = Path(sysconfig.get_path("stdlib")).resolve()


def _place(path: Path, root: Path, module: str) -> Path:
    if path.is_relative_to(root):
        return path.relative_to(root)
    place = Path(*module.split("."))
    return place / path.name if path.name == "__init__.py" else place.with_name(f"{place.name}.py")


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

    def find(module: str) -> Path | None:
        return _path(root, module) if follows(module) else None

    return sorted(_reached(root, modules, find))


def _reached(root: Path, modules: Iterable[str], find: Callable[[str], Path | None]) -> dict[Path, str]:
    """The files of some modules and of all that they import, as far as they are found, and their modules."""
    files: dict[Path, str] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        path = find(module)
        if path is None or path in files:
            continue
        files[path] = module
        parent = module.rpartition(".")[0]
        package = module if path.name == "__init__.py" else parent
        waiting += [parent, *_imported(root, path, package)]
    return files


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
    """The module that names are imported from; "" for one outside of all packages, as in a ``try`` of a script."""
    try:
        return resolve_name("." * node.level + (node.module or ""), package)
    except ImportError:
        return ""
