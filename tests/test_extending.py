"""The tutorial docs/extending.md: its Python blocks, joined, are a plug-in that works as the page says."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.records import COMPLETED, ProbeRecord, RunRecord, read
from tests.processes import call

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
STUDY = "three-sensors"
SMOKE = ("--profile", "smoke", "--device", "cpu")


def tutorial() -> str:
    """The plug-in that the page builds."""
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    return "\n\n".join(re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))


@dataclass(frozen=True)
class Run:
    """A run of the tutorial's study, and the folder that its plug-in and results are in."""

    output: str
    folder: Path

    @property
    def plugin(self) -> Path:
        return self.folder / "my_fusion.py"

    @property
    def results(self) -> Path:
        return self.folder / "run"

    def bench(self, *words: str) -> subprocess.CompletedProcess[str]:
        """``pytest bench`` with the plug-in, into the same folder and history."""
        history = ("--benchmark-storage", f"file://{self.folder / 'history'}", "-p", "no:cacheprovider")
        where = ("--results-dir", str(self.results), *history)
        return call("pytest", "bench", "--plugin", str(self.plugin), *SMOKE, *where, *words)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Its study at profile smoke, trained and probed."""
    made = Run("", tmp_path_factory.mktemp("tutorial"))
    made.plugin.write_text(tutorial(), encoding="utf-8")
    done = made.bench("--study", STUDY, "--track", "losses")
    assert done.returncode == 0, done.stdout
    return Run(done.stdout, made.folder)


MODELS = (
    "compact-intermediate-gated-mixedpool",
    "compact-intermediate-gated-maxpool",
    "tiny-late-logits",
    "tiny-thermal",
    "mean-of-logits",
)


def test_everything_is_trained_on_three_modalities(run: Run) -> None:
    records = {record.model: record for record in read(run.results / "records.jsonl", RunRecord)}
    assert records.keys() >= set(MODELS)
    assert {record.status for record in records.values()} == {COMPLETED}
    assert records["mean-of-logits"].modalities == ["rgb", "lidar", "thermal"]
    assert records["tiny-thermal"].modalities == ["thermal"]
    for record in records.values():
        assert record.protocol["normalized"] == ["rgb", "lidar", "thermal"]
        assert 0 <= (record.test_metrics or {})["brier"] <= 2  # type: ignore[operator]
        assert "brier" in {metric.name for metric in record.metrics}
        assert record.plugins == ["my_fusion.py"]


def test_the_corruption_acts_on_each_modality(run: Run) -> None:
    probes = read(run.results / "probes.jsonl", ProbeRecord)
    mine = {probe.probe for probe in probes if probe.probe.startswith("dead-rows")}
    assert mine == {"dead-rows-rgb", "dead-rows-lidar", "dead-rows-thermal"}
    assert {probe.level for probe in probes if probe.probe in mine} == {0.0, 0.1, 0.25, 0.5}


def test_it_is_in_the_tables_plots_and_on_the_page(run: Run) -> None:
    tables = {path.name: path.read_text() for path in (run.results / "tables").glob("*.md")}
    assert "test Brier score" in tables[f"{STUDY}-fusion.md"]
    assert "mixedpool" in tables[f"{STUDY}-downsampling.md"]
    assert "dead-rows-thermal" in tables[f"{STUDY}-robustness.md"]
    assert {f"{STUDY}-{name}.png" for name in ("curves", "cost", "downsampling", "robustness")} <= {
        path.name for path in (run.results / "plots").iterdir()
    }
    done = call("bench", "report", str(run.results))  # without the plug-in
    assert done.returncode == 0, done.stdout
    page = (run.results / "report.html").read_text()
    for word in (*MODELS, "test Brier score", "dead-rows-thermal", "three-sensors", "of square "):
        assert word in page


def test_the_tracker_was_told_of_every_epoch(run: Run) -> None:
    header, *lines = (run.results / "losses.csv").read_text().splitlines()
    records = read(run.results / "records.jsonl", RunRecord)
    assert header == "cell,epoch,train_loss,valid_loss"
    assert len(lines) == sum(len(record.train_losses) for record in records)
    assert f"the losses of all epochs are in {run.results / 'losses.csv'}" in run.output


def test_it_is_collected_selected_and_in_the_help(run: Run) -> None:
    words = "test_training and (gated or late-concat-mixedpool or tiny or mean-of)"
    selected = re.findall(r"test_training\[(.*)\]", run.bench("--collect-only", "-q", "-k", words).stdout)
    gated = [f"compact-intermediate-gated-{embedder}" for embedder in ("maxpool", "strided", "mixedpool")]
    assert set(selected) >= {
        *gated,
        "compact-late-concat-mixedpool",
        "tiny-late-logits",
        "tiny-rgb",
        "mean-of-logits",
    }
    assert not any("compact-late-concat-maxpool" in name for name in selected)
    text = run.bench("--help").stdout
    for word in (STUDY, "three", "test_brier"):
        assert word in text


def test_the_metric_is_compared_and_gated(run: Run) -> None:
    done = run.bench(
        "--study", STUDY, "--resume", "--benchmark-compare", "--fail-on", "test_brier:+0.01", "-k", "tiny-thermal"
    )
    assert done.returncode == 0, done.stdout
    assert "test Brier score" in done.stdout
    assert "nothing is worse than allowed" in done.stdout


def test_code_counts_for_resume_and_comments_do_not(run: Run) -> None:
    def resumed() -> str:
        return run.bench("--study", STUDY, "--resume", "-k", "test_training and tiny-thermal").stdout

    text = run.plugin.read_text()
    try:
        run.plugin.write_text(text.replace('    """Two strided convolutions."""', "    # other words\n    "))
        assert "from records: 1 finished cell" in resumed()
        run.plugin.write_text(text.replace("nn.Conv2d(16, 32,", "nn.Conv2d(16, 16 + 16,"))
        assert "rerun, code changed: 1 cell: three-sensors:tiny-thermal" in resumed()
    finally:
        run.plugin.write_text(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\nundefined", r"bad\.py, line 2 raises NameError: name 'undefined' is not defined"),
        (
            "from fusion_models import register_operator\n@register_operator('add')\nclass Add: ...",
            r"bad\.py: the operator 'add' is already registered, by .*elementary\.py; choose another name",
        ),
    ],
)
def test_a_plugin_that_cannot_be_loaded_ends_in_a_sentence(text: str, message: str, tmp_path: Path) -> None:
    plugin = tmp_path / "bad.py"
    plugin.write_text(text)
    done = call("pytest", "bench", "--plugin", str(plugin), "--collect-only", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 4
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("ERROR")]
    assert re.search(message, line)
    assert "Traceback" not in done.stdout


BAD_MODELS = """
import torch
from torch import nn
from fusion_models import register_model
from bench import STANDARD, Study, register_study

class Model(nn.Module):
    def __init__(self, channels, outputs):
        super().__init__()
        self.layer = nn.Linear(channels["rgb"], outputs)

    def forward(self, inputs):
        return self.layer(inputs["rgb"].mean(dim=(2, 3)))

class Frozen(Model):
    def __init__(self, channels, outputs):
        super().__init__(channels, outputs)
        self.requires_grad_(False)

class Raising(Model):
    def forward(self, inputs):
        raise ZeroDivisionError("one over zero")

register_model("wrong-shape")(lambda channels, size, classes: Model(channels, classes + 3))
register_model("nothing-to-train")(lambda channels, size, classes: Frozen(channels, classes))
register_model("raises")(lambda channels, size, classes: Raising(channels, classes))

@register_study("bad")
def bad():
    return Study(
        question="Do faulty models fail?",
        models=("wrong-shape", "nothing-to-train", "raises"),
        protocols={"": STANDARD},
    )
"""


def test_models_that_cannot_be_trained_fail_with_a_sentence_that_names_the_file(tmp_path: Path) -> None:
    plugin = tmp_path / "bad_models.py"
    plugin.write_text(BAD_MODELS)
    words = ("--plugin", str(plugin), "--study", "bad", *SMOKE, "-p", "no:cacheprovider")
    done = call("pytest", "bench", *words, "--results-dir", str(tmp_path / "run"))
    assert done.returncode == 1
    errors = {record.model: record.error or "" for record in read(tmp_path / "run" / "records.jsonl", RunRecord)}
    assert errors.keys() == {"wrong-shape", "nothing-to-train", "raises"}
    assert all("bad_models.py" in error for error in errors.values()), json.dumps(errors)
    assert re.search(r"\(\d+, 5\)", errors["wrong-shape"])
    assert "trainable parameter" in errors["nothing-to-train"]
    assert "ZeroDivisionError: one over zero" in errors["raises"]
