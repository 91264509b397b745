"""Which code a result came from: one hash over the source files that decide what a run comes to.

Those are the modules that ``runs`` and ``allocator`` reach through their imports: models, data, training, evaluation, measurement. What only shows results (tables, plots, pages) or drives a session is not among
them, so a change there leaves records valid. The hash is of the files as they are, comments included: better to
run a cell again than to keep one wrongly.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DECISIVE = ("bench.training.runs", "bench.training.allocator")
"""Modules; the allocator's setting decides how long an epoch takes."""


@cache
def code_sha256() -> str:
    """Of the names and contents of all decisive files, as they were when this process first asked."""
    digest = hashlib.sha256()
    for path in source_files(ROOT, DECISIVE):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(ROOT).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def source_files(root: Path, modules: tuple[str, ...]) -> list[Path]:
    """The files of these modules and of all that they import from packages in ``root``, sorted.

    Imports inside functions count; imports by a computed name are not seen.
    """
    found: set[Path] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        path = _path(root, module)
        if path is None or path in found:
            continue
        found.add(path)
        parent = module.rpartition(".")[0]
        package = module if path.name == "__init__.py" else parent
        waiting += [parent, *_imported(path, package)]
    return sorted(found)


def _path(root: Path, module: str) -> Path | None:
    """The module's file; None for a module of others, or a name that is no module."""
    if not module:
        return None
    place = root.joinpath(*module.split("."))
    candidates = (place.with_name(f"{place.name}.py"), place / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def _imported(path: Path, package: str) -> Iterator[str]:
    """Every module a file may import; of ``from a import b`` both a and a.b, for b can be a module."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = resolve_name("." * node.level + (node.module or ""), package)
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)
