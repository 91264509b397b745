"""Of all figures: names, files, captions, and styles that stay distinct."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from PIL import Image

from bench.plots import FIGURES, figures, image, write_figures
from bench.plots.style import looks, short
from bench.records import FAILED
from tests.bench.samples import MODEL, TWIN, record
from tests.bench.tables.samples import embedded, foreign

OTHERS = ("compact-intermediate-concat-maxpool", "compact-intermediate-concat-strided")
RECORDS = [record(model) for model in (TWIN, MODEL, *OTHERS)]


def test_figures_are_called_like_tables() -> None:
    other = record(study="input-scaling", variant="raw")
    assert list(figures([*RECORDS, other])) == [
        "curves",
        "cost",
        "downsampling",
        "strategies",
        "input-scaling-curves",
        "input-scaling-cost",
    ]


def test_of_unfinished_runs_nothing_is_drawn(tmp_path: Path) -> None:
    assert write_figures([record(status=FAILED)], tmp_path / "plots") == []
    assert not (tmp_path / "plots").exists()


@pytest.mark.parametrize("name", FIGURES)
def test_a_caption_tells_what_the_figure_was_obtained_under(name: str) -> None:
    caption = figures(RECORDS)[name].get_supxlabel()
    assert "one seed" in caption
    for fact in ("shapes, 2 classes, 400 training pairs", "profile: quick", "(n = 1)", "device: a processor"):
        assert fact in caption
    again = [replace(run, seed=52) for run in RECORDS]
    caption = figures([*RECORDS, *again])[name].get_supxlabel()
    assert "one seed" not in caption
    assert "(n = 2)" in caption


def test_the_same_records_give_the_same_files(tmp_path: Path) -> None:
    written = write_figures(RECORDS, tmp_path / "a")
    again = write_figures(RECORDS, tmp_path / "b")
    assert [path.name for path in written] == [f"{name}.{kind}" for name in FIGURES for kind in ("png", "svg")]
    for first, second in zip(written, again, strict=True):
        assert first.read_bytes() == second.read_bytes()
    for path in written[::2]:
        with Image.open(path) as picture:
            assert picture.width == 1350  # 9 inches


def test_the_text_of_an_svg_can_be_searched() -> None:
    assert b">standard: accuracy against cost<" in image(figures(RECORDS)["cost"], "svg")


@pytest.mark.parametrize("count", [9, 13])
def test_looks_differ_without_their_colors(count: int) -> None:
    names = [f"name {i}" for i in range(count)]
    shapes = looks([*names, *names]).values()
    assert len(shapes) == len({(look.color, str(look.line), look.marker) for look in shapes}) == count
    assert len({look.marker for look in shapes}) == count
    assert count > 9 or len({str(look.line) for look in shapes}) == count


def test_a_long_name_keeps_its_beginning_and_its_end() -> None:
    assert short("compact-late-concat") == "compact-late-concat"
    assert short(f"a{'n' * 100}z") == f"a{'n' * 29}…{'n' * 29}z"


UNKNOWN = {
    "model": foreign("mine", family="", stage="", operator="", embedder="", modalities=["sonar"]),
    "study": embedded("none-of-ours", study="unheard-of", environment={}, protocol={}),
    "incomplete": record(parameters=None, peak_memory_bytes=None, epoch_seconds=[], valid_losses=[], classes=1),
    "metric": record(valid_metrics={"undeclared": 1.0}, reference="none"),
    "dollars": foreign(
        r"no $_{}\\ mathematics$", study="a $_{}$", embedder=r"$\frac$", family=r"$\x$", modalities=["$_"]
    ),
}


@pytest.mark.parametrize("unknown", UNKNOWN)
def test_any_record_can_be_drawn_alone(unknown: str, tmp_path: Path) -> None:
    write_figures([UNKNOWN[unknown]], tmp_path)


def test_any_records_can_be_drawn_beside_others(tmp_path: Path) -> None:
    assert write_figures([*RECORDS, *UNKNOWN.values()], tmp_path)
