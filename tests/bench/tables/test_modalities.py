from typing import Any

from bench.records import FAILED, RunRecord
from bench.tables.modalities import modalities_table
from tests.bench.samples import record
from tests.bench.tables.samples import foreign, made

FUSION, RGB, LIDAR = "wide-early-concat-maxpool", "wide-rgb-maxpool", "wide-lidar-maxpool"


def runs(model: str, *accuracies: float) -> list[RunRecord]:
    return [record(model, seed=51 + i, valid_accuracy=accuracy) for i, accuracy in enumerate(accuracies)]


def test_a_fusion_stands_beside_its_best_modality() -> None:
    table = made(modalities_table([*runs(RGB, 0.5), *runs(LIDAR, 0.75), *runs(FUSION, 0.875)]))
    assert table.header == ["model", "seeds", "valid accuracy", "alone", "its accuracy", "gain"]
    assert table.rows == [[FUSION, "1", "0.875", "lidar", "0.750", "+0.125"]]


def test_the_best_modality_is_the_best_on_average_and_not_for_each_seed() -> None:
    # Taking the better one of each seed would make a baseline of (0.9 + 0.8) / 2, which is no model.
    table = made(modalities_table([*runs(RGB, 0.9, 0.6), *runs(LIDAR, 0.6, 0.8), *runs(FUSION, 0.9, 0.7)]))
    (row,) = table.data.to_dict("records")
    assert (row["baseline"], row["baseline_accuracy"], row["seeds"]) == ("rgb", 0.75, 2)
    assert round(row["gain"], 12) == 0.05  # 0.0 and 0.1


def test_only_shared_seeds_count() -> None:
    table = made(modalities_table([*runs(RGB, 0.5, 0.5), *runs(LIDAR, 0.75, 0.75), *runs(FUSION, 1.0)]))
    assert table.rows[0][1:] == ["1", "1.000", "lidar", "0.750", "+0.250"]


def test_six_seeds_decide() -> None:
    table = made(
        modalities_table(
            [*runs(RGB, *[0.5] * 6), *runs(LIDAR, *[0.75] * 6), *runs(FUSION, 0.9, 0.91, 0.92, 0.9, 0.9, 0.9)]
        )
    )
    assert table.marked == {(0, 2)}
    worse = made(
        modalities_table(
            [*runs(RGB, *[0.5] * 6), *runs(LIDAR, *[0.75] * 6), *runs(FUSION, 0.7, 0.71, 0.72, 0.7, 0.7, 0.7)]
        )
    )
    assert worse.marked == {(0, 4)}


def test_marks_are_adjusted_for_the_number_of_fusions() -> None:
    better = (
        0.9,
        0.91,
        0.92,
        0.9,
        0.9,
        0.9,
    )  # in all of six seeds: p = 2 / 2**6 = 0.03 for one fusion, 0.06 for two
    singles = [*runs(RGB, *[0.5] * 6), *runs(LIDAR, *[0.75] * 6)]
    fusions = [*runs(FUSION, *better), *runs("wide-late-concat-maxpool", *better)]
    table = made(modalities_table([*singles, *fusions]))
    assert len(table.rows) == 2
    assert not table.marked


def test_without_every_modality_alone_there_is_nothing_to_compare_with() -> None:
    other_family = runs("experts-lidar-maxpool", 0.75)
    other_embedder = runs("wide-lidar-strided", 0.75)
    failed = [record(LIDAR, status=FAILED)]
    for second in ([], other_family, other_embedder, failed):
        assert modalities_table([*runs(RGB, 0.5), *second, *runs(FUSION, 0.875)]) is None
    assert modalities_table([*runs(RGB, 0.5), *runs(LIDAR, 0.5)]) is None


def backbone(name: str, *modalities: str, **changes: Any) -> RunRecord:
    """A model of a plug-in's backbone, which has no embedder."""
    parts = {"family": "tower", "embedder": "", "stage": "of their own", "modalities": list(modalities)}
    return foreign(name, **{**parts, **changes})


def test_any_number_of_modalities_is_compared() -> None:
    table = made(
        modalities_table(
            [
                backbone("tower-rgb", "rgb", valid_accuracy=0.5),
                backbone("tower-depth", "depth", valid_accuracy=0.75),
                backbone("tower-thermal", "thermal", valid_accuracy=0.625),
                backbone("tower-late", "rgb", "depth", "thermal", valid_accuracy=0.875),
                backbone("tower-rgb+thermal", "rgb", "thermal", valid_accuracy=0.75),
                backbone("mine", "rgb", "sonar"),
            ]
        )
    )
    assert table.rows == [
        ["tower-late", "1", "0.875", "depth", "0.750", "+0.125"],
        ["tower-rgb+thermal", "1", "0.750", "thermal", "0.625", "+0.125"],
    ]


def test_of_several_models_of_a_modality_the_first_counts() -> None:
    singles = [backbone("first", "rgb", valid_accuracy=0.5), backbone("second", "rgb", valid_accuracy=0.75)]
    table = made(
        modalities_table(
            [*singles, backbone("depth", "depth", valid_accuracy=0.25), backbone("mine", "rgb", "depth")]
        )
    )
    assert table.rows[0][3:5] == ["rgb", "0.500"]


def test_variants_are_not_mixed() -> None:
    singles = [backbone("rgb", "rgb", variant="raw"), backbone("depth", "depth")]
    assert modalities_table([*singles, backbone("mine", "rgb", "depth")]) is None
