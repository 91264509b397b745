from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from bench.plots import write_figures
from bench.plots.robustness import CROWD, robustness
from bench.records import ProbeRecord
from tests.bench.plots.reading import legend
from tests.bench.probes.samples import probe_record
from tests.bench.tables.samples import EMBEDDERS, made

LEVELS = (0.0, 0.25, 0.5, 1.0)
STRATEGIES = [f"wide-{operator}" for operator in ("late", "early", "add", "hadamard", "matmul")]


def curve(strategy: str, embedder: str, probe: str, top: float = 0.9, seed: int = 51) -> list[ProbeRecord]:
    """Falls by 0.1 per level."""
    return [
        probe_record(
            f"{strategy}-{embedder}".strip("-"),
            embedder=embedder,
            probe=probe,
            level=level,
            level_unit="m",
            value=top - place / 10,
            seed=seed,
        )
        for place, level in enumerate(LEVELS)
    ]


def drawn(probes: list[ProbeRecord]) -> Figure:
    return made(robustness(probes))


def test_there_is_one_panel_per_corruption_and_one_line_per_model() -> None:
    corruptions = ("range-noise", "meteors")
    probes = [
        value
        for corruption in corruptions
        for strategy in STRATEGIES
        for embedder in EMBEDDERS
        for value in curve(strategy, embedder, corruption)
    ]
    figure = drawn(probes)
    assert [panel.get_title("left") for panel in figure.axes] == list(corruptions)
    assert [panel.get_xlabel() for panel in figure.axes] == ["m", "m"]
    for panel in figure.axes:
        dashes = [str(line._dash_pattern) for line in panel.lines]  # type: ignore[attr-defined]
        looks = {(str(line.get_marker()), dash) for line, dash in zip(panel.lines, dashes, strict=True)}
        assert len(looks) == len(panel.lines) == 45  # told apart without colors


def test_a_line_is_the_mean_over_seeds_in_a_band_of_all_of_them() -> None:
    probes = [*curve("wide-late", "strided", "fog"), *curve("wide-late", "strided", "fog", 0.7, seed=52)]
    (panel,) = drawn(probes).axes
    (line,) = panel.lines
    assert np.asarray(line.get_xdata()).tolist() == list(LEVELS)
    assert np.asarray(line.get_ydata()).tolist() == pytest.approx([0.8, 0.7, 0.6, 0.5])
    (outline,) = panel.collections[0].get_paths()
    heights = np.asarray(outline.vertices)[:, 1]
    assert (heights.max(), heights.min()) == pytest.approx((0.9, 0.4))
    (alone,) = drawn(probes[:4]).axes
    assert not any(len(band.get_paths()) for band in alone.collections)


def test_a_crowd_of_models_has_no_bands() -> None:
    probes = [
        value
        for seed in (51, 52)
        for number in range(CROWD + 1)
        for value in curve(f"family{number}", "strided", "fog", seed=seed)
    ]
    assert not any(len(band.get_paths()) for band in drawn(probes).axes[0].collections)
    assert "bands" not in drawn(probes).get_supxlabel()


def test_the_legend_names_strategies_and_embedders_and_the_caption_the_conditions() -> None:
    figure = drawn([*curve("wide-late", "maxpool", "fog"), *curve("mine", "", "fog")])
    assert legend(figure) == ["wide-late", "mine", "maxpool", "without embedder"]
    assert "one seed: no bands\ndata: shapes-hard, up to 500 pairs" in figure.get_supxlabel()


def test_incomplete_curves_are_not_drawn() -> None:
    assert robustness([]) is None
    assert robustness(curve("wide-late", "strided", "fog")[:1]) is None
    other = curve("wide-early", "strided", "fog")
    assert len(drawn([*other, *curve("wide-late", "strided", "fog")[:3]]).axes[0].lines) == 1


def test_the_figure_is_written_beside_the_others(tmp_path: Path) -> None:
    written = write_figures([], tmp_path, curve("wide-late", "strided", "fog"))
    assert [path.name for path in written] == ["robustness-robustness.png", "robustness-robustness.svg"]
