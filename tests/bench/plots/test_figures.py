"""Of all figures: names, files, captions, and styles that stay distinct."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from msgspec.structs import replace
from PIL import Image

from bench.plots import FIGURES, figures, image, write_figures
from bench.plots.style import label_log_scale, looks, sheet, short
from bench.records import FAILED
from tests.bench.plots.reading import legend
from tests.bench.samples import MODEL, TWIN, record
from tests.bench.tables.samples import EMBEDDERS, embedded, foreign

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


def test_captions_tell_what_figures_were_obtained_under() -> None:
    of_one_seed = figures(RECORDS)
    of_two_seeds = figures([*RECORDS, *(replace(run, seed=52) for run in RECORDS)])
    assert [*of_one_seed, "seeds"] == list(of_two_seeds) == list(FIGURES)
    for name in of_one_seed:
        caption = of_one_seed[name].get_supxlabel()
        assert "one seed" in caption
        for fact in ("shapes, 2 classes, 400 training pairs", "profile: quick", "(n = 1)", "device: a processor"):
            assert fact in caption
        caption = of_two_seeds[name].get_supxlabel()
        assert "one seed" not in caption
        assert "(n = 2)" in caption


def test_the_same_records_give_the_same_files(tmp_path: Path) -> None:
    written = write_figures(RECORDS, tmp_path / "a")
    again = write_figures(RECORDS, tmp_path / "b")
    of_one_seed = [name for name in FIGURES if name != "seeds"]
    assert [path.name for path in written] == [f"{name}.{kind}" for name in of_one_seed for kind in ("png", "svg")]
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


def test_nothing_is_cut_off_at_the_edge() -> None:
    runs = [
        replace(
            run,
            model=run.model.replace("maxpool", embedder),
            embedder=embedder,
            valid_accuracy=0.9 - place / 100,
            parameters=int(10 ** (4 + place / 3)),
            peak_memory_bytes=10 ** (6 + place),
            epoch_seconds=[10.0**-place],
        )
        for run in (RECORDS[0], RECORDS[2])
        for place, embedder in enumerate((*EMBEDDERS, "a name of more than forty characters in all"))
    ]
    for name, figure in figures(runs).items():
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())
        for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
            assert edge.min() == 255, name


def test_a_legend_is_read_row_by_row_and_wide_labels_have_rows_of_their_own() -> None:
    names = [f"label {i}" for i in range(13)]
    wide = ["a label that takes half of the width of a figure", "another label that takes half of the width"]
    groups = [[Line2D([], [], label=name) for name in group] for group in (names, wide)]
    figure = _titled(groups)
    assert legend(figure) == [*names, *wide]
    assert figure.get_figheight() < _titled(groups[:1]).get_figheight() + 0.25
    (row,) = _titled([groups[0][:2], groups[0][2:4]]).legends
    assert len(row.get_texts()) == 4  # there is room for both groups


def _titled(handles: Sequence[Sequence[Line2D]]) -> Figure:
    return sheet([""], columns=1, height_in=1, title="a title", handles=handles, notes=[])[0]


@pytest.mark.parametrize(
    ("limits", "numbers"),
    [
        ((900, 2e6), ["1000", "10 k", "100 k", "1 M"]),
        ((6e4, 4e5), ["70 k", "100 k", "150 k", "200 k", "300 k", "400 k"]),
        ((0.5, 4), ["0.5", "0.7", "1", "1.5", "2", "3", "4"]),
    ],
)
def test_large_numbers_of_a_log_scale_are_in_thousands_or_millions(
    limits: tuple[float, float], numbers: list[str]
) -> None:
    panel = Figure().subplots()
    panel.set(xscale="log", xlim=limits)
    label_log_scale(panel.xaxis)
    texts = [text.get_text().replace("\N{NO-BREAK SPACE}", " ") for text in panel.get_xticklabels()]
    assert texts == numbers


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
