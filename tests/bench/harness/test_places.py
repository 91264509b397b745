import os
import re
from pathlib import Path
from typing import Any

import pytest

from bench.harness.options import Options, resolve
from bench.harness.places import dataset_slug, history_folder, latest_run
from fusiongauge import slug

ROOT = Path("project")


def resolved(**words: Any) -> Options:
    return resolve(**{"root": ROOT, "device": "cpu", **words})


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("shapes", "shapes"),
        ("my data (v1)/ä", "my-data-v1-ä"),
        ("cuda:0", "cuda-0"),
        ("../x", "x"),
        ("-.-", ""),
    ],
)
def test_a_slug_is_fit_for_a_folder(text: str, name: str) -> None:
    assert slug(text) == name


def test_data_are_called_by_name_or_by_the_end_of_their_path() -> None:
    assert dataset_slug("shapes") == "shapes"
    assert re.fullmatch(r"nyu-manifest\.csv-[0-9a-f]{6}", dataset_slug("/data/nyu/manifest.csv"))


def test_two_paths_never_share_a_name() -> None:
    paths = ["shapes", "./shapes", "/one/data/v1.0", "/one/data/v1.1", "/other/data/v1.0", "."]
    assert len({dataset_slug(path) for path in paths}) == len(paths)
    assert all(dataset_slug(path) for path in paths)
    assert re.fullmatch(r"data-M-tze-[0-9a-f]{6}", dataset_slug(os.fsdecode(b"/data/M\xfctze")))  # not UTF-8


def history(**words: Any) -> Path:
    return history_folder(resolved(**words), ROOT, "a processor")


def test_only_runs_of_the_same_conditions_share_a_history() -> None:
    variants: list[dict[str, Any]] = [
        {},
        {"profile": "smoke"},
        {"dataset": "some/folder"},
        {"dataset": "other/folder"},
        {"study": "fusion-wide"},
        {"study": "all"},
        {"published": True},
        {"settings": ["epochs=3"]},
        {"settings": ["epochs=4"]},
    ]
    folders = {history(**variant) for variant in variants}
    folders.add(history_folder(resolved(), ROOT, "an accelerator"))
    assert len(folders) == len(variants) + 1
    assert {folder.parent for folder in folders} == {ROOT / "results" / "runs" / "history"}


def test_seeds_and_results_folder_do_not_part_histories(tmp_path: Path) -> None:
    assert history(seeds="5", results_dir=str(tmp_path)) == history()


def test_a_run_is_resumed_in_the_latest_folder_of_its_kind(tmp_path: Path) -> None:
    runs = tmp_path / "results" / "runs"
    name = "standard-quick-shapes-cpu"
    assert latest_run(runs, name) is None
    assert resolved(root=tmp_path, resume=True).results_dir.name.endswith(name)
    for folder in (
        f"2026-01-02T03-04-05-{name}",
        f"2026-01-01T23-04-05-{name}",
        "2026-01-03T03-04-05-standard-full-shapes-cpu",
        f"2026-01-03T03-04-05-{name}-and-more",
        f"mine-{name}",
    ):
        (runs / folder).mkdir(parents=True)
    assert resolved(root=tmp_path, resume=True).results_dir == runs / f"2026-01-02T03-04-05-{name}"
    assert resolved(root=tmp_path).results_dir.parent == runs
    assert not resolved(root=tmp_path).results_dir.exists()
    other = resolved(root=tmp_path, resume=True, results_dir=str(tmp_path / "mine"))
    assert other.results_dir == tmp_path / "mine"


def test_a_run_in_which_nothing_has_ended_is_not_resumed_in_place_of_one_with_records(tmp_path: Path) -> None:
    names = [f"2026-01-0{day}T03-04-05-standard-quick-shapes-cpu" for day in (1, 2, 3, 4)]
    for name, content in zip(names, (b"{}\n", b"{}\n", b"", b'{"cut'), strict=True):
        (tmp_path / name).mkdir()
        (tmp_path / name / "records.jsonl").write_bytes(content)
    assert latest_run(tmp_path, "standard-quick-shapes-cpu") == tmp_path / names[1]
    for name in names[:2]:
        (tmp_path / name / "records.jsonl").unlink()
    assert latest_run(tmp_path, "standard-quick-shapes-cpu") == tmp_path / names[3]


def test_two_studies_are_not_one_with_both_names() -> None:
    both = resolved(study="tuned, field")
    assert both.results_dir.name.endswith("-tuned+field-quick-shapes-hard-cpu")
    assert resolved(study="tuned-field").results_dir.name.endswith("-tuned-field-quick-shapes-hard-cpu")
    assert history(study="tuned,field") != history(study="tuned-field")
