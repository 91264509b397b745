import json
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import main
from bench.analysis.history import FIGURES, Entry, history
from bench.records import run as records
from bench.records.run import DIVERGED, RecordError
from tests.bench.samples import MODEL, TWIN, record


def environment(**changes: Any) -> dict[str, Any]:
    return {**record().environment, "commit": "abc", **changes}


def named(entries: list[Entry]) -> dict[str, Entry]:
    found = {str(entry["name"]): entry for entry in entries}
    assert len(found) == len(entries), "names are places in a history and must differ"
    return found


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


def test_every_figure_is_better_when_it_is_smaller() -> None:
    better = record(
        environment=environment(),
        best_valid_loss=0.125,
        valid_accuracy=0.95,
        epoch_seconds=[1.0, 1.0, 1.0],
        peak_memory_bytes=30_000_000,
    )
    pairs = zip(history([better]), history([record(environment=environment())]), strict=True)
    assert [a["value"] < b["value"] for a, b in pairs] == [True] * len(FIGURES)  # type: ignore[operator]


def test_names_tell_variants_data_and_studies_apart_whatever_else_was_run() -> None:
    several = [
        record(environment=environment()),
        record(TWIN, environment=environment()),
        record(environment=environment(), dataset="shapes-hard"),
        record(environment=environment(), study="input-scaling", variant="raw"),
    ]
    together = named(history(several))
    assert len(together) == len(several) * len(FIGURES)
    assert f"input-scaling/raw/shapes/{MODEL} epoch time" in together
    for alone in several:
        assert named(history([alone])).items() <= together.items()


def test_of_several_records_of_a_cell_the_last_counts_and_unfinished_ones_do_not() -> None:
    first, last = (record(environment=environment(), best_valid_loss=loss) for loss in (0.5, 0.25))
    diverged = record(TWIN, environment=environment(), status=DIVERGED, best_valid_loss=None)
    assert history([first, diverged, last]) == history([last])


@pytest.mark.parametrize("other", [{"profile": "full"}, {"environment": environment(device_name="another")}])
def test_what_has_no_history_in_common_is_refused(other: dict[str, Any]) -> None:
    mixed = [record(environment=environment()), record(TWIN, **{"environment": environment(), **other})]
    with pytest.raises(RecordError, match="one profile on one device are needed, not of several"):
        history(mixed)


@pytest.mark.parametrize("out", [[], ["--out", "elsewhere.json"]])
def test_the_command_writes_strict_json(
    out: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    one = record(environment=environment())
    records.append(tmp_path / "records.jsonl", one)
    assert main(["history", str(tmp_path), *out]) == 0
    path = tmp_path / (out[1] if out else "history.json")
    assert json.loads(path.read_text()) == history([one])
    assert capsys.readouterr().out.startswith("4 figures written to ")
