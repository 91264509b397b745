"""What the three packages share: one base of all errors, registries, plug-ins."""

import importlib
import inspect
import os
import random
import sys
from functools import partial, wraps
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import pytest

import bench
import data_utils
import fusion_models
import fusiongauge
from bench.registry import STUDIES
from data_utils import DATASETS, LAYOUTS
from fusion_models import BACKBONES, EMBEDDERS, OPERATORS, Operator
from fusion_models.registry import CUSTOM_MODELS
from fusiongauge import (
    EPOCH,
    FusionGaugeError,
    PluginError,
    Registry,
    load_installed_plugins,
    load_plugin,
    one_line,
    plugins,
    printable,
    source_file,
    without_unusable_epoch,
)

# Errors


def error_classes() -> set[type[Exception]]:
    """The errors that the packages define."""
    names = [
        module.name
        for package in (bench, data_utils, fusion_models)
        for module in walk_packages(package.__path__, f"{package.__name__}.")
        if ".test_" not in module.name and not module.name.endswith("__main__")
    ]
    modules = [fusiongauge, *map(importlib.import_module, names)]
    return {
        thing
        for module in modules
        for _, thing in inspect.getmembers(module, inspect.isclass)
        if issubclass(thing, Exception) and thing.__module__ == module.__name__
    }


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("cubes", "cubes"),
        ("Mütze 樹", "Mütze 樹"),
        (b"M\xfctze".decode(errors="surrogateescape"), r"M\xfctze"),
        ("\ud800", r"\ud800"),
        ("\x1b[31mred\x00\x7f\x9b", r"\x1b[31mred\x00\x7f\x9b"),
        ("two\nlines\tand\r\n", "two\nlines\tand\r\n"),
    ],
)
def test_bytes_that_are_not_utf_8_are_escaped_in_names_and_messages(raw: str, text: str) -> None:
    assert printable(raw) == text
    assert str(FusionGaugeError(f"no {raw}")) == f"no {text}"
    text.encode()


def test_names_in_tables_have_one_line() -> None:
    assert one_line("a\nb\tc\r\u2028d\x1b") == r"a\nb\tc\r\u2028d\x1b"
    assert one_line("Mütze 樹|") == "Mütze 樹|"


def test_streams_escape_these_bytes_alike() -> None:
    text = "樹 ü " + b"\xfc".decode(errors="surrogateescape")
    assert text.encode("ascii", "fusiongauge.printable") == rb"\u6a39 \xfc \xfc"
    assert text.encode("utf-8", "fusiongauge.printable") == "樹 ü ".encode() + rb"\xfc"


def test_all_errors_have_one_base() -> None:
    classes = error_classes()
    assert {"DataError", "ModelError", "OptionError", "RecordError", "PluginError"} <= {
        error.__name__ for error in classes
    }
    assert [error for error in classes if not issubclass(error, FusionGaugeError)] == []


# Registries


def plain() -> None:
    """Something to register."""


@pytest.fixture
def registry() -> Registry[int]:
    return Registry("number")


def test_a_registry_is_a_mapping_in_the_order_of_registration(registry: Registry[int]) -> None:
    registry.register("two", 2, plain)
    registry.register("one", 1, plain)
    assert dict(registry) == {"two": 2, "one": 1}
    assert list(registry) == ["two", "one"]
    assert registry.file("two") == __file__
    with pytest.raises(KeyError):
        registry["three"]


def test_a_name_can_be_taken_once(registry: Registry[int]) -> None:
    registry.register("one", 1, plain)
    with pytest.raises(
        PluginError,
        match=r"test_fusiongauge\.py: the number 'one' is already registered, by .*; choose another name",
    ):
        registry.register("one", 2, plain)
    assert registry["one"] == 1


@pytest.mark.parametrize("name", ["a", "R2-D2", "v1.0_x", "7"])
def test_names_that_fit_into_ids_can_be_registered(name: str, registry: Registry[int]) -> None:
    registry.register(name, 1, plain)
    assert name in registry


@pytest.mark.parametrize("name", ["", "two words", "a:b", "a[0]", "-a", ".a", "a/b", "ä", "a\n"])
def test_names_that_do_not_fit_into_ids_are_refused(name: str, registry: Registry[int]) -> None:
    with pytest.raises(PluginError, match="cannot name a number; use letters, digits"):
        registry.register(name, 1, plain)
    assert not registry


def test_what_is_neither_a_class_nor_a_function_is_refused(registry: Registry[int]) -> None:
    with pytest.raises(PluginError, match="the number 'one' is a str; register a class or a function"):
        registry.register("one", 1, "one")


def test_a_reserved_name_is_refused() -> None:
    with pytest.raises(PluginError, match=r"test_fusiongauge\.py: 'all' is reserved and cannot name a number"):
        Registry[int]("number", reserved=("all",)).register("all", 1, plain)


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize(
    ("decorator", "registry"),
    [
        (fusion_models.register_operator, OPERATORS),
        (fusion_models.register_embedder, EMBEDDERS),
        (fusion_models.register_backbone, BACKBONES),
        (fusion_models.register_model, CUSTOM_MODELS),
        (data_utils.register_dataset, DATASETS),
        (data_utils.register_layout, LAYOUTS),
        (bench.register_study, STUDIES),
    ],
)
def test_a_decorator_without_a_name_is_refused(decorator: Any, registry: Registry[Any]) -> None:
    before = list(registry)
    word = decorator.__name__
    with pytest.raises(PluginError, match=rf'test_fusiongauge\.py: {word} needs a name; write @{word}\("NAME"\)'):
        decorator(plain)
    assert list(registry) == before


def write_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[int]:
    """A registry whose home module, in a package of its own, registers 1 as "shipped"."""
    package = folder / "numbers_home"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "registry.py").write_text(
        "from fusiongauge import Registry\nNUMBERS = Registry('number', home='numbers_home.shipped')\n"
    )
    (package / "shipped.py").write_text(
        "from numbers_home.registry import NUMBERS\ndef source(): ...\nNUMBERS.register('shipped', 1, source)\n"
    )
    monkeypatch.syspath_prepend(folder)
    for name in ("numbers_home", "numbers_home.registry", "numbers_home.shipped"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    numbers: Registry[int] = importlib.import_module("numbers_home.registry").NUMBERS
    return numbers


def test_what_ships_is_loaded_when_a_registry_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = write_home(tmp_path, monkeypatch)
    assert registry.added == {}
    assert "numbers_home.shipped" not in sys.modules
    assert dict(registry) == {"shipped": 1}


def test_what_ships_comes_before_what_is_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = write_home(tmp_path, monkeypatch)
    registry.register("mine", 2, plain)
    assert dict(registry) == {"shipped": 1, "mine": 2}
    assert registry.added == {"mine": 2}


def test_the_source_of_a_thing_is_the_file_that_defines_it() -> None:
    @wraps(Path)
    def wrapping() -> None: ...

    for thing in (plain, partial(plain)):
        assert source_file(thing) == __file__
    assert source_file(wrapping) == inspect.getfile(Path)
    assert source_file(Registry("number")) == fusiongauge.__file__
    assert source_file(3) == "<interactive>"


# Plug-ins

OPERATOR = """
from fusion_models import Operator, register_operator

@register_operator("first-alone")
class FirstAlone(Operator):
    def __init__(self, shapes):
        super().__init__()
        self.out_shape = next(iter(shapes.values()))

    def forward(self, features):
        return next(iter(features.values()))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(OPERATOR)
    return path


@pytest.mark.usefixtures("registries")
def test_a_file_is_imported_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = load_plugin(str(file))
    monkeypatch.chdir(file.parent)
    assert load_plugin("mine.py") is plugin
    assert plugins() == (plugin,)
    assert (plugin.name, plugin.file) == (str(file), file)
    assert issubclass(OPERATORS["first-alone"].make, Operator)
    assert OPERATORS["first-alone"].make.__module__ == plugin.module
    assert list(OPERATORS.added) == ["first-alone"]
    assert "compact-intermediate-first-alone-strided" in fusion_models.MODELS


@pytest.mark.usefixtures("registries")
def test_what_a_plugin_registers_is_added_and_is_of_its_file_wherever_it_is_defined(tmp_path: Path) -> None:
    file = tmp_path / "reuse.py"
    file.write_text(
        "from fusion_models import *\nfrom fusion_models.operators import Concat\nfrom torch import nn\n"
        "register_operator('concat-again', families=('deep',))(Concat)\nregister_model('theirs')(nn.Bilinear)"
    )
    load_plugin(str(file))
    assert {"deep-intermediate-concat-again-maxpool", "theirs"} <= {*fusion_models.MODELS}
    assert OPERATORS.file("concat-again") == CUSTOM_MODELS.file("theirs") == str(file)


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize("order", [("first", "second"), ("second", "first")])
def test_plugins_that_import_each_other_are_loaded_once(order: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "first_of_two.py").write_text(OPERATOR)
    (tmp_path / "second_of_two.py").write_text("from first_of_two import FirstAlone")
    try:
        for name in order:
            load_plugin(str(tmp_path / f"{name}_of_two.py"))
        assert [plugin.file.stem for plugin in plugins()] == [f"{name}_of_two" for name in order]
        assert sys.modules["second_of_two"].FirstAlone is OPERATORS["first-alone"].make
    finally:
        for name in order:
            del sys.modules[f"{name}_of_two"]


@pytest.mark.usefixtures("registries")
def test_a_plugin_can_be_the_file_of_a_package_and_have_the_name_of_a_library(tmp_path: Path) -> None:
    package = tmp_path / "a package of mine"
    package.mkdir()
    (package / "__init__.py").write_text("from .net import VALUE")
    (package / "net.py").write_text("VALUE = 7")
    (tmp_path / "random.py").write_text("import random\nVALUE = random.Random")
    for file in (package / "__init__.py", tmp_path / "random.py"):
        assert hasattr(sys.modules[load_plugin(str(file)).module], "VALUE")
    assert sys.modules["random"] is random


@pytest.mark.usefixtures("registries")
def test_the_name_of_a_file_need_not_be_utf_8(tmp_path: Path) -> None:
    file = tmp_path / os.fsdecode(b"m\xfctze.py")
    file.write_text("VALUE = 7")
    assert sys.modules[load_plugin(str(file)).module].VALUE == 7


@pytest.mark.usefixtures("registries")
def test_files_of_the_same_name_are_different_plugins(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.py").write_text(f"FOLDER = {folder!r}")
    loaded = [load_plugin(str(tmp_path / folder / "same.py")) for folder in ("a", "b")]
    assert [sys.modules[plugin.module].FOLDER for plugin in loaded] == ["a", "b"]


@pytest.mark.usefixtures("registries")
def test_a_plugin_can_import_modules_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside_the_plugin.py").write_text("VALUE = 7")
    (tmp_path / "plugin.py").write_text("from beside_the_plugin import VALUE")
    assert sys.modules[load_plugin(str(tmp_path / "plugin.py")).module].VALUE == 7
    del sys.modules["beside_the_plugin"]


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("gone.py", None, r"--plugin .*gone\.py: this file does not exist; give the path of a Python file"),
        (".", None, r"--plugin .*: this is a folder; give the path of a Python file, such as .*__init__\.py"),
        (
            "a.py",
            "from . import b",
            "raises ImportError: .*; a module beside the plug-in is imported by its name alone$",
        ),
        ("notes.txt", "x = 1", r"--plugin .*notes\.txt: not a Python file; its name has to end in \.py"),
        (
            "a.py",
            "x = 1\n\nx.y",
            r"--plugin .*: .*a\.py, line 3 raises AttributeError: 'int' object has no attribute",
        ),
        ("a.py", "import nowhere", r"a\.py, line 1 raises ModuleNotFoundError: No module named 'nowhere'"),
        ("a.py", "def (", r"a\.py raises SyntaxError: "),
        ("a.py", "raise SystemError", r"a\.py, line 1 raises SystemError"),
        ("a.py", "import sys\nsys.exit(0)", r"a\.py, line 2 raises SystemExit: 0"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_named(
    name: str, text: str | None, message: str, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    modules = set(sys.modules)
    with pytest.raises(PluginError, match=message):
        load_plugin(str(tmp_path / name))
    assert plugins() == ()
    assert set(sys.modules) == modules


@pytest.mark.usefixtures("registries")
def test_a_plugin_that_takes_a_used_name_is_named(tmp_path: Path) -> None:
    file = tmp_path / "taken.py"
    file.write_text(OPERATOR.replace("first-alone", "add"))
    with pytest.raises(
        PluginError,
        match=r"^--plugin .*taken\.py: .*taken\.py: the operator 'add' is already registered, by .*elementary\.py",
    ):
        load_plugin(str(file))


def install(folder: Path, module: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with an entry point, as pip would install it."""
    folder.joinpath(f"{module}.py").write_text(text)
    facts = folder / f"{module}-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[fusiongauge]\nmine = {module}\n")
    monkeypatch.syspath_prepend(folder)


@pytest.mark.usefixtures("registries")
def test_plugins_of_installed_packages_are_loaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "an_installed_plugin", OPERATOR, monkeypatch)
    try:
        load_installed_plugins()
        load_installed_plugins()
        load_plugin(str(tmp_path / "an_installed_plugin.py"))  # given too, while it is developed
    finally:
        sys.modules.pop("an_installed_plugin", None)
    (plugin,) = [plugin for plugin in plugins() if plugin.module == "an_installed_plugin"]
    assert (plugin.name, plugin.file) == ("mine", tmp_path / "an_installed_plugin.py")
    assert "first-alone" in OPERATORS


@pytest.mark.usefixtures("registries")
def test_an_installed_plugin_that_raises_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "a_broken_plugin", "raise OSError('no disk')", monkeypatch)
    with pytest.raises(
        PluginError, match=r"^the installed plug-in mine: .*broken_plugin\.py, line 1 raises OSError: no disk$"
    ):
        load_installed_plugins()


@pytest.mark.parametrize("value", ["nonsense", "", "1.5", "1e9", "9" * 20])
def test_a_time_that_libraries_cannot_use_is_ignored(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EPOCH, value)
    (note,) = without_unusable_epoch()
    assert repr(value) in note
    assert EPOCH not in os.environ
    assert without_unusable_epoch() == []


@pytest.mark.parametrize("value", ["0", "1700000000", " 5 "])
def test_a_time_that_libraries_can_use_stays(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EPOCH, value)
    assert without_unusable_epoch() == []
    assert os.environ[EPOCH] == value
