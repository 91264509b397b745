from msgspec.structs import replace

from bench.analysis.conditions import describe, describe_cost
from tests.bench.costs.samples import inference
from tests.bench.samples import TWIN, record


def test_conditions_name_everything_that_differed() -> None:
    lines = describe([record(), record(dataset="other", profile="full", protocol={"epochs": 20}, environment={})])
    assert lines[0].startswith("data: shapes, other, ")
    assert lines[1] == "profile: quick, full, 3, 20 epochs, seeds: 51 (n = 1)"
    assert lines[2] == "device: a processor, unknown, threads: 2, unknown, torch 2.0, unknown"


def test_code_that_changed_between_the_runs_is_named() -> None:
    one, other = record(code_sha256="1" * 64), record(TWIN, code_sha256="2" * 64)
    assert "code: NOT ALL FROM ONE VERSION" in describe([one, other])
    functions = [replace(run, family="custom") for run in (one, other)]  # the hash of each covers its own file
    for alike in ([one, one], [one, record(TWIN)], functions):
        assert not any(line.startswith("code: ") for line in describe(alike))


def test_the_conditions_of_a_cost_are_named_once() -> None:
    expected = [
        "inputs: 4 channels",
        "data: made up",
        "profile: full",
        "device: a processor, threads: 2, torch 2.0",
    ]
    assert describe_cost(inference()) == expected
    assert describe_cost(inference(conditions=["data: made up", *expected[2:]])) == expected


def test_counts_that_a_record_lacks_are_unknown() -> None:
    assert (
        "unknown training pairs, unknown validation pairs"
        in describe([record(train_pairs=None, valid_pairs=None)])[0]
    )


def test_what_disturbed_times_is_named_by_device() -> None:
    on_cpu = describe([record(TWIN), record(other_load=1.5)])
    on_cuda = describe([record(other_load=15.5, device="cuda", environment={"cpu_count": 16})])
    for lines, share, most, load in (
        (on_cpu, "1 of 2", "0.2 cores", 1.5),
        (on_cuda, "1 of 1", "all cores but one", 15.5),
    ):
        assert (
            f"times: rough in {share} runs, as other processes kept more than {most} busy meanwhile "
            f"(up to {load}); neither claims nor figures use them"
        ) in lines


def test_counts_that_differ_between_seeds_are_a_range() -> None:
    records = [record(train_pairs=pairs, seed=51 + i) for i, pairs in enumerate((1365, 1372, 1360, 1372))]
    assert "1,360 to 1,372 training pairs, 100 validation pairs" in describe(records)[0]
    assert "1,365, unknown training pairs" in describe([records[0], record(train_pairs=None)])[0]
