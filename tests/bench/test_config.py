import json
from dataclasses import fields, replace
from typing import Any

import pytest

from bench.config import ALL, FULL, PROFILES, SMOKE, STANDARD, OptionError, Profile, Protocol, canonical
from bench.registry import STUDIES, find_study

LIMITS = Profile("tiny", simulated_pairs=10, pairs=30, test_pairs=5, epochs=2, rounds=1, batch=8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pairs": 0}, "at least 1, not 0, 20 and 32"),
        ({"epochs": 0}, "at least 1"),
        ({"batch_size": 0}, "at least 1"),
        ({"valid_fraction": 0.0}, "between 0 and 1, not be 0.0"),
        ({"valid_fraction": 1.0}, "between 0 and 1"),
        ({"learning_rate": 1e-7}, "positive and fall, not go from 1e-07 to 1e-06"),
        ({"final_learning_rate": -1e-6}, "positive and fall"),
        ({"learning_rate": float("inf")}, "positive and fall"),
    ],
)
def test_a_protocol_that_makes_no_sense_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        replace(STANDARD, **change)


# The canonical form


@pytest.mark.parametrize(
    "protocol",
    [STANDARD, *(find_study(name).published_protocol(v) for name in STUDIES for v in find_study(name).protocols)],
)
def test_a_protocol_comes_back_from_json(protocol: Protocol) -> None:
    settings = json.loads(json.dumps(protocol.to_dict(), allow_nan=False))
    assert settings == protocol.to_dict()
    assert list(settings) == [field.name for field in fields(Protocol)]
    assert Protocol.from_dict(settings) == protocol


def test_settings_of_another_version_are_ignored_and_get_defaults() -> None:
    settings = STANDARD.to_dict()
    del settings["keep_groups"]
    assert Protocol.from_dict({**settings, "momentum": 0.9}) == STANDARD


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": "3"}, "not a protocol of this version: .*epochs"),
        ({"schedule": "linear"}, "not a protocol of this version: .*'linear'"),
        ({"pairs": 0}, "not a protocol of this version: .*at least 1"),
        ({"pairs": None}, "not a protocol of this version"),
    ],
)
def test_settings_that_are_no_protocol_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Protocol.from_dict({**STANDARD.to_dict(), **changes})
    with pytest.raises(OptionError, match="missing required field `epochs`"):
        Protocol.from_dict({name: value for name, value in STANDARD.to_dict().items() if name != "epochs"})


def test_records_that_lack_a_field_with_a_default_equal_new_ones() -> None:
    new = STANDARD.to_dict()
    later = ("keep_groups", "valid_whole_batches", "test_pairs", "test_fraction", "precision")
    old = {name: value for name, value in new.items() if name not in later}
    without_test = {**new, "test_pairs": 0, "test_fraction": 0.0}
    assert canonical(old) == canonical(without_test) == without_test != new
    assert canonical({**old, "keep_groups": False}) != canonical(without_test)
    assert canonical({**new, "momentum": 0.9}) != canonical(new)  # a later version's setting
    defaults: dict[str, Any] = {"test_pairs": 0, "test_fraction": 0.0, "keep_groups": True}
    defaults |= {"valid_whole_batches": False, "precision": "fp32"}
    defaults |= {"modality_dropout": 0.0, "unimodal_loss": 0.0, "ogm_ge": 0.0}
    defaults |= {"class_weights": "none", "horizontal_flip": 0.0, "random_crop": 0, "color_jitter": 0.0}
    assert canonical({"epochs": 3}) == {"epochs": 3, **defaults}


def test_all_modalities_are_those_of_the_data() -> None:
    assert STANDARD.normalized == ALL
    assert STANDARD.on({"rgb": 3, "thermal": 1}) == replace(STANDARD, normalized=("rgb", "thermal"))
    named = replace(STANDARD, normalized=("rgb",))
    assert named.on({"rgb": 3, "thermal": 1}) == named
    assert replace(STANDARD, normalized=()).on({"rgb": 3}).normalized == ()


# --set


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        ({}, {}),
        ({"epochs": "3"}, {"epochs": 3}),
        ({"learning_rate": "1e-2"}, {"learning_rate": 0.01}),
        ({"drop_last": "true", "keep_groups": "false"}, {"drop_last": True, "keep_groups": False}),
        ({"schedule": "constant"}, {"schedule": "constant"}),
        ({"normalized": "rgb, lidar"}, {"normalized": ("rgb", "lidar")}),
        ({"normalized": "none"}, {"normalized": ()}),
        ({"normalized": "all"}, {"normalized": ALL}),
        (
            {"final_learning_rate": "0.01", "learning_rate": "0.1"},  # each alone would be refused
            {"final_learning_rate": 0.01, "learning_rate": 0.1},
        ),
    ],
)
def test_fields_are_set_from_text(settings: dict[str, str], changes: dict[str, Any]) -> None:
    assert STANDARD.with_settings(settings) == replace(STANDARD, **changes)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": "3"}, r"--set epoch=3: not a field of the protocol; the fields are: pairs, valid_fraction, .*"),
        ({"epochs": "3.5"}, "--set epochs=3.5: epochs is a whole number"),
        ({"epochs": ""}, "--set epochs=: epochs is a whole number"),
        ({"learning_rate": "fast"}, "--set learning_rate=fast: learning_rate is a number"),
        ({"drop_last": "no"}, "--set drop_last=no: drop_last is true or false"),
        ({"schedule": "linear"}, "--set schedule=linear: schedule is one of constant, cosine-step, cosine-epoch"),
        (
            {"pairs": "9", "epochs": "0"},
            "--set pairs=9 --set epochs=0: pairs, epochs and batch_size must be at .*",
        ),
        (
            {"valid_fraction": "nan"},
            "--set valid_fraction=nan: valid_fraction must lie between 0 and 1, not be nan",
        ),
    ],
)
def test_values_that_cannot_be_set_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError, match=f"^{message}$"):
        STANDARD.with_settings(settings)


# Profiles


@pytest.mark.parametrize(("simulated", "pairs"), [(True, 10), (False, 30)])
def test_a_profile_limits_pairs_and_epochs(simulated: bool, pairs: int) -> None:
    assert LIMITS.shorten(STANDARD, simulated=simulated) == replace(STANDARD, pairs=pairs, test_pairs=5, epochs=2)


def test_a_profile_makes_nothing_longer() -> None:
    short = replace(STANDARD, pairs=5, test_pairs=0, epochs=1)
    assert LIMITS.shorten(short, simulated=True) == short


def test_the_full_profile_changes_nothing() -> None:
    assert FULL.shorten(STANDARD, simulated=True) == STANDARD
    assert FULL.shorten(STANDARD, simulated=False) == STANDARD


def test_each_profile_is_larger_than_the_one_before() -> None:
    sizes = [(profile.simulated_pairs, profile.pairs, profile.epochs) for profile in PROFILES.values()]
    assert sizes == sorted(sizes)
    assert [profile.name for profile in PROFILES.values()] == list(PROFILES)


def test_smoke_still_trains_on_whole_batches() -> None:
    protocol = SMOKE.shorten(STANDARD, simulated=True)
    assert protocol.pairs * (1 - protocol.valid_fraction) >= protocol.batch_size
