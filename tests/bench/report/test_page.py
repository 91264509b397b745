import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from bench.analysis.claim_files import published_claims
from bench.analysis.ledger import ledger
from bench.records import CostRecord, Metric, RunRecord, append
from bench.records.reading import Run
from bench.report.page import page
from bench.tables.claims import claims_tables
from bench.tables.costs import cost_tables
from bench.tables.findings import verdict_counts
from bench.tables.tabulation import tables_by_study
from tests.bench.report.pages import HOSTILE, PIXEL, THIRD, Node, hand_made, inference, probe, read, rows, sample
from tests.bench.samples import MODEL, TWIN, record


def of_records(*records: RunRecord, name: str = "a run", folder: Path | None = None) -> Run:
    return Run(name, list(records), [], [], folder)


@pytest.fixture(scope="module")
def html() -> str:
    return page([hand_made()])


@pytest.fixture(scope="module")
def shown(html: str) -> Node:
    return read(html)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without plots, which take their time to draw."""
    monkeypatch.setattr("bench.plots.figures", lambda *_: {})


def facts(shown: Node) -> dict[str, str]:
    names, values = (shown.find(tag) for tag in ("dt", "dd"))
    return {name.words(): value.words() for name, value in zip(names, values, strict=True)}


def test_every_table_of_the_records_is_there_cell_by_cell(shown: Node) -> None:
    for tables in tables_by_study(hand_made().records).values():
        for table in tables:
            assert rows(shown, table.title) == [table.header, *(list(map(str.strip, row)) for row in table.rows)]


def test_the_summary_counts_what_there_is(shown: Node) -> None:
    summary = facts(shown)
    assert summary["cells"] == "6 completed, 1 failed"
    assert (summary["models"], summary["studies"], summary["seeds"]) == ("3", "2", "2: 51, 52")
    assert summary["data"] == f"2: shapes, {HOSTILE}"


def test_the_summary_links_to_every_study(shown: Node) -> None:
    links = shown.find("a")
    ids = {node.attributes["id"]: node for tag in ("main", "h2") for node in shown.find(tag)}
    assert {link.words() for link in links} >= {"standard", "fusion-compact"}
    for link in links:
        assert link.attributes["href"].removeprefix("#") in ids


def test_the_published_claims_are_there_where_a_study_decides_them(shown: Node) -> None:
    claims = ledger(hand_made().records, [], published_claims())
    of_claims = [row[:2] for table in claims_tables(claims) for row in rows(shown, table.title)[1:]]
    assert sorted(of_claims) == sorted(
        [entry.claim.text, entry.words] for entry in claims.entries if entry.conditions is not None
    )
    (summary,) = shown.find("section", **{"aria-labelledby": "summary"})
    assert verdict_counts(claims) in summary.words()
    (conditions,) = claims.conditions
    compared = rows(shown, f"{conditions.shared.dataset}, {conditions.protocol}, {conditions.device}")
    assert compared[0][2:] == [
        "estimand",
        "published difference",
        "n",
        "learned A, B",
        "test difference (95%)",
        "log ratio of losses (95%)",
        "P",
        "verdict",
        "as claimed",
    ]
    assert len(compared) == 1 + sum(len(entry.parts) for entry in claims.entries if entry.conditions)
    assert 'id="claims"' not in page([of_records(record())])


def test_failures_are_in_the_summary_and_among_the_cells(shown: Node) -> None:
    (summary,) = shown.find("section", **{"aria-labelledby": "summary"})
    assert f"{THIRD} (seed 52) failed: RuntimeError: <b>out of memory</b>." in summary.words()
    failed = [row for row in rows(shown, "standard: cells") if row[2].startswith("failed")]
    assert [row[:6] for row in failed] == [
        [THIRD, "52", "failed: RuntimeError: <b>out of memory</b>", "0.900", "-", "-"]
    ]


def test_each_model_has_its_confusion_matrix(shown: Node) -> None:
    caption = "{}: validation pairs by class (rows) and predicted class (columns), {}"
    two = rows(shown, caption.format(MODEL, "seeds 51, 52"))
    assert two == [
        ["class", "cubes", "spheres", "pairs", "right"],
        ["cubes", "90", "10", "100", "0.900"],
        ["spheres", "0", "100", "100", "1.000"],
    ]
    assert rows(shown, caption.format(THIRD, "seed 51"))[1] == ["cubes", "45", "5", "50", "0.900"]  # 52 failed
    ten = rows(shown, caption.format(TWIN, "seed 51"))
    assert ten[0][1:11] == [row[0] for row in ten[1:]]
    assert ten[1][1:4] == ["9", "8", "7"]
    assert ten[10] == [HOSTILE, *["0"] * 10, "0", "-"]


def test_the_mistakes_of_many_classes_are_listed() -> None:
    names = [f"{label} & co" for label in range(30)]
    counts = [[0] * 30 for _ in names]
    counts[2][2], counts[2][7], counts[2][3] = 1, 2, 1
    found = read(page([of_records(record(classes=30, class_names=names, valid_confusion=counts))]))
    listed = rows(found, f"{MODEL}: validation pairs by class, seed 51")
    assert listed[0] == ["class", "pairs", "right", "most often predicted instead"]
    assert len(listed) == 31
    assert listed[1] == ["0 & co", "0", "-", ""]
    assert listed[3] == ["2 & co", "4", "0.250", "7 & co (2), 3 & co (1)"]
    assert "The right ones are bold" not in found.words()
    assert "the most frequent mistakes are listed" in found.words()


def test_the_cells_of_a_confusion_matrix_are_shaded_by_their_share(shown: Node) -> None:
    table, *_ = shown.find("table", **{"class": "confusion"})
    cells = [[cell.attributes["class"] for cell in row.find("td")][:2] for row in table.find("tr")[1:]]
    assert cells == [["number share-5", "number share-1"], ["number share-0", "number share-5"]]
    assert [cell.words() for cell in table.find("strong")] == ["90", "100"]
    assert {cell.attributes["scope"] for cell in table.find("th")} == {"row", "col"}


def test_records_without_counts_have_no_confusion_matrix() -> None:
    assert "Confusion" not in page([of_records(record())])


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
        assert command.startswith(f"pytest '{model}' --seeds {seed},")
        assert command.endswith("the commit is unknown")
    (_, (*_, without)) = rows(shown, "fusion-compact: cells")
    assert without.startswith("not run by a command; ")


@pytest.mark.usefixtures("undrawn")
def test_every_setting_of_every_variant_is_there() -> None:
    raw, scaled = (
        record(study="input-scaling", variant=variant, protocol={"epochs": 3, "normalized": normalized})
        for variant, normalized in (("raw", []), ("normalized", ["rgb", "lidar"]))
    )
    shown = read(page([of_records(raw, scaled)]))
    assert rows(shown, "input-scaling: every setting") == [
        ["setting", "raw", "normalized"],
        ["epochs", "3", "3"],
        ["normalized", "none", "rgb, lidar"],
    ]


@pytest.mark.usefixtures("undrawn")
def test_probes_of_trained_models_are_shown_with_their_study() -> None:
    probes = [probe(MODEL, level=level) for level in (0.0, 0.1, 0.2)]
    shown = read(page([Run("a run", [record()], probes, [], None)]))
    (section,) = (node for node in shown.find("section") if node.attributes["aria-labelledby"] == "study-1")
    assert any("rgb-noise" in cell.words() for cell in section.find("th"))


@pytest.mark.usefixtures("undrawn")
def test_costs_have_a_section_of_their_own() -> None:
    costs: list[CostRecord] = [inference(MODEL), inference(TWIN)]
    shown = read(page([Run("a run", [record()], [], costs, None)]))
    (section,) = (node for node in shown.find("section") if node.attributes["aria-labelledby"] == "costs")
    assert len(section.find("table")) == len(cost_tables(costs)) == 1
    assert all(model in section.words() for model in (MODEL, TWIN))
    alone = read(page([Run("a run", [], [], costs, None)]))
    assert facts(alone) == {"profile": "quick", "device": "a processor"}
    assert 'id="costs"' not in page([of_records(record())])


@pytest.mark.usefixtures("undrawn")
def test_machines_that_differ_stand_side_by_side() -> None:
    here, there = (
        {"device_name": "a processor", "threads": n, "cudnn": 92_400, "packages": {"torch": "2.0"}} for n in (1, 2)
    )
    cells = [record(MODEL, environment=here), record(TWIN, environment=there), record(THIRD, environment=here)]
    shown = read(page([of_records(*cells)]))
    assert rows(shown, "What the results may depend on besides code and data") == [
        ["setting", "machine 1", "machine 2"],
        ["device name", "a processor", "a processor"],
        ["threads", "1", "2"],
        ["cudnn", "92400", "92400"],
        ["torch", "2.0", "2.0"],
    ]


@pytest.mark.usefixtures("undrawn")
def test_cells_of_several_runs_say_which(html: str) -> None:
    runs = [of_records(record(MODEL), name="first"), of_records(record(TWIN), name="second")]
    shown = read(page(runs))
    assert [row[-1] for row in rows(shown, "standard: cells")] == ["run", "first", "second"]
    assert '<th scope="col" data-kind="words">run</th>' not in html


def test_the_same_records_give_the_same_page(html: str) -> None:
    assert page([hand_made()]) == html


@pytest.mark.usefixtures("undrawn")
def test_the_question_of_the_records_is_shown() -> None:
    assert "What is unknown?" in page([of_records(record(study="gone", question="What is unknown?"))])


@pytest.mark.usefixtures("undrawn")
def test_the_metric_of_a_plugin_is_shown() -> None:
    brier = Metric(name="brier", title="Brier score", higher_is_better=False, decimals=4)
    shown = read(page([of_records(record(metrics=[brier], valid_metrics={"loss": 0.25, "brier": 0.125}))]))
    header, cell = rows(shown, "standard: cells")
    assert cell[header.index("valid Brier score")] == "0.1250"


@pytest.mark.parametrize(
    "changes",
    [
        {"study": "gone", "variant": "gone", "profile": "gone", "device": "tpu"},
        {
            "model": "my-model",
            "family": "mine",
            "stage": "",
            "operator": "",
            "embedder": "blur",
            "dataset": "mine",
        },
        {"modalities": ["thermal", "radar", "sonar"], "channels": None, "image_size": None},
        {"valid_metrics": {"top_5": 0.5}, "metrics": []},
        {"environment": {}, "protocol": {"epochs": 3, "temperature": 2.0}},
        {"status": "failed", "error": None, "best_valid_loss": None, "valid_accuracy": None, "environment": {}},
        {"status": "diverged", "error": "not finite", "valid_losses": [None], "valid_metrics": None},
        {"train_pairs": None, "valid_pairs": None, "parameters": None, "epoch_seconds": [], "train_seconds": None},
    ],
    ids=["study", "model", "modality", "metric", "environment", "failed", "diverged", "incomplete"],
)
@pytest.mark.usefixtures("undrawn")
def test_a_record_of_unknown_things_gives_a_page(changes: dict[str, Any]) -> None:
    known = [record(MODEL, seed=seed) for seed in (51, 52)]
    unknown = [replace(run, **changes) for run in known]
    for records in (unknown, [*known, *unknown]):
        shown = read(page([of_records(*records)]))
        assert str(changes.get("model", MODEL)) in shown.words()


@pytest.mark.usefixtures("undrawn")
def test_the_page_of_a_run_shows_its_sample_predictions(tmp_path: Path) -> None:
    run = record(modalities=["rgb", "lidar", "thermal"])
    (tmp_path / "samples").mkdir()
    pictures = dict.fromkeys(("rgb", "lidar", "thermal"), PIXEL)
    for prediction in (
        sample("first", "spheres", pictures=pictures),
        sample(HOSTILE, pictures={HOSTILE: 'x" onerror="alert(1)'}),
    ):
        append(tmp_path / "samples" / f"{Path(str(run.checkpoint)).stem}.jsonl", prediction)
    html = page([of_records(run, folder=tmp_path)])
    shown = read(html)
    assert [title.words() for title in shown.find("h4")] == [
        f"{MODEL}, seed 51: the only validation loss of this seed, 0.2500"
    ]
    assert "one picture per modality (from left to right: rgb, lidar, thermal; ranges" in shown.words()
    (gallery,) = shown.find("ul", **{"class": "samples"})
    wrong, right = gallery.find("li")
    assert wrong.attributes["class"] == "mistake"
    assert wrong.words() == "wrong: spheres (0.750), is cubes first"
    assert right.words() == f"right: cubes (0.750) {HOSTILE}"
    assert [image.attributes["alt"] for image in wrong.find("img")] == [
        "rgb of first", "lidar of first", "thermal of first"
    ]  # fmt: skip
    assert wrong.find("img")[2].attributes["src"] == f"data:image/png;base64,{PIXEL}"
    assert list(right.find("img")[0].attributes) == ["src", "alt"]


def test_without_samples_the_page_has_the_reason(shown: Node) -> None:
    reason = "These records come without sample predictions; the folder of a run has them."
    assert [text.words() for text in shown.find("p")].count(reason) == 2
