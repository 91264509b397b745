"""What the three packages share: the base of all errors, output, registries, plug-ins, hashes of code.

Loads no torch.
"""

import ast
import codecs
import hashlib
import importlib
import importlib.util
import inspect
import json
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from importlib.metadata import entry_points
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO, TypeVar, cast

T = TypeVar("T")
Decorated = TypeVar("Decorated")

EPOCH = "SOURCE_DATE_EPOCH"
"""The environment variable that numpy reads for SciPy and scikit-learn: seconds since 1970."""


def without_unusable_epoch() -> list[str]:
    """Remove the variable where these libraries would raise for its value, which means nothing here; a note."""
    value = os.environ.get(EPOCH)
    if value is None:
        return []
    try:
        time.gmtime(int(value))
    except (ValueError, OverflowError, OSError):
        del os.environ[EPOCH]
        return [f"{EPOCH}={value!r} is not a whole number of seconds since 1970 and is ignored"]
    return []


IGNORED = without_unusable_epoch()  # all that loads these libraries loads this module first
"""Notes on what was ignored in the environment."""

ENTRY_POINT_GROUP = "fusiongauge"
"""Installed packages name their plug-in modules under this entry point group."""


class FusionGaugeError(Exception):
    """Base of every error that FusionGauge raises on purpose; the message names the cause and the remedy."""

    def __str__(self) -> str:
        return printable(super().__str__())


def printable(text: str) -> str:
    r"""The text with what no file and no terminal should hold written as ``\xfc``.

    These are bytes of file names that are not UTF-8, which Python keeps as surrogates and neither UTF-8 nor JSON
    has, and control characters except line ends and tabs.
    """
    return _UNPRINTABLE.sub(_escaped, text)


def one_line(text: str) -> str:
    r"""The ``printable`` text with line ends and tabs written as ``\n`` and ``\t``, for names in tables."""
    return re.sub("[\t\n\r\u2028\u2029]", _escaped, printable(text))


_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def quoted(value: object) -> str:
    """The ``repr`` of a value for messages; of a long one only its beginning."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


_LONGEST = 200  # characters


def some(names: Sequence[str], count: int = 3) -> str:
    """The first few names and the number of the others."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more


def user_path(text: str) -> Path:
    """A path that a user has written: ``~`` stands for the home folder, also where the shell leaves it in place.

    That of an unknown user stays as it is.
    """
    return Path(os.path.expanduser(text))  # noqa: PTH111 - the method raises for unknown users


def slug(text: str) -> str:
    """Letters, digits, dots, dashes and underscores of the text; anything else becomes a dash."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")


def _escaped(match: re.Match[str]) -> str:
    number = ord(match.group())
    if 0xDC80 <= number <= 0xDCFF:
        return f"\\x{number - 0xDC00:02x}"
    return (
        match.group().encode("ascii", "backslashreplace").decode() if number > 127 else repr(match.group())[1:-1]
    )


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Like the error handler "backslashreplace", but for the ``printable`` form of what is no character."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = printable(error.object[error.start : error.end])
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end


codecs.register_error("fusiongauge.printable", _escape)


def escape_on_terminals() -> None:
    """Have ``print`` escape the characters that a terminal or a pipe cannot encode, instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="fusiongauge.printable")


@contextmanager
def leaving_closed_pipes() -> Iterator[None]:
    """Have ``print`` go on without a reader that closes standard output before its end (``| head``)."""
    pipe = _Pipe(sys.stdout)
    with redirect_stdout(cast(TextIO, pipe)):
        try:
            yield
        finally:
            pipe.flush()


class _Pipe:
    """A standard output that nobody may read to its end: the command goes on without it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text, or nothing."""
        with self._leaving():
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Pass on what was written."""
        with self._leaving():
            self._stream.flush()

    @contextmanager
    def _leaving(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:  # what its buffer holds is written again when Python ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class PluginError(FusionGaugeError, ValueError):
    """A plug-in that cannot be used; the message names its file."""


class Registry(Mapping[str, T]):
    """Named things of one kind, in the order of registration. A name can be taken once.

    Args:
        kind: What the things are called in messages, such as "operator".
        home: The module that registers what ships with FusionGauge. It is imported when the registry is first
            read or added to, so that making a registry loads nothing. "" if nothing ships.
        reserved: Names that mean something else where one of the things is requested.
    """

    _NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

    def __init__(self, kind: str, home: str = "", reserved: Collection[str] = ()) -> None:
        self.kind = kind
        self._home = home
        self._package = home.partition(".")[0]
        self._reserved = frozenset(reserved)
        self._entries: dict[str, T] = {}
        self._files: dict[str, str] = {}
        self._added: dict[str, T] = {}

    def register(self, name: str, thing: T, source: object, by: Mapping[str, Any] | None = None) -> None:
        """Add a thing under a name.

        Args:
            name: Becomes part of test ids: letters, digits, ".", "_" and "-".
            thing: What a look-up returns.
            source: The function or class it was made from.
            by: The global names of the module that adds it, which may not be the one that defines the source;
                None if it is.

        Raises:
            PluginError: The name is taken, reserved, or cannot be part of a test id, or the source is no function
                or class.
        """
        self._load()
        by = by or {}
        file = str(by.get("__file__") or source_file(source))
        if not isinstance(name, str) or not self._NAME.fullmatch(name):
            raise PluginError(
                f"{file}: {name!r} cannot name a {self.kind}; use letters, digits, '.', '_' and '-' in names"
            )
        if not callable(source):
            raise PluginError(
                f"{file}: the {self.kind} {name!r} is a {type(source).__name__}; register a class or a function"
            )
        if name in self._reserved:
            raise PluginError(f"{file}: {name!r} is reserved and cannot name a {self.kind}; choose another name")
        if name in self._entries:
            raise PluginError(
                f"{file}: the {self.kind} {name!r} is already registered, by {self._files[name]}; "
                "choose another name"
            )
        self._entries[name], self._files[name] = thing, file
        module = str(by.get("__name__") or _defined_in(source))
        if not self._package or module.partition(".")[0] != self._package:
            self._added[name] = thing

    def decorator(self, name: str, make: Callable[[Decorated], T]) -> Callable[[Decorated], Decorated]:
        """A decorator that registers, under a name, what ``make`` makes of a function or class.

        Raises:
            PluginError: It is used without a name, which would register nothing.
        """
        if not isinstance(name, str):
            word = f"register_{self.kind.replace(' ', '')}"
            raise PluginError(f'{source_file(name)}: {word} needs a name; write @{word}("NAME")')

        def register(decorated: Decorated) -> Decorated:
            frame = inspect.currentframe()
            caller = frame.f_back if frame else None
            self.register(name, make(decorated), decorated, caller.f_globals if caller else None)
            return decorated

        return register

    @property
    def added(self) -> Mapping[str, T]:
        """What plug-ins registered, without what ships with FusionGauge. Does not import the home module."""
        return dict(self._added)

    def file(self, name: str) -> str:
        """The file that registers a thing."""
        self._load()
        return self._files[name]

    def _load(self) -> None:
        home, self._home = self._home, ""
        if home:
            importlib.import_module(home)

    def __getitem__(self, name: str) -> T:
        self._load()
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(self._entries)

    def __len__(self) -> int:
        self._load()
        return len(self._entries)


def source_file(thing: object) -> str:
    """The file that defines a function or class; of any other object, that of its type."""
    try:
        return inspect.getfile(_unwrapped(thing))
    except (TypeError, OSError):
        return str(getattr(sys.modules.get(type(thing).__module__), "__file__", "<interactive>"))


def _defined_in(thing: object) -> str:
    """The module that defines a function or class; of any other object, that of its type."""
    return str(getattr(_unwrapped(thing), "__module__", type(thing).__module__))


def _unwrapped(thing: object) -> Any:
    return inspect.unwrap(getattr(thing, "func", thing))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Plugin:
    """A loaded plug-in.

    Attributes:
        name: As it was requested: a path, or the name of an entry point.
        module: The name of its module.
        file: Its file; that of the package, for a package.
    """

    name: str
    module: str
    file: Path

    @property
    def label(self) -> str:
        """Its name in records: that of its file, for a package with its folder."""
        return "/".join(self.file.parts[-2:]) if self.file.name == "__init__.py" else self.file.name


_PLUGINS: dict[str, Plugin] = {}


def plugins() -> tuple[Plugin, ...]:
    """The plug-ins of this process, in the order of loading."""
    return tuple(_PLUGINS.values())


def load_plugin(path: str) -> Plugin:
    """Import a Python file as a plug-in; a file that is loaded already is not imported again.

    Modules beside the file can be imported by it, and it can be imported by them and by other plug-ins under the
    name of its file, unless a library has that name.

    Raises:
        PluginError: The file does not exist, or raises.
    """
    file = user_path(path).resolve()
    if not file.is_file():
        reason, example = "this file does not exist", ""
        if file.is_dir():
            reason, example = "this is a folder", f", such as {Path(path) / '__init__.py'}"
        raise PluginError(f"--plugin {path}: {reason}; give the path of a Python file{example}")
    if loaded := next((plugin for plugin in _PLUGINS.values() if plugin.file == file), None):
        return loaded
    name = f"fusiongauge_plugin_{file.stem}_{hashlib.sha256(os.fsencode(file)).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise PluginError(f"--plugin {path}: not a Python file; its name has to end in .py")
    names = {name, _own_name(file)} - {""}
    imported = next((module for own in names if (module := sys.modules.get(own)) is not None), None)
    module = imported or importlib.util.module_from_spec(spec)
    sys.modules |= dict.fromkeys(names, module)  # pickle and inspect look modules up there
    sys.path.append(str(file.parent))
    try:
        if imported is None:
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # sys.exit(0) would end a run as if all had passed
        for own in names:
            del sys.modules[own]
        raise _failed(f"--plugin {path}", file, error) from error
    _PLUGINS[name] = Plugin(str(file), name, file)
    return _PLUGINS[name]


def _own_name(file: Path) -> str:
    """The name under which a file would be imported; "" if that is another module's."""
    name = file.parent.name if file.name == "__init__.py" else file.stem
    if not name.isidentifier():
        return ""
    module = sys.modules.get(name)
    with suppress(ImportError, ValueError):
        found = module.__spec__ if module is not None else importlib.util.find_spec(name)
        if found is None:
            return name if module is None else ""
        return name if found.origin is not None and Path(found.origin).resolve() == file else ""
    return ""


def load_installed_plugins() -> None:
    """Import the plug-ins of installed packages, those of the entry point group ``fusiongauge``.

    Raises:
        PluginError: One of them raises.
    """
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        if entry.module in _PLUGINS:
            continue
        file: object = entry.module
        try:
            file = getattr(importlib.util.find_spec(entry.module), "origin", file)
            module = importlib.import_module(entry.module)
        except (Exception, SystemExit) as error:
            raise _failed(f"the installed plug-in {entry.name}", file, error) from error
        _PLUGINS[entry.module] = Plugin(entry.name, entry.module, Path(str(module.__file__)))


def _failed(which: str, where: object, error: BaseException) -> PluginError:
    if isinstance(error, PluginError):
        return PluginError(f"{which}: {error}")
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(where)]
    line = f", line {frames[-1].lineno}" if frames else ""
    relative = isinstance(error, ImportError) and "relative import" in str(error)
    remedy = "; a module beside the plug-in is imported by its name alone" if relative else ""
    return PluginError(f"{which}: {where}{line} raises {type(error).__name__}: {error}{remedy}")


_NO_CODE = ("kind", "type_comment", "type_ignores")
"""Fields of syntax trees that only describe how the code was written."""


def tree_sha256(path: Path) -> str:
    """The hash of a file's code."""
    tree = _plain(ast.parse(path.read_bytes()))
    return hashlib.sha256(json.dumps(tree).encode()).hexdigest()


def _plain(value: object) -> object:
    """A syntax tree as lists and dictionaries, without empty fields, as newer versions of Python have more."""
    if isinstance(value, ast.AST):
        fields = {name: part for name, part in ast.iter_fields(value) if name not in _NO_CODE}
        plain = {name: _plain(part) for name, part in fields.items() if part is not None}
        return [type(value).__name__, {name: part for name, part in plain.items() if part != []}]
    if isinstance(value, list):
        return [_plain(part) for part in value if not _does_nothing(part)]
    return [type(value).__name__, value.hex() if isinstance(value, bytes) else str(value)]


def _does_nothing(statement: object) -> bool:
    """Docstrings, ``...`` and ``pass``."""
    constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return constant or isinstance(statement, ast.Pass)
