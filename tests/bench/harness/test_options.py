from pathlib import Path
from typing import Any

import pytest

from bench.analysis.claim_files import published_claims
from bench.config import STANDARD, OptionError
from bench.harness.cell import Cell
from bench.harness.options import Options, parse_studies, resolve
from bench.registry import STUDIES, find_study, register_study
from bench.study import Study
from tests.bench.harness.devices import cuda
from tests.bench.samples import MODEL

ROOT = Path("project")


def resolved(**words: Any) -> Options:
    return resolve(**{"root": ROOT, "device": "cpu", **words})


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
