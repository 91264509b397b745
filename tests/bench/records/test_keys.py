"""Which records are the same cell, which can be compared, and which saw the same data or machine."""

from typing import Any

import msgspec
import pytest

from bench.records import (
    FAILED,
    Conditions,
    cell_key,
    cell_of,
    conditions_of,
    differences,
    latest,
    machine,
    probe_key,
    same_data,
)
from bench.records.keys import same_device, unlike_results
from tests.bench.probes.samples import probe_record
from tests.bench.samples import MODEL, TWIN, record

OF_A_CELL: list[dict[str, Any]] = [
    {"study": "mine"},
    {"variant": "raw"},
    {"dataset": "moons"},
    {"profile": "full"},
    {"device": "cuda"},
    {"model": TWIN},
    {"seed": 52},
]
"""Each makes another cell of a record."""

OF_A_RUN: list[dict[str, Any]] = [
    {"started_at": "later"},
    {"protocol": {"epochs": 1}},
    {"environment": {}},
    {"data_sha256": "1"},
    {"code_sha256": "1"},
    {"status": "failed"},
    {"best_valid_loss": 0.5},
]
"""Each makes another run of the same cell."""


@pytest.mark.parametrize("changes", OF_A_CELL, ids=lambda changes: next(iter(changes)))
def test_what_tells_cells_apart(changes: dict[str, Any]) -> None:
    assert cell_key(record(**changes)) != cell_key(record())
    probe = {**changes, "study": changes.get("study", "robustness")}
    assert cell_key(probe_record(**probe)) != cell_key(probe_record(dataset="shapes", profile="quick"))
    assert len(latest([record(), record(**changes)])) == 2


@pytest.mark.parametrize("changes", OF_A_RUN, ids=lambda changes: next(iter(changes)))
def test_what_does_not(changes: dict[str, Any]) -> None:
    assert cell_key(record(**changes)) == cell_key(record())


def test_a_record_its_probes_and_its_fields_have_one_key() -> None:
    trained = record(study="robustness", dataset="shapes-hard", profile="full")
    assert cell_key(probe_record()) == cell_key(trained) == cell_of(msgspec.to_builtins(trained))


def test_conditions_are_what_tables_and_comparisons_need_to_share() -> None:
    assert conditions_of(record()) == Conditions("shapes", "quick", "cpu")
    assert conditions_of(record(TWIN, study="mine", variant="raw", seed=7)) == conditions_of(record())
    assert conditions_of(probe_record()) == Conditions("shapes-hard", "full", "cpu")


@pytest.mark.parametrize(
    "changes", [{"probe": "rgb-noise"}, {"level": 0.9}, {"metric": "loss"}, {"layer": "stem"}, {"other_seed": 52}]
)
def test_a_probe_has_a_key_per_value(changes: dict[str, Any]) -> None:
    assert probe_key(probe_record(**changes)) != probe_key(probe_record())
    assert probe_key(probe_record(value=0.25, weights_sha256="1")) == probe_key(probe_record())


def test_a_rerun_takes_the_place_of_the_record_it_repeats() -> None:
    first, other, rerun = record(status="failed"), record(seed=52), record()
    elsewhere = record(device="cuda")
    assert latest([first, other, elsewhere, rerun]) == [rerun, other, elsewhere]
    assert latest([]) == []


def test_a_machine_is_what_decides_bits_and_times() -> None:
    environment = {"device_name": "a processor", "threads": 2, "packages": {"torch": "2.0", "pandas": "3"}}
    same = {**environment, "commit": "abc", "packages": {"torch": "2.0"}}
    assert differences(machine(environment), machine(same)) == []
    assert differences(machine(environment), machine({**environment, "threads": 4})) == ["threads: 2 -> 4"]
    assert differences(machine(environment), machine({})) == [
        "device_name: a processor -> None",
        "threads: 2 -> None",
        "torch: 2.0 -> None",
    ]


def test_data_are_the_same_unless_two_records_tell_otherwise() -> None:
    one, other, silent = record(data_sha256="1"), record(data_sha256="2"), record(MODEL, data_sha256=None)
    assert same_data(one, one)
    assert same_data(one, silent)
    assert same_data(silent, silent)
    assert not same_data(one, other)


def test_differences_are_sorted_and_name_both_sides() -> None:
    assert differences({"b": 1, "a": 1, "c": 3}, {"b": 2, "c": 3, "d": None}) == ["a: 1 -> None", "b: 1 -> 2"]


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"environment": {"device_name": "a processor", "threads": 2, "node": "another"}}, True),
        ({"environment": {"device_name": "a processor", "threads": 1}}, False),
        ({"environment": {"device_name": "another processor", "threads": 2}}, False),
        ({"device": "cuda"}, False),
    ],
)
def test_devices_are_the_same_where_kind_model_and_threads_are(changes: dict[str, Any], *, same: bool) -> None:
    assert same_device(record(), record(**changes)) is same


def test_results_are_the_same_where_losses_and_weights_are_whatever_they_took() -> None:
    assert unlike_results(record(), record(epoch_seconds=[9.0], started_at="later", environment={})) == []
    assert unlike_results(record(), record(weights_sha256="1" * 64)) == ["weights_sha256"]
    assert unlike_results(record(), record(train_losses=[0.7, 0.6, 0.51])) == ["train_losses"]
    assert unlike_results(record(), record(status=FAILED, test_loss=0.5)) == ["status", "test_loss"]
