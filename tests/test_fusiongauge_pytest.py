"""Options anywhere: pytest knows them in every form and order, and other projects never notice."""

import subprocess
import sys
from argparse import Action, ArgumentParser
from pathlib import Path
from typing import Any

import pytest

import fusiongauge_pytest
from bench.harness.declarations import declare
from fusiongauge_pytest import HOME, VALUES, _is_about_us, _named, _paths
from tests.bench.nested import nested

MODEL = "compact-late-concat-strided"
ID = f"bench/test_training.py::test_training[{MODEL}]"


def registered() -> list[Action]:
    """The options of the plug-in as it declares them."""
    parser = ArgumentParser(add_help=False)

    class Group:
        def addoption(self, *names: str, **words: Any) -> None:
            parser.add_argument(*names, **words)

    declare(Group())  # type: ignore[arg-type]
    return parser._actions


@pytest.mark.parametrize("option", registered(), ids=lambda option: option.dest)
def test_values_of_every_registered_option_are_no_paths(option: Action) -> None:
    (name,) = option.option_strings
    count = 1 if option.nargs is None else option.nargs
    assert isinstance(count, int)
    values = [f"value-{number}" for number in range(count)]
    for given in [[name, *values], *([[f"{name}={values[0]}"]] if count == 1 else [])]:
        for words in ([*given, "path"], ["path", *given], ["-q", *given, "path", *given]):
            assert _paths([word for word in words if word[0] != "-"], words) == ["path"]


@pytest.mark.parametrize(
    ("words", "paths"),
    [
        (["--dataset", "a", "b"], ["b"]),
        (["b", "--dataset", "a"], ["b"]),
        (["--dataset=a", "b", "c"], ["b", "c"]),
        (["--results-dir", "a", "--plugin", "b", "-q"], []),
        (["--", "a"], ["a"]),
        (["a", "--dataset"], ["a"]),  # values are missing, which pytest reports
        (["--compare-models", "a"], ["a"]),
    ],
)
def test_what_is_left_are_paths(words: list[str], paths: list[str]) -> None:
    assert _paths([word for word in words if not word.startswith("-")], words) == paths


def test_options_can_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("--dataset\na\nb\n")
    assert _paths(["a", "b"], [f"@{tmp_path / 'words'}"]) == ["b"]


@pytest.mark.parametrize(
    ("words", "here", "about_us"),
    [
        ([], HOME, True),
        ([], HOME / "docs", True),
        ([], HOME.parent, False),
        (["bench"], HOME, True),
        (["../bench/test_training.py::test_training"], HOME / "docs", True),
        ([str(HOME / "tests")], Path("/"), True),
        (["/somewhere/else"], HOME, False),
    ],
)
def test_a_command_line_is_about_us_by_its_paths_or_its_folder(
    words: list[str], here: Path, about_us: bool
) -> None:
    assert _is_about_us(words, here) == about_us


def test_installed_it_is_about_us_by_name_or_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _named(["bench.test_training::test_training"])
    assert not _named(["benches", "other.bench"])
    monkeypatch.setattr(fusiongauge_pytest, "HOME", tmp_path)  # no checkout, and not where bench is
    assert not _named(["bench"])
    assert not _is_about_us([], tmp_path)
    assert not _is_about_us(["tests"], tmp_path)
    assert _is_about_us([str(tmp_path / "bench" / "test_training.py")], Path("/"))


@pytest.mark.parametrize(
    ("words", "here"),
    [
        (["--dataset", "{data}"], HOME),
        (["--dataset={data}"], HOME),
        (["--dataset", "{data}", "bench", "--seeds", "1"], HOME),
        (["--compare-models", MODEL, "compact-late-concat-maxpool", "--dataset", "{data}"], HOME),
        (["--results-dir", "{data}", str(HOME / "bench" / "test_training.py"), "--dataset", "{data}"], Path("/")),
    ],
    ids=["apart", "joined", "before a path", "two values", "elsewhere"],
)
def test_benchmarks_alone_are_found_under_their_names(words: list[str], here: Path, tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").touch()  # a folder that pytest would take for the root
    words = [word.format(data=tmp_path) for word in words]
    ended = nested(
        [*words, "-p", "fusiongauge_pytest", "--collect-only", "-q", "-k", f"training and {MODEL}"], here
    )
    assert (ended.code, ended.ids) == (0, [ID]), ended.output


def pytest_in(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-P",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "fusiongauge_pytest",
        *words,
    ]
    environment = {"PYTHONPATH": f"{HOME}:{folder}", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PATH": ""}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_another_project_keeps_its_options_and_its_package_of_our_name(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        f"def pytest_addoption(parser):\n    for name in {list(VALUES)}:\n        parser.addoption(name)\n"
    )
    (tmp_path / "test_it.py").write_text(
        "import sys\n"
        "def test_it(request):\n"
        "    assert request.config.getoption('--device') == 'theirs'\n"
        "    assert {'bench', 'torch', 'numpy', 'fusiongauge'}.isdisjoint(sys.modules)\n"
    )
    done = pytest_in(tmp_path, "--device", "theirs", "--seeds", "3")
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_option_that_another_plugin_has_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "theirs.py").write_text("def pytest_addoption(parser):\n    parser.addoption('--device')\n")
    done = pytest_in(tmp_path, "-p", "pytest_benchmark.plugin", "-p", "theirs", str(HOME / "bench"))
    assert done.returncode == 4
    assert "ERROR: another plug-in of pytest has the same option as FusionGauge (option" in done.stderr
    assert "--device" in done.stderr
    assert "disable that plug-in with -p no:NAME" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
