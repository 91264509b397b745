import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fusiongauge
from bench.training import fingerprint
from bench.training.fingerprint import DECISIVE, ROOT, SHOWN, code_sha256, source_files
from fusiongauge import Plugin, PluginError, load_plugin, tree_sha256


def project(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def names(root: Path, *modules: str, without: str = "") -> list[str]:
    return [path.relative_to(root).as_posix() for path in source_files(root, modules, without.__ne__)]


@pytest.mark.parametrize(
    "line",
    [
        "import tools.saw",
        "import os, tools.saw as s",
        "from tools import saw",
        "from tools.saw import cut",
        "from .tools import saw",
        "def f():\n    from tools import saw",
    ],
)
def test_every_way_of_importing_is_followed(line: str, tmp_path: Path) -> None:
    root = project(tmp_path, {"tools/__init__.py": "", "tools/saw.py": "cut = 1", "tools/other.py": ""})
    if line.startswith("from ."):
        project(root, {"shop/__init__.py": line, "shop/tools/__init__.py": "", "shop/tools/saw.py": ""})
        assert names(root, "shop") == ["shop/__init__.py", "shop/tools/__init__.py", "shop/tools/saw.py"]
        return
    project(root, {"work.py": line})
    assert names(root, "work") == ["tools/__init__.py", "tools/saw.py", "work.py"]


def test_imports_of_imports_of_circles_and_of_every_parent_are_followed(tmp_path: Path) -> None:
    root = project(
        tmp_path,
        {
            "a/__init__.py": "from c import nothing",
            "a/b/__init__.py": "",
            "a/b/deep.py": "import d",
            "c.py": "",
            "d.py": "import a.b.deep",
            "unused.py": "import a",
        },
    )
    assert names(root, "a.b.deep") == ["a/__init__.py", "a/b/__init__.py", "a/b/deep.py", "c.py", "d.py"]


def test_of_a_package_that_loads_names_on_first_use_only_the_used_ones_count(tmp_path: Path) -> None:
    root = project(
        tmp_path,
        {
            "lazy/__init__.py": "",
            "lazy/__init__.pyi": "from .saw import cut as cut\nfrom .drill import hole as bore",
            "lazy/saw.py": "",
            "lazy/drill.py": "",
            "work.py": "from lazy import cut",
            "other.py": "from lazy import bore",
        },
    )
    assert names(root, "work") == ["lazy/__init__.py", "lazy/saw.py", "work.py"]
    assert names(root, "other") == ["lazy/__init__.py", "lazy/drill.py", "other.py"]


def test_what_decides_a_run_is_hashed_and_what_shows_it_is_not() -> None:
    hashed = set(names(ROOT, *DECISIVE, without=SHOWN))
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "fusion_models").glob("*.py")} <= hashed
    assert {
        "bench/config.py",
        "bench/metrics.py",
        "bench/training/allocator.py",
        "bench/training/steps.py",
        "bench/training/runs.py",
        "bench/training/trainer.py",
        "data_utils/dataset.py",
        "data_utils/normalization.py",
        "data_utils/splits.py",
    } <= hashed
    for folder in ("analysis", "tables", "plots", "report", "tracking", "harness", "probes", "costs"):
        assert (ROOT / "bench" / folder).is_dir()
        assert not any(name.startswith(f"bench/{folder}/") for name in hashed)
    assert not {"bench/training/samples.py", "data_utils/audits/pictures.py"} & hashed
    assert not any(name.startswith("tests/") for name in hashed)


CODE = '''"""A module."""

import math

FACTOR = 2.0
"""Of everything."""


def area(radius: float, *, unit: str = "m") -> str:
    """Area."""
    # the usual formula
    text = f"{FACTOR * math.pi * radius**2:.1f}" "square " + unit
    return text


class Empty:
    """Nothing."""
'''

SAME = {
    "comment": CODE.replace("# the usual formula", "# pi r squared"),
    "no comment": CODE.replace("    # the usual formula\n", ""),
    "docstring": CODE.replace("Area.", "The area of a circle."),
    "no docstrings": CODE.replace('"""A module."""\n', "").replace('    """Area."""\n', ""),
    "docstring of a constant": CODE.replace('"""Of everything."""', '"""Twice."""'),
    "docstring and pass": CODE.replace('    """Nothing."""', "    pass"),
    "docstring and dots": CODE.replace('    """Nothing."""', "    ..."),
    "formatting": CODE.replace("(radius: float, *, unit", "(\n    radius: float,\n    *,\n    unit").replace(
        '"m"', "'m'"
    ),
    "parentheses": CODE.replace("return text", "return (text)"),
    "joined strings": CODE.replace('.1f}" "square "', '.1f}square "'),
}

OTHER = {
    "number": CODE.replace("2.0", "2.5"),
    "kind of number": CODE.replace("2.0", "2"),
    "operator": CODE.replace("radius**2", "radius*2"),
    "name": CODE.replace("FACTOR", "SCALE"),
    "text": CODE.replace("square ", "squared "),
    "format": CODE.replace(".1f", ".2f"),
    "keyword": CODE.replace("*, unit", "unit"),
    "default": CODE.replace('= "m"', '= "cm"'),
    "order": CODE.replace("math.pi * radius**2", "radius**2 * math.pi"),
    "none": CODE.replace("return text", "return None"),
    "less": CODE.replace("    return text\n", ""),
    "import": CODE.replace("import math", "import cmath as math"),
    "type of text": CODE.replace('"m"', 'b"m"'),
}


@pytest.mark.parametrize("text", (SAME | OTHER).values(), ids=SAME | OTHER)
def test_every_change_counts_but_comments_docstrings_and_formatting(text: str, tmp_path: Path) -> None:
    assert text != CODE
    project(tmp_path, {"a.py": CODE, "b.py": text})
    same = tree_sha256(tmp_path / "a.py") == tree_sha256(tmp_path / "b.py")
    assert same is (text in SAME.values())


def test_missing_keys_and_defaults_keep_their_places(tmp_path: Path) -> None:
    texts = ["{**a, b: 1}", "{b: 1, **a}", "{a: 1, b: b}", "lambda *, a, b=1: 0", "lambda *, a=1, b: 0"]
    project(tmp_path, {f"{number}.py": text for number, text in enumerate(texts)})
    assert len({tree_sha256(tmp_path / f"{number}.py") for number in range(len(texts))}) == len(texts)


def test_the_hash_does_not_depend_on_the_version_of_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(tmp_path, {"a.py": CODE})
    pinned = "45a1f44b"  # computed by Python 3.11
    assert tree_sha256(tmp_path / "a.py").startswith(pinned)
    # As in newer versions, whose trees have fields that are empty for older code.
    monkeypatch.setattr(ast.Constant, "newer", [], raising=False)
    monkeypatch.setattr(ast.Constant, "_fields", (*ast.Constant._fields, "newer"))
    assert tree_sha256(tmp_path / "a.py").startswith(pinned)


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Without what earlier calls kept; of one deciding module, as hashing all of them takes time."""
    monkeypatch.setattr(fingerprint, "DECISIVE", ("fusiongauge",))
    fingerprint._code_sha256.cache_clear()
    yield
    fingerprint._code_sha256.cache_clear()


def hash_again() -> str:
    fingerprint._code_sha256.cache_clear()
    return code_sha256()


@pytest.mark.usefixtures("fresh")
def test_the_hash_is_of_names_and_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def of(files: dict[str, str]) -> str:
        root = project(tmp_path / str(len(hashes)), files)
        monkeypatch.setattr(fingerprint, "ROOT", root)
        monkeypatch.setattr(fingerprint, "DECISIVE", ("a",))
        monkeypatch.setattr(fingerprint, "OWN_PACKAGES", ("a", "b", "c"))
        hashes.append(hash_again())
        return hashes[-1]

    hashes: list[str] = []
    first = of({"a.py": "import b", "b.py": "x = 1"})
    assert re.fullmatch(r"[0-9a-f]{64}", first)
    assert of({"a.py": "import b", "b.py": "x = 1  # one", "aside.py": "y = 2"}) == first
    assert of({"a.py": "import b", "b.py": "x = 2"}) != first
    assert of({"a.py": "import c", "c.py": "x = 1"}) != first
    assert of({"a.py": "import b, other", "b.py": "x = 1"}) == of(
        {"a.py": "import b, other", "b.py": "x = 1", "other.py": "x = 1"}  # of another project in the same folder
    )


@pytest.mark.usefixtures("fresh", "registries")
def test_plugins_and_what_they_import_from_their_folder_count(tmp_path: Path) -> None:
    without = code_sha256()
    folder = project(tmp_path, {"mine.py": "import lib_of_mine", "lib_of_mine.py": "x = 1", "aside.py": "y = 1"})
    load_plugin(str(folder / "mine.py"))
    plugged = code_sha256()
    assert plugged != without
    project(folder, {"mine.py": "# A comment.\nimport lib_of_mine", "aside.py": "y = 2"})
    assert hash_again() == plugged
    project(folder, {"lib_of_mine.py": "x = 2"})
    assert hash_again() != plugged


def test_an_installed_plugin_counts_with_its_own_package_alone(tmp_path: Path) -> None:
    root = project(
        tmp_path,
        {
            "mine/__init__.py": "",
            "mine/plugin.py": "import torch\nfrom mine import parts",
            "mine/parts.py": "",
            "torch/__init__.py": "",
            "alone.py": "import torch",
        },
    )
    for module, files in {"mine.plugin": 3, "mine": 1, "alone": 1}.items():
        path = root / {"mine.plugin": "mine/plugin.py", "mine": "mine/__init__.py", "alone": "alone.py"}[module]
        found = fingerprint.plugin_files(Plugin("an entry point", module, path))
        assert {root / place for place in found} == {*found.values()}
        assert len(found) == files


def test_a_plugin_beside_our_packages_does_not_count_them_again(tmp_path: Path) -> None:
    root = project(tmp_path, {"mine.py": "import bench\nimport other", "bench/__init__.py": "", "other.py": ""})
    plugin = Plugin(str(root / "mine.py"), "fusiongauge_plugin_mine", root / "mine.py")
    assert {*map(str, fingerprint.plugin_files(plugin))} == {"mine.py", "other.py"}


@pytest.mark.usefixtures("fresh")
def test_further_files_count_where_they_exist(tmp_path: Path) -> None:
    project(tmp_path, {"notebook.py": "x = 1"})
    assert code_sha256(tmp_path / "notebook.py") != code_sha256()
    assert code_sha256(Path("<stdin>")) == code_sha256()


def plugged(folder: Path, name: str, text: str = "") -> Plugin:
    """A file of a folder, written and loaded as a plug-in."""
    if text:
        project(folder, {name: text})
    return load_plugin(str(folder / name))


def places(plugin: Plugin) -> set[str]:
    return {place.as_posix() for place in fingerprint.plugin_files(plugin)}


@pytest.mark.usefixtures("fresh", "registries")
def test_a_plugin_counts_whatever_its_file_is_called(tmp_path: Path) -> None:
    for name in ("bench.py", "data_utils.py", "fusiongauge.py"):
        hashes = []
        for value in (1, 2):
            project(tmp_path, {name: f"x = {value}"})
            plugged(tmp_path, name)
            hashes.append(hash_again())
        assert len({*hashes}) == 2


@pytest.mark.usefixtures("fresh", "registries")
def test_plugins_of_the_same_name_both_count_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def both(*order: str, **texts: str) -> str:
        monkeypatch.setattr(fusiongauge, "_PLUGINS", {})
        for folder in order:
            plugged(tmp_path / folder, "same.py", texts[folder])
        return hash_again()

    before = both("a", "b", a="x = 1", b="x = 2")
    assert both("b", "a", a="x = 1", b="x = 2") == before
    assert both("a", "b", a="x = 3", b="x = 2") != before
    assert both("a", "b", a="x = 1", b="x = 3") != before


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize("line", ["from .net import depth", "from .parts.net import depth", "from . import net"])
def test_the_modules_of_a_package_count(line: str, tmp_path: Path) -> None:
    parts = {f"mine/{name}": "" for name in ("parts/__init__.py", "aside.py")}
    nets = {f"mine/{name}": "depth = 2\nimport other_of_mine" for name in ("net.py", "parts/net.py")}
    project(tmp_path, {**parts, **nets, "mine/other_of_mine.py": "", "mine/__init__.py": line})
    plugin = plugged(tmp_path / "mine", "__init__.py")
    assert plugin.label == "mine/__init__.py"
    net = {"parts/net.py", "parts/__init__.py"} if "parts" in line else {"net.py"}
    assert places(plugin) == {"__init__.py", "other_of_mine.py", *net}
    del sys.modules["other_of_mine"]


@pytest.mark.usefixtures("registries")
def test_modules_from_other_folders_count_and_libraries_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"elsewhere/their_net.py": "import their_parts.saw", "elsewhere/their_parts/saw.py": ""}
    libraries = {"venv/site-packages/their_library.py": "__version__ = '1.2'"}
    project(tmp_path, {**files, **libraries, "plugins/random.py": "raise AssertionError"})
    for folder in ("elsewhere", "venv/site-packages"):
        monkeypatch.syspath_prepend(tmp_path / folder)
    guarded = "try:\n    from .x import y\nexcept ImportError: ..."
    text = f"import random, torch, bench\nimport their_net, their_library\n{guarded}"
    plugin = plugged(tmp_path / "plugins", "mine_too.py", text)
    assert places(plugin) == {"mine_too.py", "their_net.py", "their_parts/saw.py"}
    assert fingerprint.library_versions(plugin) == {"their_library": "1.2"}
    for name in ("their_net", "their_parts.saw", "their_parts", "their_library"):
        del sys.modules[name]


@pytest.mark.usefixtures("registries")
def test_a_module_that_another_plugin_has_imported_under_the_same_name_is_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        project(
            tmp_path / folder,
            {"helper_of_two.py": f"x = {folder!r}", f"{folder}_plugin.py": "import helper_of_two"},
        )
    first, second = (plugged(tmp_path / folder, f"{folder}_plugin.py") for folder in ("a", "b"))
    assert places(first) == {"a_plugin.py", "helper_of_two.py"}
    with pytest.raises(
        PluginError, match=r"b_plugin\.py: its module 'helper_of_two' would be .*b/helper_of_two\.py"
    ):
        fingerprint.plugin_files(second)
    del sys.modules["helper_of_two"]
