"""Of all figures: names, files, captions, and that no two series look alike without colors."""

from pathlib import Path

import pytest
from PIL import Image

from bench.plots import FIGURES, figures, write_figures
from bench.plots.style import EMBEDDERS, FAMILIES
from bench.records.run import FAILED
from fusion_models import EMBEDDERS as ALL_EMBEDDERS
from fusion_models import MODELS
from tests.bench.samples import MODEL, TWIN, record

RECORDS = [record(TWIN), record(MODEL)]


def test_figures_are_called_like_tables() -> None:
    other = record(study="input-scaling", variant="raw")
    assert list(figures([*RECORDS, other])) == [
        "curves",
        "cost",
        "downsampling",
        "input-scaling-curves",
        "input-scaling-cost",
    ]


def test_of_unfinished_runs_nothing_is_drawn(tmp_path: Path) -> None:
    assert write_figures([record(status=FAILED)], tmp_path / "plots") == []
    assert not (tmp_path / "plots").exists()


@pytest.mark.parametrize("name", FIGURES)
def test_a_caption_says_what_the_figure_was_obtained_under(name: str) -> None:
    caption = figures(RECORDS)[name].get_supxlabel()
    assert "one seed" in caption
    for fact in ("shapes, 2 classes, 400 training pairs", "profile: quick", "(n = 1)", "device: a processor"):
        assert fact in caption
    again = [record(TWIN, seed=52), record(MODEL, seed=52)]
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
        with Image.open(path) as image:
            assert image.width == 1350  # 9 inches


def test_series_differ_without_their_colors() -> None:
    assert EMBEDDERS.keys() == ALL_EMBEDDERS.keys()
    assert FAMILIES.keys() == {spec.family for spec in MODELS.values()}
    assert len({look.line for look in EMBEDDERS.values()}) == len(EMBEDDERS)
    for looks in (EMBEDDERS, FAMILIES):
        assert len({look.marker for look in looks.values()}) == len(looks)
