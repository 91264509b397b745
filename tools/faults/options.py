"""Options that cannot be used, and unusual ones that can."""

import json
from collections.abc import Iterator

from tools.faults.fault import FIRST, RUN, SECOND, TINY, Fault, Place, bench
from tools.faults.stored import store


def options() -> Iterator[Fault]:
    """Options that cannot be used, or not together; all of it is known before anything is trained."""
    for words, says in (
        ("-n 2", "leave -n out"),
        ("-n auto", "leave -n out"),
        ("--dist load", "leave -n out"),
        ("--tx 2*popen --dist each", "leave -n out"),
        ("--dataset nowhere", "neither a data set nor an existing path"),
        ("--dataset nowhere --collect-only", "neither a data set nor an existing path"),
        ("--dataset {folder}", "in no known layout|holds no"),
        ("--device gpu --collect-only", "give cpu, cuda or cuda:N"),
        ("--seeds 100000000", "at most 1000"),
        ("--set epochs=0", "epochs"),
        ("--benchmark-histogram", "pip install pygal"),
        ("--benchmark-compare-fail mean:1%", "add --benchmark-compare"),
        ("--benchmark-group-by nonsense", "--benchmark-group-by"),
        ("--benchmark-group-by param:nonsense", "no selected benchmark has this parameter"),
        ("--benchmark-json {folder}", "it is a folder"),
        ("--benchmark-json /proc/nothing/x.json", "cannot be written"),
        ("--benchmark-save x --benchmark-storage file:///proc/nothing", "cannot be written"),
        ("--junitxml /proc/nothing/x.xml", "cannot be written"),
        ("--log-file /proc/nothing/x.log", "cannot be written"),
        ("--benchmark-compare --benchmark-compare-fail mean:1% --no-summary", "judged when the times are shown"),
        (f"--compare-models {FIRST} {FIRST}", "give two different models"),
        (f"--compare-models {FIRST}", "expected 2 arguments"),
        ("--dataset shapes --image-size 12", "no model fits the data"),
        ("--benchmark-storage elasticsearch+http://nowhere/x", "elasticsearch"),
        ("--benchmark-only --benchmark-disable", "Can't have both"),
        ("--fail-on valid_accuracy:-0.01", "add --benchmark-compare"),
        ("--benchmark-compare --fail-on valid_accuracy:+0.01", "higher is better"),
        ("--track paper", "give one of"),
        ("--plugin nothing.py", "does not exist"),
    ):
        # no tests are run with --benchmark-only, but pytest refuses the option itself
        yield Fault(f"refused: {words}", bench(*words.split(" ")), codes=(4,), kept=0, says=says)
    for words in (
        "-n 0",
        "--benchmark-disable",
        "--benchmark-json {folder}/new/x.json",
        "--benchmark-save x --benchmark-save-data",
        "--benchmark-group-by param:cell",
        "--benchmark-columns mean,ops",
        "--benchmark-quiet",
        "--benchmark-verbose",
        "--benchmark-cprofile tottime",
        "--benchmark-cprofile cumtime --benchmark-cprofile-dump {folder}/new/prof",
        "--benchmark-warmup on",
        "--benchmark-disable-gc",
        "--benchmark-compare",
        "--benchmark-compare 0007",
        "--benchmark-compare --benchmark-compare-fail mean:1%",
        "--no-summary",
        "--no-header -qq",
        "-p no:terminal",
        "-s",
        "--capture sys",
        "-p no:capture",
        "-vv --color yes",
        "--import-mode importlib",
        "--junitxml {folder}/new/x.xml",
        "--noconftest",
        "-x --durations 2",
        "-p xdist",
        "--set epochs=1 --seeds 1",
    ):
        yield Fault(f"allowed: {words}", bench(*words.split(" ")))
    alone = [*RUN, *TINY, "--results-dir", "{run}"]
    says = "need the plug-in pytest-benchmark"
    yield Fault("refused: -p no:benchmark", [*alone, "-p", "no:benchmark"], codes=(4,), kept=0, says=says)
    no_plugins = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    yield Fault("refused: PYTEST_DISABLE_PLUGIN_AUTOLOAD", alone, codes=(4,), kept=0, env=no_plugins, says=says)
    yield Fault("--benchmark-skip", bench("--benchmark-skip"), kept=0)
    yield Fault(
        "--benchmark-json /dev/full",
        bench("--benchmark-json", "/dev/full"),
        codes=(1,),
        says="could not be written",
    )
    yield Fault(
        "--benchmark-compare-fail",
        bench("--benchmark-compare", "--benchmark-compare-fail", "mean:1%"),
        codes=(1,),
        says="the times regressed",
        prepare=_faster,
    )


def _faster(place: Place) -> None:
    """An earlier run whose times no machine reaches."""
    stats = {
        "min": 1e-9,
        "max": 1e-9,
        "mean": 1e-9,
        "stddev": 0,
        "rounds": 1,
        "median": 1e-9,
        "iqr": 0,
        "q1": 0,
        "q3": 0,
        "iqr_outliers": 0,
        "stddev_outliers": 0,
        "outliers": "0;0",
        "ld15iqr": 0,
        "hd15iqr": 0,
        "ops": 1e9,
        "total": 1e-9,
        "iterations": 1,
        "data": [1e-9],
    }
    entries = [
        {
            "fullname": f"bench/test_training.py::test_training[{cell}]",
            "name": cell,
            "group": None,
            "params": None,
            "param": None,
            "extra_info": {},
            "options": {},
            "stats": stats,
        }
        for cell in (FIRST, SECOND)
    ]
    saved = {"benchmarks": entries, "machine_info": {}, "commit_info": {}, "version": "5", "datetime": ""}
    store(place, "0001_fast.json", json.dumps(saved).encode())
