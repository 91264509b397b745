"""The scripts of ``tools/``: what they name exists, and what they show is what was measured."""

import ast
import json
import os
import re
import subprocess
import sys
from functools import reduce
from importlib import import_module
from itertools import combinations, product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from bench.analysis.sequential import sign_flips, spent
from bench.config import FIRST_SEED, FP32, TF32
from bench.training.layout import layout_of
from bench.training.runs import silent
from bench.training.seeding import seeded
from bench.training.steps import EagerSteps
from bench.training.trainer import Trainer
from fusion_models import MODELS, find_model
from tools import spending
from tools.faults import __main__ as faults
from tools.faults import fault, option_pairs
from tools.gpu import environment, summary
from tools.gpu import steps as gpu_steps
from tools.gpu.findings import Findings
from tools.gpu.measure import main as measure
from tools.gpu.measure import with_other_bits
from tools.gpu.tables import tables
from tools.gpu.workload import Workload

ROOT = Path(__file__).parents[1]

# The check of a GPU: the script

SCRIPT = ROOT / "tools" / "gpu_check.sh"
TEXT = SCRIPT.read_text()
CODE = re.sub(r"(?m)^\s*#.*$", "", TEXT).replace("\\\n", " ")
STEPS: dict[str, str] = dict(re.findall(r'(?m)^\s*step "?([\w$-]+)"? \d+ \d+ (.*)$', CODE))
STEP_NAMES = {*STEPS, "cell-tf32", "cell-bf16"} - {"cell-$precision"}
PROGRAMS = sorted({*re.findall(r"-m tools\.gpu\.(\w+)", CODE)})


def test_the_script_is_one_that_bash_can_read() -> None:
    done = subprocess.run(["bash", "-n", str(SCRIPT)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_one_of_several_gpus_is_chosen_by_its_variable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "cuda:1: give cpu or cuda; CUDA_VISIBLE_DEVICES=1 chooses the second GPU\n"
    surroundings = {**os.environ, "DEVICE": "cuda:1", "OUT": str(tmp_path / "out")}
    done = subprocess.run(["bash", str(SCRIPT)], env=surroundings, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"DEVICE={words}")
    assert measure("cuda:1", tmp_path, 60) == 2
    assert capsys.readouterr().err == f"device {words}"
    assert not any(tmp_path.iterdir())


def test_steps_named_anywhere_are_steps_of_the_script() -> None:
    assert 'PRECISIONS="tf32 bf16"' in CODE
    assert set(STEPS) == {"env", "tests", "cell", "cell-$precision", "smoke", "probes", "race", "measure", "study"}
    runs = re.findall(r"--results-dir \"\$WORK/(\S+)\"", CODE)
    assert [name for name, command in STEPS.items() if "--results-dir" in command] == runs
    collected = re.findall(r"for run in ([\w -]+);|\{([\w,-]+)\}/\$file", CODE)
    named = {*summary.LOGS, *(name for names in collected for name in re.findall(r"[\w-]+", " ".join(names)))}
    for text in (TEXT, (ROOT / "docs" / "ci.md").read_text()):
        named |= {name for names in re.findall(r'"((?:env|tests)[\w -]+)"', text) for name in names.split()}
    assert {"env", "cell-tf32", "study"} < named
    assert named <= STEP_NAMES


def test_programs_of_the_script_are_all_there_is_to_start() -> None:
    startable = [
        path.stem
        for path in (ROOT / "tools" / "gpu").glob("*.py")
        if 'if __name__ == "__main__"' in path.read_text()
    ]
    assert PROGRAMS == sorted(startable) == ["environment", "measure", "summary", "tables"]
    assert all(callable(import_module(f"tools.gpu.{name}").main) for name in PROGRAMS)


def test_the_script_runs_every_test_that_needs_cuda(pytestconfig: pytest.Config) -> None:
    (search,) = re.findall(r"\$\((grep .*?)\)", STEPS["tests"])
    marker = "needs_cuda"  # written apart, or the script would load this file
    assert f"-m {marker} --slow" in STEPS["tests"]
    done = subprocess.run(search, shell=True, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S602
    marked = {path for path in (ROOT / "tests").rglob("*.py") if f"pytest.mark.{marker}" in path.read_text()}
    assert marked
    assert {ROOT / name for name in done.stdout.split()} == marked
    assert any(line.startswith(f"{marker}:") for line in pytestconfig.getini("markers"))


def test_the_script_selects_benchmarks_that_exist() -> None:
    files = list((ROOT / "bench").glob("test_*.py"))
    ids = " ".join([*MODELS, *(file.stem + file.read_text() for file in files)])
    selections = re.findall(r"(?:-k |FEWER=)\"(.+?)(?:\$FEWER)?\"", CODE) + re.findall(r"-k (test_\w+)", CODE)
    words = {word for selection in selections for word in re.findall(r"[\w-]+", selection)}
    assert len(selections) == 7
    assert [word for word in words - {"and", "or", "not"} if word not in ids] == []


# What its programs need


def imported(name: str) -> set[str]:
    """The packages that a module of tools/gpu/ imports, outside of Python's own library."""
    tree = ast.parse((ROOT / "tools" / "gpu" / f"{name}.py").read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)


def test_programs_that_always_have_to_work_import_nothing_of_ours() -> None:
    assert {name: imported(name) for name in PROGRAMS if name != "measure"} == {
        "environment": {"torch"},
        "summary": set(),
        "tables": set(),
    }
    assert imported("measure") > {"bench", "torch"}


def test_versions_are_of_all_that_is_required(tmp_path: Path) -> None:
    versions = environment.versions(ROOT / "pyproject.toml")
    assert versions["torch"] == torch.__version__.partition("+")[0]
    assert {"scikit-learn", "pytest-benchmark", "lazy_loader"} < set(versions)
    assert "missing" not in versions.values()
    project = tmp_path / "pyproject.toml"
    project.write_text(
        '[project]\ndependencies = ["no-such.package[extra]>=2; python_version > \'3\'", "torch"]\n'
    )
    assert environment.versions(project) == {"no-such.package": "missing", "torch": versions["torch"]}


# The summary


def test_there_is_a_summary_whatever_is_missing(tmp_path: Path) -> None:
    """Without any package, as -S leaves out what is installed."""
    done = subprocess.run(
        [sys.executable, "-S", "-m", "tools.gpu.summary", str(tmp_path / "none"), str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == json.loads((tmp_path / "summary.json").read_text())
    assert not any(json.loads(done.stdout).values())


def write_lines(path: Path, *lines: dict[str, Any] | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))


RACED = {
    "precision": "tf32",
    "model": "a",
    "steps": 10,
    "reference_seconds": [0.2, 0.4, 0.9],
    "engine_seconds": [0.1, 0.1, 0.1],
    "lightning_seconds": None,
    "reference_losses": [0.5, 0.4],
    "engine_losses": [0.51, 0.4],
    "exact_difference": 1.234e-15,
}


def test_the_summary_shows_what_steps_have_left(tmp_path: Path) -> None:
    write_lines(tmp_path / "steps.jsonl", {"step": "race", "rc": 1}, '{"step": "cut of')
    write_lines(tmp_path / "race" / "costs.jsonl", RACED, RACED | {"model": "b", "lightning_seconds": [0.3] * 3})
    write_lines(tmp_path / "smoke" / "records.jsonl", *[{"status": "completed"}] * 2, {"status": "diverged"})
    (tmp_path / "logs").mkdir()
    failure = "E   ValueError: no\nx.py:1: UserWarning: old\nFAILED bench/test_engine.py::a - ValueError"
    (tmp_path / "logs" / "race.log").write_text(f"{failure}\n= 1 failed in 3s =\n")
    summed = summary.summary_of(tmp_path)
    assert summed["steps"] == [{"step": "race", "rc": 1}]
    assert summed["race_ratio_lightningratio_refms_oursms_exact_first"] == {
        "tf32": {"a": [4.0, None, 40.0, 10.0, 1.2e-15, 0.02], "b": [4.0, 3.0, 40.0, 10.0, 1.2e-15, 0.02]}
    }
    assert summed["race_mean_ratio"] == {"tf32": 4.0}
    assert summed["smoke_status"] == {"completed": 2, "diverged": 1}
    assert summed["race"] == {
        "end": "1 failed in 3s",
        "n_failed": 1,
        "failed": ["FAILED bench/test_engine.py::a - ValueError"],
        "raised": ["ValueError: no"],
        "warnings": ["x.py:1: UserWarning: old"],
    }
    assert summed["tests"] is None


# The measurements and their tables

STEP = {
    "graph": True,
    "equal_bits": True,
    "equal_weights": True,
    "difference": 0.0,
    "ours_ms": 1.0,
    "eager_ms": 4.0,
}
RATIOS = {"reference_ms": 8.0, "ratio": 8.0, "TFLOPs": 2.5}
MEASURED: dict[str, Any] = {
    "models": {"a-b+tf32": STEP | RATIOS, "c+tf32": STEP | RATIOS | {"ratio": 2.0}, "c+fp32": STEP | RATIOS},
    "options": {"a-b+tf32": {"none": STEP, "random_crop": STEP | {"equal_weights": False}}},
    "stored": {"a-b+tf32": {"stored_ms": 1.25, "prepared_ms": 1.0, "equal_bits": True}},
    "branches": {"a-b+fp32": {"in_turn_ms": 1.5, "side_by_side_ms": 0.75, "equal_bits": True}},
    "variants": {"a-b": {"nhwc+fp32": 3.0, "nhwc+fp32+benchmark": 2.0}, "c": {"nchw+bf16": 5.0}},
    "errors": {"options a-b+tf32 ogm_ge": "RuntimeError: no"},
    "skipped": {"models d+tf32": "no time left", "models d+fp32": "no time left", "memory": "needs CUDA"},
}


def test_tables_show_what_was_measured_and_what_was_not() -> None:
    shown = tables(MEASURED, {"torch": "3.0", "cuda": None, "cudnn": None})
    for line in (
        "On one CPU, torch 3.0, CUDA None, cuDNN None.",
        "| a-b | tf32 | 8.0 | 4.0 | 1.0 | 8.0 | 2.5 |",
        "Geometric mean of the ratios in tf32: 4.00.",
        "Geometric mean of the ratios in fp32: 8.00.",
        "In all 3 cases losses and weights after two epochs by graph are those of eager steps, bit for bit.",
        "| a-b | tf32 | random_crop | 4.0 | 1.0 |",
        "Losses or weights of the graph differ from those of the eager steps: a-b+tf32+random_crop.",
        "| a-b | tf32 | 1.25 | 1.0 | 0.250 |",
        "| a-b | fp32 | 1.5 | 0.75 |",
        "| model | channels last, fp32 | contiguous, bf16 |",
        "| a-b | 3.0 |  |",
        "| c |  | 5.0 |",
        "- options a-b+tf32 ogm_ge: RuntimeError: no",
        "| models | 2 | no time left |",
        "| memory | 1 | needs CUDA |",
    ):
        assert line in shown.splitlines()
    assert "Kernels" not in shown
    assert tables({}, {}) == "# What tools/gpu_check.sh measured\n"


def test_what_is_printed_has_the_measurements_of_every_step() -> None:
    short = json.loads(
        summary.printed({"env": None, "measure": MEASURED | {"kernels": {"a": {"costliest": [1]}}}})
    )
    assert short["measure"]["options"] == {
        "a-b+tf32": {"none": [True, True, True, 0.0, 1.0, 4.0], "random_crop": [True, True, False, 0.0, 1.0, 4.0]}
    }
    assert short["measure"]["models"]["c+tf32"] == [True, True, True, 0.0, 1.0, 4.0, 8.0, 2.0]
    assert "kernels" not in short["measure"]
    assert (
        len(summary.printed({"measure": {"errors": {"x": "y" * 2 * summary.MOST_PRINTED}}}))
        == summary.MOST_PRINTED
    )


def test_measurements_whose_bits_differ_fail_the_step() -> None:
    assert with_other_bits(MEASURED) == ["options a-b+tf32 random_crop"]
    others = {
        "models": {"a+tf32": STEP | {"equal_bits": False}, "b+tf32": STEP},
        "stored": {"a+tf32": {"equal_bits": False}, "b+tf32": {"equal_bits": True}},
        "branches": {"a+tf32": {"equal_bits": False}, "b+tf32": {"equal_bits": True}},
    }
    assert with_other_bits(others) == ["models a+tf32", "stored a+tf32", "branches a+tf32"]
    assert with_other_bits({}) == []


def test_committed_tables_are_of_the_committed_measurements() -> None:
    folder = ROOT / "results" / "costs" / "nvidia-h100"
    measured, known = (json.loads((folder / f"{name}.json").read_text()) for name in ("measure", "env"))
    assert tables(measured, known) == (folder / "tables.md").read_text()


def test_a_part_that_fails_or_cannot_be_measured_is_noted_and_ends_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = Findings(tmp_path / "found.json", 1000, cuda=False)
    findings.add(("one", "a"), lambda: 1, needs=0.5)
    findings.add(("one", "b"), lambda: 1 // 0)
    findings.add(("one", "c"), lambda: 2, needs_cuda=True)
    findings.add(("one", "d"), lambda: 3, needs=1.5)
    with findings.part("two"):
        findings.keep(("two", "x", "y"), 4)
        try:
            raise KeyError("z")
        finally:
            raise RuntimeError("the end of what failed")
    findings.add(("three",), lambda: [5])
    written = json.loads((tmp_path / "found.json").read_text())
    assert written.pop("seconds") >= 0
    assert written == {
        "one": {"a": 1},
        "two": {"x": {"y": 4}},
        "three": [5],
        "errors": {"one b": "ZeroDivisionError: integer division or modulo by zero", "two": "KeyError: 'z'"},
        "skipped": {"one c": "needs CUDA", "one d": "no time left"},
    }
    assert "1 // 0" in capsys.readouterr().err


MODEL = "compact-late-concat-strided"
EVERYTHING = {name: value for changes in gpu_steps.OPTIONS.values() for name, value in changes.items()}


@pytest.fixture(scope="module")
def workload() -> Workload:
    return Workload.make("cpu", 40)


def test_every_option_that_changes_a_step_is_measured() -> None:
    modules = [ROOT / "bench" / "training" / f"{name}.py" for name in ("augmentation", "methods")]
    read = {name for path in modules for name in re.findall(r"protocol\.(\w+)", path.read_text())}
    assert set(EVERYTHING) == read - {"precision"}
    alone = [changes for option, changes in gpu_steps.OPTIONS.items() if option not in ("none", "augmentation")]
    assert [len(changes) for changes in alone] == [1] * len(EVERYTHING)


def test_steps_are_those_of_the_trainer(workload: Workload) -> None:
    training = workload.training(find_model(MODEL), FP32, **EVERYTHING)
    with workload.settings():
        sums = workload.losses(training, training.eager)
        model = workload.network(find_model(MODEL))
        trainer = Trainer(model, workload.train, workload.train, training.eager.protocol, FIRST_SEED, silent)
        with seeded(FIRST_SEED, "training"):
            trainer.train_epoch()
        trainer.finish_epoch()
    assert len(sums) == 2 * len(workload.rates) == 2
    assert trainer.history.train_losses == [sums[0].item() / len(workload.train)]


def test_equal_steps_are_told_from_others(workload: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = find_model(MODEL)
    facts = gpu_steps.with_option(workload, spec, FP32, "ogm_ge")
    assert (facts["graph"], facts["equal_bits"], facts["equal_weights"], facts["difference"]) == (
        False,
        True,
        True,
        0,
    )
    assert min(facts["ours_ms"], facts["eager_ms"]) > 0
    assert gpu_steps.stored_and_prepared(workload, spec, FP32)["equal_bits"]
    assert gpu_steps.side_by_side_and_in_turn(workload, spec, FP32)["equal_bits"]

    def slower(eager: EagerSteps, _: int) -> Any:
        return SimpleNamespace(epoch=lambda order, rates: eager.epoch(order, [rate / 2 for rate in rates]))

    monkeypatch.setattr(gpu_steps, "fastest", slower)
    monkeypatch.setattr(Workload, "ms_per_step", lambda *_: 1.0)
    other = gpu_steps.with_option(workload, spec, FP32, "none")
    assert (other["equal_bits"], other["equal_weights"]) == (False, False)
    assert other["difference"] > 1e-4


def test_settings_of_a_measurement_end_with_it(workload: Workload) -> None:
    def settings() -> tuple[object, ...]:
        algorithms = torch.backends.cudnn.benchmark, torch.are_deterministic_algorithms_enabled()
        return layout_of("cpu"), torch.get_float32_matmul_precision(), *algorithms

    before = settings()
    with workload.settings(TF32, timed_algorithms=True, layout=torch.contiguous_format):
        assert settings() == (torch.contiguous_format, "high", True, True)
    assert settings() == before == (torch.channels_last, "highest", False, False)


# Faults


def resolved(place: str) -> object:
    """What a module and a name with a colon between them stand for."""
    module, _, name = place.partition(":")
    return reduce(getattr, name.split("."), import_module(module))


def test_faults_have_different_names_and_their_stages_exist() -> None:
    names = [one.name for make in faults.GROUPS.values() for one in make()]
    assert len(names) >= 100
    assert len(set(names)) == len(names)
    assert all(callable(resolved(place)) for place in (fault.STAGES | fault.LOADING).values())


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


# Ways to spend the 5%


def test_spending_functions_are_those_of_the_literature() -> None:
    # One-sided 2.5% over four equal steps, as R's gsDesign prints it for sfHSD with gamma = -2.
    published = np.cumsum([0.0025, 0.0042, 0.0069, 0.0114])
    assert [spending.gamma_family(-2)(t) / 2 for t in (0.25, 0.5, 0.75, 1)] == pytest.approx(published, abs=1e-4)
    assert spending.power_family(2)(0.5) == pytest.approx(0.05 / 4)
    assert {round(function(1.0), 12) for function in spending.FUNCTIONS.values()} == {0.05}


@pytest.mark.parametrize("effect", [0.0, 0.7, 1.2, 3.0])
def test_looks_stop_where_the_test_of_verdicts_does(effect: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spending, "LOOKS", (6, 8, 10))
    signs = np.array(list(product((-1.0, 1.0), repeat=10)))  # all patterns, the observed one last
    for x in np.random.default_rng(0).normal(effect, 1, size=(10, 10)):
        sums = np.abs(np.cumsum(signs * x, axis=1))[:, [5, 7, 9]].T
        crossed = [look.crossed for look in sign_flips(x, (6, 8, 10))]
        assert spending.stop(sums, spent) == (crossed.index(True) + 1 if any(crossed) else 0)
