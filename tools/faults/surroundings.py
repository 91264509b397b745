"""Terminals, and the variables of the environment."""

from collections.abc import Iterator, Mapping

from tools.faults.fault import Fault, bench
from tools.faults.pairs import earlier


def terminals() -> Iterator[Fault]:
    """Terminals that are closed, narrow, dumb, or cannot encode; output that nobody reads."""
    for start in ("hangup", "head", "devfull"):
        yield Fault(
            f"output: {start}", bench(), codes=(0, 1, 2, 120, 141), kept=0 if start == "hangup" else 2, start=start
        )
    for encoding in ("ascii", "latin-1", "cp1252", "utf-16"):
        yield Fault(
            f"PYTHONIOENCODING={encoding}",
            bench(),
            env={"PYTHONIOENCODING": encoding},
            says=r"\W*".join("2records"),  # UTF-16 has zeros between them
        )
    for variables in (
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"TERM": "dumb"},
        {"NO_COLOR": "1"},
        {"FORCE_COLOR": "1", "TERM": "dumb"},
        {"PY_COLORS": "1"},
        {"COLUMNS": "40"},
        {"COLUMNS": "1"},
        {"COLUMNS": "nonsense", "LINES": "0"},
    ):
        name = " ".join(f"{key}={value}" for key, value in variables.items())
        yield Fault(name, bench(), env=variables, says="2 records are in")


def environments() -> Iterator[Fault]:
    """Variables that Python, pytest, matplotlib, git and wandb read."""
    unusable: list[Mapping[str, str | None]] = [
        {"HOME": None},
        {"HOME": "/nonexistent"},
        {"TMPDIR": "/nonexistent"},
        {"TMPDIR": "/proc"},
        {"MPLCONFIGDIR": "/proc/nothing"},
        {"MPLBACKEND": "nonsense"},
        {"MPLBACKEND": "TkAgg"},
        {"SOURCE_DATE_EPOCH": "nonsense"},
        {"SOURCE_DATE_EPOCH": "99999999999999999999"},
        {"GIT_DIR": "/nonexistent"},
        {"PATH": ""},
        {"PYTHONWARNINGS": "default"},
        {"PYTHONOPTIMIZE": "1"},
        {"PYTHONDONTWRITEBYTECODE": "1"},
        {"CUDA_VISIBLE_DEVICES": "nonsense"},
        {"PYTEST_XDIST_AUTO_NUM_WORKERS": "2"},
        {"PYTEST_ADDOPTS": "-W error"},
        {"PYTEST_ADDOPTS": "-v --durations 3"},
        {"WANDB_RUN_ID": "one", "WANDB_RESUME": "must", "PYTEST_ADDOPTS": "--track wandb"},
        {"WANDB_MODE": "nonsense", "PYTEST_ADDOPTS": "--track wandb"},
        {"WANDB_MODE": "disabled", "PYTEST_ADDOPTS": "--track wandb"},
    ]
    for variables in unusable:
        name = " ".join(f"{key}={value}" for key, value in variables.items())
        yield Fault(name, bench(), env=variables, says="2 records are in")
    faulty = {"MPLBACKEND": "nonsense", "SOURCE_DATE_EPOCH": "nonsense"}
    for command, says in (("tables", "written to"), ("plots", r"fusion|\.svg"), ("report", "written to")):
        words = ["-m", "bench", command, "{run}"]
        yield Fault(
            f"{command} with {' and '.join(faulty)}", words, env=faulty, says=says, kept=1, prepare=earlier
        )
    refused = {
        "PYTEST_ADDOPTS=-n 2": "leave -n out",
        "PYTEST_ADDOPTS=-n auto": "leave -n out",
        "PYTEST_ADDOPTS=--nonsense": "unrecognized arguments",
    }
    for variable, says in refused.items():
        name, _, value = variable.partition("=")
        yield Fault(variable, bench(), codes=(4,), kept=0, env={name: value}, says=says)
