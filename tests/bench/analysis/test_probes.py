from math import isnan
from typing import Any

import pytest

from bench.analysis.probes import describe_probes, features_frame, robustness_curves, robustness_frame
from tests.bench.analysis.samples import LEVELS, curve
from tests.bench.probes.samples import probe_record


def test_a_row_holds_a_curve_in_numbers() -> None:
    frame = robustness_frame([*curve("late", [0.9, 0.9, 0.9, 0.5]), *curve("early", [0.8, 0.8, 0.8, 0.8])])
    late, early = frame.iloc[0], frame.iloc[1]
    assert (late.model, late.seed, late.corruption) == ("wide-late-concat-strided", 51, "dropped-returns")
    assert (late.clean, late.worst, late.highest, late.unit) == (0.9, 0.5, 1.0, "share")
    assert late.relative == pytest.approx(0.9 * 0.9 + 0.1 * 0.7)
    assert (late.effective, early.relative) == (0, pytest.approx(0.8))
    assert early.effective == pytest.approx(0.1 * 0.2)  # late fusion lost 0 to 0.4 over the last tenth


@pytest.mark.parametrize(
    "other", [{"family": "deep"}, {"embedder": "maxpool"}, {"variant": "raw"}, {"seed": 52}, {"probe": "fog"}]
)
def test_late_fusion_is_that_of_the_same_family_embedder_variant_seed_and_corruption(
    other: dict[str, Any],
) -> None:
    frame = robustness_frame([*curve("late", [0.9] * 4, **other), *curve("early", [0.8] * 4)])
    assert frame.effective.isna().tolist() == [False, True]


def test_levels_are_those_that_any_record_of_the_corruption_has() -> None:
    whole, cut = curve("late", [0.9] * 4), curve("early", [0.9] * 3)
    assert set(robustness_curves([*whole, *cut]).model) == {"wide-late-concat-strided"}
    assert robustness_curves(cut).level.tolist() == [0.0, 0.5, 0.9]
    assert robustness_curves(cut[:1]).empty  # one level is not a curve


def test_a_curve_rises_and_a_repeated_value_counts_once() -> None:
    curves = robustness_curves([*reversed(curve("late", [0.9] * 4)), *curve("late", [0.7, 0.6, 0.5, 0.4])])
    assert curves.level.tolist() == list(LEVELS)
    assert curves.accuracy.tolist() == [0.7, 0.6, 0.5, 0.4]


def test_a_custom_model_is_shown_without_late_fusion() -> None:
    frame = robustness_frame(curve("custom", [0.9] * 4, model="mine", family="", embedder="", probe="meteors"))
    assert frame[["model", "corruption"]].to_numpy().tolist() == [["mine", "meteors"]]
    assert isnan(frame.effective[0])


def test_features_are_named_in_words_and_unknown_ones_by_their_record() -> None:
    feature: dict[str, Any] = {"benchmark": "features", "level": None, "level_unit": "", "metric": "share"}
    frame = features_frame(
        [
            probe_record(**{**feature, "probe": "zero-gradients", "layer": "trunk.0.0"}),
            probe_record(**{**feature, "probe": "shift-consistency", "level": 2.0, "level_unit": "px"}),
            probe_record(**{**feature, "probe": "spectrum", "metric": "power", "unit": "dB", "layer": "trunk"}),
            probe_record(**{**feature, "probe": "spectrum", "level": 0.5, "level_unit": "m"}),
        ]
    )
    assert frame.measure.tolist() == [
        "zero gradients, trunk.0.0",
        "same answer under two shifts up to 2 px",
        "spectrum power (dB), trunk",
        "spectrum share at 0.5 m",
    ]


def test_conditions_count_the_seeds() -> None:
    assert describe_probes([probe_record(), probe_record(seed=52, samples=400)]) == [
        "data: shapes-hard, up to 500 pairs per value",
        "profile: full, seeds: 51, 52 (n = 2)",
        "device: cpu",
    ]
