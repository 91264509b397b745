import re
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.analysis.claims import STUDIES_NEEDED
from bench.harness.options import (
    OptionError,
    Options,
    dataset_slug,
    history_folder,
    parse_seeds,
    parse_studies,
    parse_trackers,
    resolve,
    resolve_device,
    slug,
)
from bench.studies import STUDIES

ROOT = Path("project")


def resolved(**words: Any) -> Options:
    return resolve(**{"root": ROOT, "device": "cpu", **words})


def cuda(monkeypatch: pytest.MonkeyPatch, *, devices: int) -> None:
    """Let torch say that there are so many CUDA devices."""
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


@pytest.mark.parametrize("text", ["", "0", "-1", "many", "1.5", ",", "7,7", "7,-1", "7,x", "7 9"])
def test_seeds_that_are_neither_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"--seeds .*: give a count \(3 means 51,52,53\) or a list"):
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
        ("cuda:2", 2, "--device cuda:2: there are only 2 CUDA devices, from cuda:0 on"),
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
    ],
)
def test_an_unknown_word_is_told_which_are_known(words: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        resolved(**words)


def test_studies_are_named_or_all() -> None:
    assert [study.name for study in parse_studies("fusion-wide, standard")] == ["fusion-wide", "standard"]
    assert parse_studies("all") == tuple(STUDIES.values())


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


def test_a_tracker_that_is_not_installed_is_answered_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "tensorboard" else name)
    assert parse_trackers("wandb") == ("wandb",)
    with pytest.raises(
        OptionError,
        match=r"^--track tensorboard: the package tensorboard is not installed; "
        r"get it with: pip install 'fusiongauge\[tensorboard\]'$",
    ):
        parse_trackers("wandb,tensorboard")


def test_claims_are_the_studies_that_decide_them_each_once() -> None:
    names = [study.name for study in parse_studies("fusion-wide,claims,standard")]
    assert names[0] == "fusion-wide"
    assert names[-1] == "standard"
    assert sorted(names[:-1]) == sorted(STUDIES_NEEDED)


def test_what_is_left_out_gets_its_default() -> None:
    options = resolved()
    assert [study.name for study in options.studies] == ["standard"]
    assert options.seeds == (51,)
    assert options.trackers == ()
    assert options.results_dir.parent == ROOT / "results" / "runs"
    assert options.results_dir.name.endswith("-standard-quick-shapes-cpu")


def test_results_go_where_they_were_asked_to(tmp_path: Path) -> None:
    assert resolved(results_dir=str(tmp_path / "mine")).results_dir == tmp_path / "mine"


def test_a_run_is_asked_for_the_studys_protocol_cut_to_the_profile() -> None:
    study = STUDIES["standard"]
    config = resolved(profile="smoke").run_config(study, "")
    assert (config.study, config.variant, config.dataset, config.profile) == ("standard", "", "shapes", "smoke")
    assert config.protocol.epochs == 2
    assert config.protocol.pairs == 80
    full = resolved(profile="full").run_config(study, "")
    assert full.protocol == study.protocols[""]


def test_files_are_cut_less_than_simulations() -> None:
    study = STUDIES["standard"]
    simulated = resolved(profile="smoke").run_config(study, "").protocol.pairs
    assert resolved(profile="smoke", dataset="some/folder").run_config(study, "").protocol.pairs > simulated


def test_the_data_are_the_studys_unless_others_are_named() -> None:
    study = STUDIES["fusion-wide"]
    assert resolved().run_config(study, "").dataset == study.dataset
    assert resolved(dataset="some/folder").run_config(study, "").dataset == "some/folder"


def test_mistakes_are_only_made_when_asked_for() -> None:
    study = STUDIES["fusion-wide"]
    assert resolved().run_config(study, "").protocol.keep_groups
    assert not resolved(published=True).run_config(study, "").protocol.keep_groups


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


def test_only_runs_of_the_same_conditions_share_a_history(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda(monkeypatch, devices=2)
    variants: list[dict[str, Any]] = [
        {},
        {"profile": "smoke"},
        {"dataset": "some/folder"},
        {"dataset": "other/folder"},
        {"study": "fusion-wide"},
        {"study": "all"},
        {"published": True},
        {"device": "cuda:0", "profile": "quick"},
        {"device": "cuda:1", "profile": "quick"},
    ]
    folders = {history_folder(resolved(**variant), ROOT) for variant in variants}
    assert len(folders) == len(variants)
    assert {folder.parent for folder in folders} == {ROOT / "results" / "runs" / "history"}


def test_seeds_side_by_side_have_a_history_of_their_own(tmp_path: Path) -> None:
    alone, together = (
        history_folder(resolve(root=tmp_path, device="cpu", seeds="4", seeds_together=beside), tmp_path)
        for beside in (False, True)
    )
    assert together.name == f"{alone.name}-seeds-together"


def test_seeds_and_results_folder_do_not_part_histories(tmp_path: Path) -> None:
    other = resolved(seeds="5", results_dir=str(tmp_path))
    assert history_folder(other, ROOT) == history_folder(resolved(), ROOT)
