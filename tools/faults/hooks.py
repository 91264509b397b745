"""Other plug-ins of pytest."""

from collections.abc import Iterator
from functools import partial

from tools.faults.fault import Fault, Place, bench


def hooks() -> Iterator[Fault]:
    """Other plug-ins of pytest that raise at the end."""
    for hook in (
        "pytest_sessionfinish",
        "pytest_terminal_summary",
        "pytest_unconfigure",
        "pytest_benchmark_generate_commit_info",
        "pytest_benchmark_generate_json",
        "pytest_benchmark_group_stats",
        "pytest_benchmark_scale_unit",
        "pytest_benchmark_update_json",
    ):
        prepare = partial(_hooked, hook=hook)
        yield Fault(f"{hook} raises", bench("-p", "hooked"), says=r"\(OSError: theirs\)", prepare=prepare)
    prepare = partial(_hooked, hook="pytest_sessionfinish")
    for words, codes, says in (
        ("--junitxml {folder}/x.xml", (1,), "FAILED: pytest or one of its plug-ins failed at the end"),
        ("--device gpu", (4,), "cpu, cuda or cuda:N"),
        ("--dataset {folder}", (4,), "in no known layout|holds no"),
        ("--co", (0,), "test_training"),
    ):
        kept = 2 * (codes == (1,))
        name = f"pytest_sessionfinish raises with {words}"
        yield Fault(
            name, bench("-p", "hooked", *words.split(" ")), codes=codes, kept=kept, says=says, prepare=prepare
        )


def _hooked(place: Place, hook: str) -> None:
    text = f"import pytest\n@pytest.hookimpl(tryfirst=True)\ndef {hook}():\n    raise OSError('theirs')\n"
    (place.folder / "hooked.py").write_text(text, encoding="utf-8")
