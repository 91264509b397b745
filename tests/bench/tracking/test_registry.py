import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.harness.values import parse_trackers
from bench.tracking import TRACKERS, Shield, TrackerKind, register_tracker
from tests.bench.tracking.session import Notebook

ROOT = Path(__file__).parents[3]

PACKAGES = {"wandb", "tensorboard", "torch.utils.tensorboard"}
"""What is loaded when a tracker that needs it is made, and not before."""


def imports(tree: ast.AST, *, functions: bool) -> Iterator[str]:
    """The modules that some code imports when it is loaded or, with ``functions``, when these are called."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)
        elif functions or not isinstance(node, ast.FunctionDef):
            yield from imports(node, functions=functions)


def test_packages_of_trackers_are_loaded_by_the_trackers_when_they_are_made() -> None:
    trees = [ast.parse(path.read_text()) for path in [*(ROOT / "bench").rglob("*.py"), ROOT / "conftest.py"]]
    at_once = {module for tree in trees for module in imports(tree, functions=False)}
    assert at_once & PACKAGES == set()
    assert PACKAGES - {module for tree in trees for module in imports(tree, functions=True)} == {"tensorboard"}


@pytest.mark.parametrize("name", TRACKERS)
def test_what_has_to_be_installed_is_what_the_project_declares(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    project_name, _, extra = TRACKERS[name].requirement.partition("[")
    declared = project["dependencies"]
    if extra:
        assert project_name == project["name"]
        declared = project["optional-dependencies"][extra.removesuffix("]")]
    assert any(requirement.startswith(TRACKERS[name].package) for requirement in declared)


@pytest.mark.usefixtures("registries")
def test_a_tracker_of_a_plugin_is_requested_by_its_name(tmp_path: Path) -> None:
    folders: list[Path] = []

    @register_tracker("notebook", package="pytest")
    def notebook(folder: Path) -> Notebook:
        folders.append(folder)
        return Notebook()

    assert TRACKERS["notebook"] == TrackerKind(notebook, "pytest", "pytest")
    assert parse_trackers("notebook,wandb") == ("notebook", "wandb")
    assert list(TRACKERS) == ["wandb", "tensorboard", "notebook"]
    shield = Shield({"notebook": TRACKERS["notebook"].make}, tmp_path)
    assert (folders, shield.notes) == ([tmp_path], [])
