import re
from dataclasses import replace
from pathlib import Path

import pytest

from bench import baseline, plots
from bench.__main__ import main
from bench.analysis.ledger import ledger
from bench.probes.corruptions import CORRUPTIONS
from bench.records import run as records
from bench.records.probe import ProbeRecord
from bench.report.gallery import Run
from bench.report.page import page
from bench.tables.tabulation import tables_by_study
from bench.training.runs import run
from data_utils import PairedDataset, load
from tests.bench.report.pages import HOSTILE, THIRD, Node, hand_made, read, rows
from tests.bench.samples import MODEL, SMALL, TWIN, record, run_config


@pytest.fixture(scope="module")
def html() -> str:
    return page([hand_made()])


@pytest.fixture(scope="module")
def shown(html: str) -> Node:
    return read(html)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without plots, which take their time to draw."""
    monkeypatch.setattr(plots, "figures", lambda *_: {})


def facts(shown: Node) -> dict[str, str]:
    names, values = (shown.find(tag) for tag in ("dt", "dd"))
    return {name.words(): value.words() for name, value in zip(names, values, strict=True)}


def test_every_table_of_the_records_is_there_cell_by_cell(shown: Node) -> None:
    for tables in tables_by_study(hand_made().records).values():
        for table in tables:
            assert rows(shown, table.title) == [table.header, *(list(map(str.strip, row)) for row in table.rows)]


def test_the_summary_counts_what_there_is(shown: Node) -> None:
    said = facts(shown)
    assert said["cells"] == "6 completed, 1 failed"
    assert (said["models"], said["studies"], said["seeds"]) == ("3", "2", "2: 51, 52")
    assert said["data"] == f"2: shapes, {HOSTILE}"


def test_the_summary_links_to_every_study(shown: Node) -> None:
    links = shown.find("a")
    ids = {node.attributes["id"]: node for tag in ("main", "h2") for node in shown.find(tag)}
    assert {link.words() for link in links} >= {"standard", "fusion-compact"}
    for link in links:
        assert link.attributes["href"].removeprefix("#") in ids


def test_the_published_claims_are_there_where_a_study_decides_them(shown: Node) -> None:
    found = ledger(hand_made().records)
    assert [row[:3] for row in rows(shown, "Published claims")[1:]] == [
        [entry.hypothesis.text, entry.hypothesis.name, entry.words] for entry in found.entries
    ]
    assert "Published claims" not in page([Run("a run", [record()], [], None)])


def test_failures_are_in_the_summary_and_among_the_cells(shown: Node) -> None:
    (summary,) = shown.find("section", **{"aria-labelledby": "summary"})
    assert f"{THIRD} (seed 52) failed: RuntimeError: <b>out of memory</b>." in summary.words()
    failed = [row for row in rows(shown, "standard: cells") if row[2].startswith("failed")]
    assert [row[:6] for row in failed] == [
        [THIRD, "52", "failed: RuntimeError: <b>out of memory</b>", "-", "0.900", "-"]
    ]


def test_what_records_say_is_text_and_never_markup(html: str, shown: Node) -> None:
    assert len(shown.find("script")) == 1
    assert "<b>" not in html
    assert HOSTILE in shown.text
    assert HOSTILE not in html


def test_nothing_is_loaded(html: str, shown: Node) -> None:
    for tag in ("link", "iframe", "object", "embed", "base", "video", "audio", "source"):
        assert shown.find(tag) == []
    images = shown.find("img")
    assert images
    assert all(node.attributes["src"].startswith("data:image/") for node in images)
    assert all(node.attributes["alt"] for node in images)
    assert all("src" not in node.attributes for node in shown.find("script"))
    assert not re.search(r"url\(|@import", shown.find("style")[0].text)
    assert "http:" not in html.replace("http-equiv", "")
    assert "https:" not in html


def test_the_policy_names_the_style_and_the_script_that_are_there(shown: Node) -> None:
    (policy,) = (node.attributes["content"] for node in shown.find("meta") if "http-equiv" in node.attributes)
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy


def test_every_cell_has_its_command(shown: Node) -> None:
    _, *cells = rows(shown, "standard: cells")
    assert len(cells) == 6
    for model, seed, *_, command in cells:
        name = model if seed == "51" else f"{model}-seed{seed}"
        assert f"'bench/test_training.py::test_training[{name}]'" in command


@pytest.mark.usefixtures("undrawn")
def test_every_setting_of_every_variant_is_there() -> None:
    raw, scaled = (
        record(study="input-scaling", variant=variant, protocol={"epochs": 3, "normalized": normalized})
        for variant, normalized in (("raw", []), ("normalized", ["rgb", "lidar"]))
    )
    shown = read(page([Run("a run", [raw, scaled], [], None)]))
    assert rows(shown, "input-scaling: every setting") == [
        ["setting", "raw", "normalized"],
        ["epochs", "3", "3"],
        ["normalized", "none", "rgb, lidar"],
    ]


@pytest.mark.usefixtures("undrawn")
def test_what_was_found_of_trained_models_stands_with_their_study() -> None:
    levels = CORRUPTIONS["rgb-noise"].levels
    probes = [
        ProbeRecord(
            started_at="2026-01-02T03:04:05+00:00", study="standard", variant="", model=MODEL, dataset="shapes",
            seed=51, profile="quick", device="cpu", benchmark="robustness", probe="rgb-noise", level=level,
            metric="accuracy", value=0.5, samples=100, weights_sha256="0", commit=None,
        )
        for level in levels
    ]  # fmt: skip
    shown = read(page([Run("a run", [record()], probes, None)]))
    (section,) = (node for node in shown.find("section") if node.attributes["aria-labelledby"] == "study-1")
    assert any("rgb-noise" in cell.words() for cell in section.find("th"))


@pytest.mark.usefixtures("undrawn")
def test_machines_that_differ_stand_side_by_side() -> None:
    here, there = ({"device_name": "a processor", "threads": n, "packages": {"torch": "2.0"}} for n in (1, 2))
    cells = [record(MODEL, environment=here), record(TWIN, environment=there), record(THIRD, environment=here)]
    shown = read(page([Run("a run", cells, [], None)]))
    assert rows(shown, "What the results may depend on beside code and data") == [
        ["setting", "machine 1", "machine 2"],
        ["device name", "a processor", "a processor"],
        ["threads", "1", "2"],
        ["torch", "2.0", "2.0"],
    ]


@pytest.mark.usefixtures("undrawn")
def test_cells_of_several_runs_say_which(html: str) -> None:
    shown = read(page([Run("first", [record(MODEL)], [], None), Run("second", [record(TWIN)], [], None)]))
    assert [row[-1] for row in rows(shown, "standard: cells")] == ["run", "first", "second"]
    assert '<th scope="col" data-kind="words">run</th>' not in html


def test_the_same_records_give_the_same_page(html: str) -> None:
    assert page([hand_made()]) == html


@pytest.mark.usefixtures("undrawn")
def test_a_cell_of_another_version_says_where_it_is() -> None:
    environment = record().environment | {"commit": "0123456789abcdef"}
    gone = record(study="standard", variant="gone", environment=environment)
    assert "check out commit 0123456789ab" in page([Run("a run", [gone], [], None)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run of two rows, with checkpoints."""
    made = tmp_path_factory.mktemp("run")
    config = run_config(made, replace(SMALL, pairs=40, epochs=1))
    dataset: PairedDataset = load("shapes", pairs=config.protocol.pairs)
    for model in (MODEL, TWIN):
        records.append(made / "records.jsonl", run(model, dataset, 51, config))
    return made


@pytest.mark.usefixtures("undrawn")
def test_a_run_with_checkpoints_shows_predictions(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(folder)]) == 0
    assert capsys.readouterr().out == f"written to {folder / 'report.html'}\n"
    shown = read((folder / "report.html").read_text(encoding="utf-8"))
    titles = [title.words() for title in shown.find("h4")]
    assert [title.split(":")[1].split(" of ")[0] for title in titles] == [
        " the lowest validation loss",
        " the highest validation loss",
    ]
    (gallery, _) = shown.find("ul", **{"class": "samples"})
    captions = [caption.words() for caption in gallery.find("figcaption")]
    assert len(captions) == 8
    assert len(gallery.find("img")) == 2 * 8
    verdicts = [caption.partition(":")[0] for caption in captions]
    assert verdicts == sorted(verdicts, reverse=True)  # the wrong ones first
    wrong = r"wrong: (cubes|spheres) \([01]\.\d{3}\), is (cubes|spheres) \w+/\d+"
    assert all(re.fullmatch(wrong, caption) for caption in captions if caption.startswith("wrong"))


def test_without_checkpoints_the_page_says_why_there_are_no_predictions(shown: Node) -> None:
    reasons = [text.words() for text in shown.find("p") if text.text.startswith("None:")]
    assert reasons == ["None: These records come without checkpoints; the folder of a run has them."] * 2


@pytest.mark.usefixtures("undrawn")
def test_the_committed_records_make_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "there" / "page.html"
    assert main(["report", "--out", str(path)]) == 0
    assert str(path) in capsys.readouterr().out
    studies = {record.study for record in baseline.read()}
    assert facts(read(path.read_text(encoding="utf-8")))["studies"] == str(len(studies))


@pytest.mark.usefixtures("undrawn")
def test_the_page_of_committed_records_goes_beside_the_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baseline, "ROOT", tmp_path)
    monkeypatch.setattr(baseline, "read", lambda: [record()])
    assert main(["report"]) == 0
    assert (tmp_path / "results" / "runs" / "report.html").is_file()
