"""The scripts of ``tools/``, which no test runs: what they name exists."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import reduce
from importlib import import_module
from itertools import combinations
from pathlib import Path

import pytest

from fusion_models import MODELS
from tools import faults, option_pairs

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "tools" / "gpu_check.sh"
TEXT = SCRIPT.read_text()
PARTS = dict(re.findall(r"^cat >\"\$WORK/(\w+\.py)\" <<'EOF'\n(.*?)^EOF$", TEXT, re.M | re.S))
PACKAGES = ("bench", "data_utils", "fusion_models")


def missing(code: str) -> Iterator[str]:
    """Names that some code imports from our packages, and that these do not have."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in PACKAGES:
            try:
                module = import_module(node.module)
            except ModuleNotFoundError:
                yield node.module
                continue
            yield from (f"{node.module}.{a.name}" for a in node.names if not hasattr(module, a.name))


def test_the_script_is_one_that_bash_can_read() -> None:
    done = subprocess.run(["bash", "-n", str(SCRIPT)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_script_has_its_parts() -> None:
    assert set(PARTS) == {"env.py", "measure.py", "summary.py"}
    assert set(re.findall(r"\$WORK/(\w+\.py)\"", TEXT)) == set(PARTS)
    assert "from bench.training.graphs import" in PARTS["measure.py"]


@pytest.mark.parametrize("name", PARTS)
def test_the_parts_of_the_script_import_what_exists(name: str) -> None:
    compile(PARTS[name], name, "exec")
    assert list(missing(PARTS[name])) == []


def test_a_missing_name_is_found() -> None:
    code = "from bench.config import STANDARD, NOWHERE\nfrom bench.nowhere import f\nimport torch\n"
    assert list(missing(code)) == ["bench.config.NOWHERE", "bench.nowhere"]


def test_the_script_selects_tests_that_exist() -> None:
    files = [ROOT / path for path in re.findall(r"\btests/\S+\.py", TEXT)]
    assert {file.name for file in files} == {"test_graphs.py", "test_race.py"}
    files += (ROOT / "bench").glob("test_*.py")
    ids = " ".join([*MODELS, *(file.stem + file.read_text() for file in files)])
    selections = re.findall(r"(?:-k |FEWER=)\"(.+?)(?:\$FEWER)?\"", TEXT) + re.findall(r"-k (test_\w+)", TEXT)
    words = {word for selection in selections for word in re.findall(r"[\w-]+", selection)}
    assert len(selections) == 8
    assert [word for word in words - {"and", "or", "not"} if word not in ids] == []


# Faults


def resolved(place: str) -> object:
    """What a module and a name with a colon between them stand for."""
    module, _, name = place.partition(":")
    return reduce(getattr, name.split("."), import_module(module))


def test_faults_have_different_names_and_their_stages_exist() -> None:
    names = [fault.name for make in faults.GROUPS.values() for fault in make()]
    assert len(names) >= 100
    assert len(set(names)) == len(names)
    assert all(callable(resolved(place)) for place in (faults.STAGES | faults.LOADING).values())


def test_every_option_of_the_benchmarks_is_tried_with_others(pytestconfig: pytest.Config) -> None:
    everywhere = {"--profile", "--results-dir", "--benchmark-storage"}
    known = {name for option in option_pairs.OPTIONS for name in option.names} | everywhere
    groups = {group.name: group for group in pytestconfig._parser._groups}
    declared = [option.names() for option in groups["fusiongauge"].options]
    assert len(declared) > 20
    assert [names for names in declared if known.isdisjoint(names)] == []


def test_commands_have_every_pair_of_options_that_can_be_used_together() -> None:
    tried = set()
    for command in option_pairs.commands():
        effects = [option.effect for option in command.options if option.effect]
        assert len(effects) <= 1 or len(command.options) == 2
        ended_early = not {option_pairs.LISTED, option_pairs.SKIPPED, option_pairs.REFUSED}.isdisjoint(effects)
        for pair in combinations(command.options, 2):
            if not ended_early or any(option.effect for option in pair):
                tried.add(frozenset(pair))
    for pair in combinations(option_pairs.OPTIONS, 2):
        assert (frozenset(pair) in tried) != option_pairs._excluded(*pair), pair
