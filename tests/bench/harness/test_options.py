import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.analysis.claims import published_claims
from bench.config import STANDARD, OptionError
from bench.harness.cell import Cell
from bench.harness.options import (
    Options,
    dataset_slug,
    history_folder,
    latest_run,
    parse_seeds,
    parse_settings,
    parse_studies,
    parse_trackers,
    resolve,
    resolve_device,
    slug,
)
from bench.registry import STUDIES, find_study, register_study
from bench.study import Study
from tests.bench.samples import MODEL

ROOT = Path("project")


def resolved(**words: Any) -> Options:
    return resolve(**{"root": ROOT, "device": "cpu", **words})


def cuda(monkeypatch: pytest.MonkeyPatch, *, devices: int) -> None:
    """Let torch report this number of CUDA devices."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: devices > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"Accelerator {device.index or 0}")


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("1", (51,)),
        ("3", (51, 52, 53)),
        (" 2 ", (51, 52)),
        ("7,9", (7, 9)),
        ("9, 7", (9, 7)),
        ("7,", (7,)),
        ("0,", (0,)),
    ],
)
def test_seeds_are_a_count_or_a_list(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "many", "1.5", ",", "7,7", "7,-1", "7,x", "7 9", "1001", "100000000", "4294967296,"]
)
def test_seeds_that_are_neither_are_refused(text: str) -> None:
    with pytest.raises(
        OptionError, match=r"--seeds .*: give a count \(3 means 51,52,53\) or a list .*; at most 1000, "
    ):
        parse_seeds(text)


@pytest.mark.parametrize(
    ("name", "devices", "resolved_name"),
    [
        ("", 0, "cpu"),
        ("", 2, "cuda"),
        ("cpu", 2, "cpu"),
        ("cuda", 1, "cuda"),
        ("cuda:0", 1, "cuda:0"),
        ("cuda:1", 2, "cuda:1"),
    ],
)
def test_the_device_is_the_one_named_or_cuda_where_there_is_one(
    name: str, devices: int, resolved_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda(monkeypatch, devices=devices)
    assert resolve_device(name) == resolved_name


@pytest.mark.parametrize(
    ("name", "devices", "message"),
    [
        ("cuda", 0, "--device cuda: torch .* finds no CUDA device here; leave the option out"),
        ("cuda:2", 2, "--device cuda:2: the CUDA devices here are cuda:0 to cuda:1"),
        ("cuda:1", 1, "--device cuda:1: the only CUDA device here is cuda:0"),
        ("cuda:-1", 2, "--device cuda:-1: give cpu, cuda or cuda:N"),
        ("MIG-0", 1, "--device MIG-0: give cpu, cuda or cuda:N"),
        ("gpu", 2, "--device gpu: give cpu, cuda or cuda:N"),
        ("cuda:", 2, "--device cuda:: give cpu, cuda or cuda:N"),
        ("cpu:0", 2, "--device cpu:0: give cpu, cuda or cuda:N"),
    ],
)
def test_a_device_that_is_not_there_is_refused(
    name: str, devices: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda(monkeypatch, devices=devices)
    with pytest.raises(OptionError, match=message):
        resolve_device(name)


def test_the_default_profile_is_quick_on_a_cpu_and_full_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda(monkeypatch, devices=1)
    assert resolved(device="cpu").profile.name == "quick"
    assert resolved(device="cuda:0").profile.name == "full"
    assert resolved(device="cuda", profile="smoke").profile.name == "smoke"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"profile": "slow"}, "--profile slow: give one of smoke, quick, full"),
        ({"tracker": "paper"}, "--track paper: give one of none, wandb, tensorboard"),
        ({"study": "mine"}, "--study mine: give one of all, claims, standard, "),
        ({"study": "standard,mine"}, "--study mine: "),
        ({"seeds": "x"}, "--seeds x: "),
        ({"settings": ["epochs"]}, "--set epochs: give a field of the protocol and its value, such as epochs=3"),
    ],
)
def test_an_unknown_word_is_answered_with_those_that_exist(words: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        resolved(**words)


def test_studies_are_named_or_all() -> None:
    assert [study.name for study in parse_studies("fusion-wide, standard")] == ["fusion-wide", "standard"]
    assert [study.name for study in parse_studies("all")] == list(STUDIES)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("none", ()),
        ("wandb", ("wandb",)),
        ("wandb, tensorboard", ("wandb", "tensorboard")),
        ("wandb,wandb", ("wandb",)),
    ],
)
def test_trackers_are_none_or_named(text: str, names: tuple[str, ...]) -> None:
    assert parse_trackers(text) == names


@pytest.mark.parametrize("text", ["", "wandb,", "none,wandb", "paper"])
def test_trackers_that_do_not_exist_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"--track .*: give one of none, wandb, tensorboard"):
        parse_trackers(text)


def test_a_tracker_that_is_not_installed_is_answered_with_its_installation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "tensorboard" else name)
    assert parse_trackers("wandb") == ("wandb",)
    with pytest.raises(
        OptionError,
        match=r"^--track tensorboard: the package tensorboard is not installed; "
        r"install it with: pip install 'fusiongauge\[tensorboard\]'$",
    ):
        parse_trackers("wandb,tensorboard")


def test_claims_are_the_studies_that_decide_them_each_once() -> None:
    names = [study.name for study in parse_studies("fusion-wide,claims,standard")]
    assert names[0] == "fusion-wide"
    assert names[-1] == "standard"
    assert sorted(names[:-1]) == sorted(published_claims().studies)


def test_what_is_left_out_gets_its_default() -> None:
    options = resolved()
    assert [study.name for study in options.studies] == ["standard"]
    assert options.seeds == (51,)
    assert options.trackers == ()
    assert options.results_dir.parent == ROOT / "results" / "runs"
    assert options.results_dir.name.endswith("-standard-quick-shapes-cpu")


def test_results_go_to_the_folder_that_is_named(tmp_path: Path) -> None:
    assert resolved(results_dir=str(tmp_path / "mine")).results_dir == tmp_path / "mine"


def test_a_run_has_the_protocol_of_its_study_cut_to_the_profile() -> None:
    study = find_study("standard")
    config = resolved(profile="smoke").run_config(study)
    assert (config.study, config.variant, config.dataset, config.profile) == ("standard", "", "shapes", "smoke")
    assert (config.question, config.reference) == (study.question, "maxpool")
    assert config.protocol.epochs == 2
    assert config.protocol.pairs == 80
    full = resolved(profile="full").run_config(study)
    assert full.protocol == study.protocols[""]


def test_files_are_cut_less_than_simulations() -> None:
    study = find_study("standard")
    simulated = resolved(profile="smoke").run_config(study).protocol.pairs
    assert resolved(profile="smoke", dataset="some/folder").run_config(study).protocol.pairs > simulated


def test_the_data_are_the_studys_unless_others_are_named() -> None:
    study = find_study("fusion-wide")
    assert resolved().run_config(study).dataset == study.dataset
    assert resolved(dataset="some/folder").run_config(study).dataset == "some/folder"


def test_mistakes_are_only_made_on_request() -> None:
    study = find_study("fusion-wide")
    assert resolved().run_config(study).protocol.keep_groups
    published = resolved(published=True).run_config(study)
    assert not published.protocol.keep_groups
    assert published.as_published


# --set


def test_settings_are_fields_and_values() -> None:
    assert parse_settings(["epochs=3", " pairs = 90 ", "epochs=4"]) == {"epochs": "4", "pairs": "90"}
    assert parse_settings(["normalized="]) == {"normalized": ""}


@pytest.mark.parametrize("word", ["epochs", "=3", "", " =3"])
def test_words_that_set_nothing_are_refused(word: str) -> None:
    with pytest.raises(OptionError, match=f"^--set {word}: give a field of the protocol and its value"):
        parse_settings([word])


def ids(*settings: str, study: str = "standard") -> list[str]:
    options = resolved(study=study, settings=settings)
    return [cell.name for cell in options.cells() if cell.spec.name == MODEL]


def test_settings_show_in_ids_and_are_applied_after_the_profile() -> None:
    assert ids("epochs=7", "learning_rate=1e-2") == [f"epochs=7,learning_rate=0.01:{MODEL}"]
    assert ids("normalized=rgb,lidar") == [f"normalized=rgb+lidar:{MODEL}"]
    assert ids("normalized=none", study="input-scaling") == [
        f"input-scaling:raw:{MODEL}",  # it normalizes nothing anyway
        f"input-scaling:normalized,normalized=none:{MODEL}",
    ]
    protocol = resolved(profile="smoke", settings=["epochs=7"]).run_config(find_study("standard")).protocol
    assert (protocol.epochs, protocol.pairs) == (7, 80)


def test_settings_that_the_protocol_has_anyway_leave_ids_unchanged() -> None:
    assert ids("batch_size=32", "schedule=cosine-step", "normalized=all", "keep_groups=true") == ids() == [MODEL]


def test_a_setting_that_one_of_several_studies_cannot_have_is_refused() -> None:
    assert len(resolved(study="standard,fusion-wide", settings=["learning_rate=1e-5"]).studies) == 2
    with pytest.raises(OptionError, match="--set learning_rate=1e-5: learning rates must be positive and fall"):
        resolved(study="standard,fusion-wide", settings=["learning_rate=1e-5"]).cells()


# The command of a cell


def command(*, model: str = MODEL, variant: str = "", **words: Any) -> str:
    options = resolved(profile="smoke", **words)
    (cell,) = [cell for cell in options.cells() if (cell.spec.name, cell.config.variant) == (model, variant)]
    return options.command(cell, threads=2)


TEST = "bench/test_training.py::test_training"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ({}, f"OMP_NUM_THREADS=2 pytest '{TEST}[{MODEL}]' --profile smoke --seeds 51, --device cpu"),
        (
            {"study": "input-scaling", "variant": "raw", "seeds": "7,"},
            f"OMP_NUM_THREADS=2 pytest '{TEST}[input-scaling:raw:{MODEL}-seed7]' --study input-scaling "
            "--profile smoke --seeds 7, --device cpu",
        ),
        (
            {"study": "downsampling-compact", "published": True, "dataset": "shapes-four", "device": "cuda:1"},
            f"pytest '{TEST}[downsampling-compact:{MODEL}]' --study downsampling-compact --profile smoke "
            "--seeds 51, --device cuda:1 --dataset shapes-four --as-published",
        ),
        (
            {"settings": ["epochs=3"], "variant": "epochs=3", "plugin": ["my models.py", "b.py"]},
            f"OMP_NUM_THREADS=2 pytest '{TEST}[epochs=3:{MODEL}]' --profile smoke --seeds 51, --device cpu "
            "--set epochs=3 --plugin 'my models.py' --plugin b.py",
        ),
        (
            {"dataset": "/home/me/secret"},
            f"OMP_NUM_THREADS=2 pytest '{TEST}[{MODEL}]' --profile smoke --seeds 51, --device cpu "
            "--dataset PATH-OF-THE-DATA",
        ),
    ],
    ids=["plain", "a study", "published", "settings and plug-ins", "files"],
)
def test_a_command_runs_one_cell_again(words: dict[str, Any], line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cuda(monkeypatch, devices=2)
    assert command(**words) == line


# Folders


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


# Cells


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ({}, MODEL),
        ({"seeds": "52,"}, f"{MODEL}-seed52"),
        ({"study": "downsampling-compact"}, f"downsampling-compact:{MODEL}"),
        ({"study": "input-scaling", "seeds": "7,"}, f"input-scaling:raw:{MODEL}-seed7"),
    ],
)
def test_a_cell_is_named_after_its_model_and_what_is_not_the_default(words: dict[str, Any], name: str) -> None:
    cells: list[Cell] = [cell for cell in resolved(**words).cells() if cell.spec.name == MODEL]
    assert cells[0].name == name


def test_cells_are_every_model_of_every_study_and_seed() -> None:
    names = [cell.name for cell in resolved(study="downsampling-deep,input-scaling", seeds="2").cells()]
    assert names[:4] == [
        "downsampling-deep:deep-intermediate-concat-maxpool",
        "downsampling-deep:deep-intermediate-concat-strided",
        "downsampling-deep:deep-intermediate-concat-maxpool-seed52",
        "downsampling-deep:deep-intermediate-concat-strided-seed52",
    ]
    assert len(names) == len(set(names)) == 2 * 2 + 2 * 2 * 8  # seeds times models, and times the two variants


@pytest.mark.usefixtures("registries")
def test_a_study_of_a_model_that_does_not_exist_is_refused() -> None:
    register_study("mine")(lambda: Study(question="?", models=("resnet",), protocols={"": STANDARD}))
    with pytest.raises(OptionError, match=r"--study mine: .*resnet"):
        resolved(study="mine").cells()
