import re
from pathlib import Path

import pytest

from bench.training import fingerprint
from bench.training.fingerprint import DECISIVE, ROOT, code_sha256, source_files


def project(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def names(root: Path, *modules: str) -> list[str]:
    return [path.relative_to(root).as_posix() for path in source_files(root, modules)]


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


def test_what_decides_a_run_is_hashed_and_what_shows_it_is_not() -> None:
    found = set(names(ROOT, *DECISIVE))
    everything = {path.relative_to(ROOT).as_posix() for path in (ROOT / "fusion_models").glob("*.py")}
    assert everything <= found
    assert {
        "bench/training/runs.py",
        "bench/training/trainer.py",
        "bench/training/allocator.py",
        "data_utils/splits.py",
    } <= found
    shown = {
        "bench/tables/cells.py",
        "bench/harness/session.py",
        "bench/harness/summary.py",
        "bench/tracking/shield.py",
        "bench/tables/text.py",
    }
    assert all((ROOT / path).is_file() for path in shown)
    assert not shown & found
    assert not any(name.startswith("tests/") for name in found)


def test_the_hash_is_of_names_and_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def of(files: dict[str, str]) -> str:
        root = project(tmp_path / str(len(seen)), files)
        monkeypatch.setattr(fingerprint, "ROOT", root)
        monkeypatch.setattr(fingerprint, "DECISIVE", ("a",))
        code_sha256.cache_clear()
        seen.append(code_sha256())
        return seen[-1]

    seen: list[str] = []
    try:
        first = of({"a.py": "import b", "b.py": "x = 1"})
        assert re.fullmatch(r"[0-9a-f]{64}", first)
        assert of({"a.py": "import b", "b.py": "x = 1", "aside.py": "y = 2"}) == first
        assert of({"a.py": "import b", "b.py": "x = 2"}) != first
        assert of({"a.py": "import c", "c.py": "x = 1"}) != first
    finally:
        code_sha256.cache_clear()
