"""The six rules of the architecture, each as a test that can fail; CONTRIBUTING.md lists them."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import resolve_name
from pathlib import Path
from typing import Any

import msgspec
import pytest
from torch import nn

from bench import baseline
from bench.config import STANDARD
from bench.metrics import QUANTITIES
from bench.records import Metric, append
from bench.registry import CORRUPTIONS, METRICS, STUDIES
from bench.tracking import TRACKERS
from data_utils import DATASETS, LAYOUTS
from fusion_models import BACKBONES, EMBEDDERS, MODELS, OPERATORS, register_model
from fusiongauge import PluginError, Registry
from tests.bench.probes.samples import probe_record
from tests.bench.samples import MODEL, TWIN, record, with_test_figures

ROOT = Path(__file__).parents[1]
PACKAGES = ("bench", "data_utils", "fusion_models")

BELOW = {
    "fusiongauge": (),
    "fusion_models": ("fusiongauge",),
    "data_utils": ("fusiongauge",),
    "bench.config": ("fusiongauge",),
    "bench.records": ("fusiongauge",),
    "bench.study": ("bench.config",),
    "bench.registry": ("bench.study", "bench.records"),
    "bench.metrics": ("bench.registry",),
    "bench.studies": ("bench.registry", "fusion_models"),
    "bench.training": ("bench.metrics", "data_utils", "fusion_models"),
    "bench.probes": ("bench.training",),
    "bench.costs": ("bench.training",),
    "bench.analysis": ("bench.metrics",),
    "bench.tables": ("bench.analysis",),
    "bench.plots": ("bench.analysis",),
    "bench.report": ("bench.tables", "bench.plots"),
    "bench.tracking": ("bench.tables", "bench.training"),
    "bench.harness": ("bench.tracking", "bench.report", "bench.probes", "bench.costs", "bench.studies"),
    "bench.baseline": ("bench.harness",),
    "bench.cli": ("bench.baseline",),
    "bench.__main__": ("bench.cli",),
    "benchmarks": ("bench.harness",),
}
"""What each folder or module is directly above; it may import that and everything below. The two columns,
training and analysis, do not meet below tracking."""


def below(folder: str) -> set[str]:
    """Everything that a folder may import."""
    return {folder, *(name for direct in BELOW[folder] for name in below(direct))}


def folder_of(module: str) -> str:
    """The folder, of those in BELOW, that a module belongs to."""
    parts = module.split(".")
    if parts[0] != "bench":
        return parts[0]
    if len(parts) > 1 and parts[1].startswith("test_"):
        return "benchmarks"
    return ".".join(parts[:2])


def sources() -> Iterator[tuple[str, Path]]:
    """All modules with their files."""
    yield "fusiongauge", ROOT / "fusiongauge.py"
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Everything that a file of Python consists of."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def imports(module: str, path: Path) -> Iterator[str]:
    """The modules that a file imports, also inside functions; of ``from a import b`` a, or a.b if a module."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                inner = ROOT.joinpath(*origin.split("."), alias.name)
                is_module = inner.is_dir() or inner.with_suffix(".py").is_file()
                yield f"{origin}.{alias.name}" if is_module else origin


def upward_imports(modules: Iterable[tuple[str, Path]]) -> list[str]:
    """Imports that do not point down, one line each."""
    return [
        f"{module} imports {imported}"
        for module, path in modules
        for imported in imports(module, path)
        if imported.partition(".")[0] in (*PACKAGES, "fusiongauge")
        and imported != "bench"
        and module != "bench"
        and folder_of(imported) not in below(folder_of(module))
    ]


# 1. Layers


def test_every_folder_has_its_place() -> None:
    assert {folder_of(module) for module, _ in sources()} - {"bench"} == set(BELOW)


def test_imports_point_down() -> None:
    assert upward_imports(sources()) == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("bench.records.run", "from bench.config import Protocol"),
        ("bench.tables.text", "def f():\n    import bench.plots.style"),
        ("bench.analysis.gate", "from bench import tables"),
        ("bench.analysis.gate", "import bench.training.runs"),
        ("bench.training.runs", "from bench.analysis import statistics"),
        ("data_utils.loading", "import fusion_models"),
    ],
)
def test_an_import_that_points_up_is_found(module: str, line: str, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(line)
    assert len(upward_imports([(module, path)])) == 1


def test_models_import_torch_alone() -> None:
    ours = {"fusion_models", "fusiongauge"}
    external = {
        imported.partition(".")[0]
        for module, path in sources()
        if module.startswith("fusion_models")
        for imported in imports(module, path)
    }
    assert external - ours - set(sys.stdlib_module_names) <= {"torch", "torchvision", "safetensors", "lazy_loader"}


# 2. Records are enough

BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "fusion_models", "data_utils"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
"""

SHOW = (
    BLOCKED
    + """
from pathlib import Path
from typing import Any
from bench.records.reading import read_run
from bench.analysis.comparison import compare
from bench.analysis.history import history
from bench.plots import write_figures
from bench.report.page import page
from bench.tables.comparison import comparison_table
from bench.tables.tabulation import write_tables

path, out = Path(sys.argv[1]), Path(sys.argv[2])
run = read_run(path)
write_tables(run.records, out / "tables", run.probes, run.costs)
write_figures(run.records, out / "plots", run.probes, run.costs)
(out / "report.html").write_text(page([run]))
comparison_table(compare(run.records, run.records))
"""
)


def shown(path: Path, out: Path) -> str:
    """The page of some records, made where torch, models and data cannot be imported."""
    done = subprocess.run(
        [sys.executable, "-c", SHOW, str(path), str(out)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return (out / "report.html").read_text()


@pytest.mark.slow
def test_the_records_of_a_run_are_shown_without_torch(tmp_path: Path) -> None:
    for seed in (51, 52):
        for model in (MODEL, TWIN):
            weights = f"{model} {seed}"
            one = record(model, study="robustness", seed=seed, weights_sha256=weights)
            append(tmp_path / "robustness.jsonl", with_test_figures(one))
            for level in (0.0, 0.5):
                probe = probe_record(model, seed=seed, weights_sha256=weights, level=level)
                append(tmp_path / "robustness.probes.jsonl", probe)
    page = shown(tmp_path, tmp_path / "shown")
    assert "compact-late-concat-strided" in page
    assert any((tmp_path / "shown" / "plots").iterdir())


@pytest.mark.slow
def test_records_of_unknown_things_are_shown_without_torch(tmp_path: Path) -> None:
    """Unknown model, study, embedder, family, modality, metric, corruption, and an empty environment."""
    known, probe = record(), probe_record()
    folder = tmp_path / "run"
    folder.mkdir()
    for embedder in ("wavelet", "lottery"):
        for seed in range(6):
            strange = msgspec.structs.replace(
                known,
                model=f"giant-orbital-entangle-{embedder}",
                family="giant",
                stage="orbital",
                operator="entangle",
                embedder=embedder,
                reference="wavelet",
                modalities=["radar", "sonar"],
                channels={"radar": 9, "sonar": 1},
                study="a-study-of-tomorrow",
                dataset="moons",
                seed=seed,
                valid_metrics={"loss": 0.1 + seed / 100, "accuracy": 0.9, "surprise": 3.0 + seed, "brier": None},
                metrics=[Metric(name="surprise", title="astonishment", higher_is_better=True)],
                environment={},
            )
            append(folder / "records.jsonl", strange)
            for level in (0.0, 1.0):
                told = msgspec.structs.replace(
                    probe,
                    model=strange.model,
                    family="giant",
                    stage="orbital",
                    operator="entangle",
                    embedder=embedder,
                    study=strange.study,
                    dataset="moons",
                    seed=seed,
                    benchmark="robustness",
                    probe="no-sonar-silence",
                    level=level,
                    level_unit="dB",
                    metric="accuracy",
                    value=0.9 - level / 10,
                )
                append(folder / "probes.jsonl", told)
    page = shown(folder, tmp_path)
    for word in ("giant-orbital-entangle-wavelet", "a-study-of-tomorrow", "astonishment", "no-sonar-silence"):
        assert word in page


def test_blocking_torch_can_fail() -> None:
    code = f"{BLOCKED}\nimport bench.training.runs"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "is blocked" in done.stderr


# 3. One table of metrics


def strings(path: Path) -> set[str]:
    """All string constants of a file."""
    return {node.value for node in nodes(path) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_each_metric_is_declared_once() -> None:
    declarations = [*QUANTITIES.values(), *(metric.declaration for metric in METRICS.values())]
    assert len({metric.name for metric in declarations}) == len(declarations)
    titles = {metric.title for metric in declarations if " " in metric.title}
    assert titles
    elsewhere = {
        f"{module}: {title}"
        for module, path in sources()
        if module != "bench.metrics"
        for title in titles & strings(path)
    }
    assert elsewhere == set()


# 4. One key


def keys_by_hand(path: Path) -> int:
    """How many tuples of a file are made of the attributes that tell cells apart."""
    return sum(
        {"model", "seed"} < {element.attr for element in node.elts if isinstance(element, ast.Attribute)}
        for node in nodes(path)
        if isinstance(node, ast.Tuple)
    )


def test_cells_are_told_apart_in_one_place() -> None:
    by_hand = {module for module, path in sources() if keys_by_hand(path)}
    assert by_hand <= {"bench.records.keys"}


def test_a_key_made_by_hand_is_found(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("key = (record.study, record.model, record.seed)")
    assert keys_by_hand(path) == 1


# 5. Open registries

REGISTRIES: tuple[Registry[Any], ...] = (
    OPERATORS,
    EMBEDDERS,
    BACKBONES,
    DATASETS,
    LAYOUTS,
    METRICS,
    CORRUPTIONS,
    STUDIES,
    TRACKERS,
)


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.kind)
def test_a_name_that_is_taken_is_refused(registry: Registry[Any]) -> None:
    taken = next(iter(registry), None)
    if taken is None:
        pytest.skip(f"no {registry.kind} ships here")
    with pytest.raises(
        PluginError, match=f"test_rules.py: the {registry.kind} '{taken}' is already registered, by"
    ):
        registry.register(taken, object(), test_a_name_that_is_taken_is_refused)


def test_a_model_is_not_registered_under_the_name_of_another() -> None:
    with pytest.raises(PluginError, match=r"test_rules.py: there is a model '.*' already"):
        register_model(next(iter(MODELS)))(lambda *_: nn.Identity())


# 6. One canonical form of a protocol

ADDED = """
import ast, sys
from bench.cli import main
from bench.config import STANDARD, canonical

now, old = STANDARD.to_dict(), ast.literal_eval(sys.argv[1])
print(sys.argv[2] in now, canonical(old) == canonical(now))
sys.exit(main(["baseline"]))
"""


def test_a_new_protocol_field_with_a_default_changes_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (*PACKAGES, "results/published"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (records := tmp_path / "results" / "baseline").mkdir()
    shutil.copy(ROOT / "results" / "baseline" / "fusion-experts.jsonl", records)
    for file in ("fusiongauge.py", "README.md"):
        shutil.copy(ROOT / file, tmp_path)
    monkeypatch.setattr(baseline, "FOLDER", records)
    monkeypatch.setattr(baseline, "README", tmp_path / "README.md")
    baseline.write()
    assert len(list(records.rglob("*.md"))) > 5
    config = tmp_path / "bench" / "config.py"
    before = config.read_text()
    field = "    valid_whole_batches: bool = False\n"
    assert before.count(field) == 1
    new = "averaged_weights"
    old = STANDARD.to_dict()
    assert new not in old
    config.write_text(before.replace(field, f"{field}    {new}: bool = False\n"))
    made = subprocess.run(
        [sys.executable, "-c", ADDED, repr(old), new], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (made.returncode, made.stdout) == (0, "True True\n"), made.stderr
