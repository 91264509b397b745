"""A pytest inside this one: loading torch anew takes longer than most of what a nested one is asked for."""

from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass
class Nested:
    """A pytest that has ended.

    Attributes:
        code: its exit status.
        output: what it said.
        ids: of what it collected, as it would have run it.
    """

    code: int = -1
    output: str = ""
    ids: list[str] = field(default_factory=list)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.ids += [item.nodeid for item in session.items]


def nested(arguments: Sequence[str]) -> Nested:
    """Run pytest in this process, from the project's folder; a traceback would be in its output."""
    ended = Nested()
    where = ["--rootdir", str(ROOT), "-c", str(ROOT / "pytest.ini"), "-p", "no:cacheprovider"]
    said = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(said):
        patch.delenv(
            "PYTEST_XDIST_WORKER", raising=False
        )  # the clock is off in workers of a parallel run, and warns
        patch.chdir(ROOT)
        ended.code = int(pytest.main([*arguments, *where], plugins=[ended]))
    ended.output = said.getvalue()
    return ended
