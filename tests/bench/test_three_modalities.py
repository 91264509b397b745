"""A color, a depth and a thermal camera, from their files to tables, probes, plots and the page."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import cli
from bench.records import COMPLETED, ProbeRecord, RunRecord, read
from data_utils import load, register_dataset
from tests.bench.nested import nested

MODALITIES = ("rgb", "depth", "thermal")
FUSION, *SINGLE = ("wide-early-concat-strided", *(f"wide-{modality}-strided" for modality in MODALITIES))
DECLARATION = """
name = "kitchen"
[modalities.rgb]
kind = "image"
column = "color"
[modalities.depth]
kind = "depth"
column = "tof"
[modalities.thermal]
kind = "thermal"
column = "lwir"
scale = 100
unit = "K"
"""


def write_kitchen(folder: Path, pairs: int = 48, size: int = 16) -> Path:
    """Warm boxes and cold balls, as JPEG, 16-bit PNG in millimeters and 16-bit TIFF in hundredths of a kelvin."""
    generator = np.random.default_rng(0)
    rows = ["color,tof,lwir,label,group"]
    for modality in ("color", "tof", "lwir"):
        (folder / modality).mkdir(parents=True)
    for pair in range(pairs):
        warm = pair % 2
        noise = generator.integers(0, 40, (size, size))
        inside = np.zeros((size, size), np.bool_)
        inside[4:12, 4:12] = True
        color = np.where(inside, 200, 30) + noise
        Image.fromarray(np.stack([color] * 3, axis=2).astype(np.uint8)).save(folder / "color" / f"{pair}.jpg")
        depth = np.where(inside, 1200, 2500) + noise
        Image.fromarray(depth.astype(np.uint16)).save(folder / "tof" / f"{pair}.png")
        kelvin_100 = np.where(inside, 30_500 if warm else 28_500, 29_500) + noise
        Image.fromarray(kelvin_100.astype(np.uint16)).save(folder / "lwir" / f"{pair}.tif")
        rows.append(f"color/{pair}.jpg,tof/{pair}.png,lwir/{pair}.tif,{('ball', 'box')[warm]},{pair}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    (folder / "dataset.toml").write_text(DECLARATION)
    return folder


@pytest.mark.slow  # a whole run and its page
def test_three_modalities_of_files_are_trained_tabulated_probed_and_drawn(tmp_path: Path) -> None:
    data, run = str(write_kitchen(tmp_path / "data")), tmp_path / "run"
    dataset = load(data)
    assert {name: dataset.modality(name).kind for name in MODALITIES} == {
        "rgb": "image",
        "depth": "depth",
        "thermal": "thermal",
    }
    words = ["--dataset", data, "--profile", "smoke", "--study", "robustness", "--device", "cpu"]
    chosen = " or ".join([FUSION, *SINGLE])
    ended = nested(["bench", *words, "-k", chosen, "--set", "epochs=1", "--results-dir", str(run)])
    assert ended.code == 0, ended.output
    assert "data: 48 pairs of kitchen take 98.3 kB of memory" in ended.output
    # Trained: fusion of all three, and each alone.
    records = {record.model: record for record in read(run / "records.jsonl", RunRecord)}
    assert {name: tuple(record.modalities) for name, record in records.items()} == {
        FUSION: MODALITIES,
        **{name: (modality,) for name, modality in zip(SINGLE, MODALITIES, strict=True)},
    }
    assert {record.status for record in records.values()} == {COMPLETED}
    # Probed: every subset that can be missing is.
    subsets = [subset for count in (1, 2) for subset in combinations(MODALITIES, count)]
    probes = {probe.probe for probe in read(run / "probes.jsonl", ProbeRecord) if probe.probe.startswith("no-")}
    assert probes == {f"no-{'+'.join(s)}-{how}" for s in subsets for how in ("zeros", "mean", "noise")}
    # Tabulated and drawn, in the folder and on the page.
    assert FUSION in (run / "tables" / "robustness-modalities.md").read_text()
    table = (run / "tables" / "robustness-robustness.md").read_text()
    assert all(probe in table for probe in probes)
    assert (run / "plots" / "robustness-robustness.png").stat().st_size > 10_000
    cli.main(["report", str(run), "--out", str(tmp_path / "page.html")])
    page = (tmp_path / "page.html").read_text()
    assert all(word in page for word in (FUSION, *SINGLE, *probes, "kitchen"))
    assert 'id="claims"' not in page  # no claim was run


@pytest.mark.usefixtures("registries")
def test_each_modality_that_a_plug_in_declares_has_a_baseline(tmp_path: Path) -> None:
    data = load(str(write_kitchen(tmp_path / "data", pairs=4)))
    register_dataset("kitchen", modalities=MODALITIES)(lambda pairs, seed: data)  # noqa: ARG005
    ended = nested(["bench", "--dataset", "kitchen", "--collect-only", "-q"])
    for name in SINGLE:
        assert f"bench/test_training.py::test_training[{name}]" in ended.ids
