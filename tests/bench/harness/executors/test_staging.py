"""What workers get of plug-ins."""

import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

import fusiongauge
from bench.harness.executors import staging
from bench.training.fingerprint import plugin_files
from fusiongauge import load_plugin, tree_sha256

FILES = {
    "one/user_of_two.py": "import used_of_two, far_of_mine",
    "one/used_of_two.py": "VALUE = 1",
    "pack/__init__.py": "from .net import VALUE",
    "pack/net.py": "from used_of_two import VALUE",
    "far/far_of_mine.py": "VALUE = 2",
}
PLUGINS = ("one/user_of_two.py", "one/used_of_two.py", "pack/__init__.py")
MODULES = ("user_of_two", "used_of_two", "far_of_mine", "pack")


def hashes_of_loaded(files: Iterable[Path]) -> list[dict[str, str]]:
    """Load plug-ins; by its place, the hash of each of their files."""
    loaded = [load_plugin(str(file)) for file in files]
    return [{str(at): tree_sha256(path) for at, path in plugin_files(plugin).items()} for plugin in loaded]


@pytest.mark.usefixtures("registries")
def test_plugins_are_the_same_where_they_are_copied_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for name, text in FILES.items():
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(text)
    path = list(sys.path)
    sys.path.append(str(here / "far"))
    try:
        hashes = hashes_of_loaded(here / name for name in PLUGINS)
        monkeypatch.setattr(staging, "_PACKAGES", ())
        there.mkdir()
        files, installed = staging.stage(there)
        forget()
        monkeypatch.setattr(sys, "path", path)  # a worker has its own
        monkeypatch.setattr(fusiongauge, "_PLUGINS", {})
        assert hashes_of_loaded(there / file for file in files) == hashes
    finally:
        forget()
    assert not installed
    assert [{*of_plugin} for of_plugin in hashes] == [
        {"user_of_two.py", "far_of_mine.py"},
        {"used_of_two.py"},
        {"__init__.py", "net.py"},
    ]


def forget() -> None:
    for name in MODULES:
        sys.modules.pop(name, None)
