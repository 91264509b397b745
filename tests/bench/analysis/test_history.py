from typing import Any

import pytest
from msgspec.structs import replace

from bench.analysis.history import Entry, history
from bench.records import DIVERGED, RecordError
from tests.bench.analysis.samples import BRIER, foreign
from tests.bench.samples import MODEL, TWIN, record

SERIES = 4


def environment(**changes: Any) -> dict[str, Any]:
    return {**record().environment, "commit": "abc", **changes}


def named(entries: list[Entry]) -> dict[str, Entry]:
    by_name = {str(entry["name"]): entry for entry in entries}
    assert len(by_name) == len(entries), "names are places in a history and must differ"
    return by_name


def test_a_model_has_a_loss_an_error_rate_a_median_time_and_memory() -> None:
    made = named(history([record(environment=environment())]))
    assert {name: (entry["value"], entry["unit"]) for name, entry in made.items()} == {
        f"standard/shapes/{MODEL} validation loss": (0.25, "nats"),
        f"standard/shapes/{MODEL} error rate": (pytest.approx(10), "%"),
        f"standard/shapes/{MODEL} epoch time": (2.0, "s"),
        f"standard/shapes/{MODEL} peak memory": (40.0, "MB"),
    }
    for entry in made.values():
        assert set(entry) == {"name", "unit", "value", "extra"}
        assert entry["extra"] == "profile: quick\ndevice: a processor\nseeds: 51\ncommit: abc"


def test_seeds_are_averaged_and_show_their_range() -> None:
    both = [record(environment=environment(), best_valid_loss=0.25)]
    both.append(record(environment=environment(), seed=52, best_valid_loss=0.75))
    loss = named(history(both))[f"standard/shapes/{MODEL} validation loss"]
    assert (loss["value"], loss["range"]) == (0.5, "0.25 to 0.75")
    assert str(loss["extra"]).splitlines()[2] == "seeds: 51, 52"


def test_every_series_is_better_when_it_is_smaller() -> None:
    better = record(
        best_valid_loss=0.125, valid_accuracy=0.95, epoch_seconds=[1.0, 1.0, 1.0], peak_memory_bytes=30_000_000
    )
    pairs = list(zip(history([better]), history([record()]), strict=True))
    assert [a["value"] < b["value"] for a, b in pairs] == [True] * SERIES  # type: ignore[operator]


@pytest.mark.parametrize(
    ("changes", "name", "value", "unit"),
    [
        ({}, "valid Brier score", 0.2, ""),
        ({"history": "Brier"}, "Brier", 0.2, ""),
        ({"higher_is_better": True}, "100% - valid Brier score", 80, "%"),
        ({"higher_is_better": True, "history": "faults"}, "faults", 80, "%"),
        ({"higher_is_better": True, "unit": "dB", "scale": 0.1}, "negative valid Brier score", -2, "dB"),
        ({"title": "Brier score (%)", "scale": 0.01}, "valid Brier score", 20, "%"),
    ],
)
def test_the_metric_of_a_plug_in_has_a_series(changes: dict[str, Any], name: str, value: float, unit: str) -> None:
    made = named(history([foreign(0.2, replace(BRIER, **changes))]))
    assert len(made) == SERIES + 1
    entry = made[f"my-study/my-data/mine-late-gated-blur {name}"]
    assert entry["value"] == pytest.approx(value)
    assert entry["unit"] == unit
    assert entry["extra"] == "profile: overnight\ndevice: unknown\nseeds: 51\ncommit: None"


@pytest.mark.parametrize("changes", [{"higher_is_better": None}, {"shown": False}])
def test_a_metric_without_a_direction_or_a_column_has_no_series(changes: dict[str, Any]) -> None:
    assert len(history([foreign(0.2, replace(BRIER, **changes))])) == SERIES


def test_names_tell_variants_data_and_studies_apart_whatever_else_was_run() -> None:
    several = [
        record(),
        record(TWIN),
        record(dataset="shapes-hard"),
        record(study="input-scaling", variant="raw"),
    ]
    together = named(history(several))
    assert len(together) == len(several) * SERIES
    assert f"input-scaling/raw/shapes/{MODEL} epoch time" in together
    for alone in several:
        assert named(history([alone])).items() <= together.items()


def test_of_several_records_of_a_cell_the_last_counts_and_unfinished_ones_do_not() -> None:
    first, last = (record(best_valid_loss=loss) for loss in (0.5, 0.25))
    diverged = record(TWIN, status=DIVERGED, best_valid_loss=None)
    assert history([first, diverged, last]) == history([last])


@pytest.mark.parametrize("other", [{"profile": "full"}, {"environment": environment(device_name="another")}])
def test_what_has_no_history_in_common_is_refused(other: dict[str, Any]) -> None:
    with pytest.raises(RecordError, match="one profile on one device are needed, not of several"):
        history([record(), record(TWIN, **other)])
    with pytest.raises(RecordError, match="the run has none"):
        history([])
