import pytest

from bench.config import OptionError
from bench.harness.values import parse_budget, parse_seeds, parse_settings, parse_trackers, resolve_device
from tests.bench.harness.devices import cuda


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


def test_settings_are_fields_and_values() -> None:
    assert parse_settings(["epochs=3", " pairs = 90 ", "epochs=4"]) == {"epochs": "4", "pairs": "90"}
    assert parse_settings(["normalized="]) == {"normalized": ""}


@pytest.mark.parametrize("word", ["epochs", "=3", "", " =3"])
def test_words_that_set_nothing_are_refused(word: str) -> None:
    with pytest.raises(OptionError, match=f"^--set {word}: give a field of the protocol and its value"):
        parse_settings([word])


@pytest.mark.parametrize(
    ("text", "seconds"), [("2h", 7200), ("90m", 5400), ("30", 30), ("1.5 m", 90), ("", float("inf"))]
)
def test_a_budget_is_a_time(text: str, seconds: float) -> None:
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["soon", "-1h", "0", "2d", "h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="such as 2h"):
        parse_budget(text)
