"""A pytest inside this one: loading torch anew takes longer than most nested runs."""

import traceback
import warnings
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(eq=False)  # pytest keeps its plug-ins in sets
class Nested:
    """A pytest that has ended.

    Attributes:
        code: Its exit status.
        output: What it printed.
        ids: Of what it collected, as it would have run it.
    """

    code: int = -1
    output: str = ""
    ids: list[str] = field(default_factory=list)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.ids += [item.nodeid for item in session.items]


def nested(arguments: Sequence[str], folder: Path | None = None, plugins: Sequence[object] = ()) -> Nested:
    """Run pytest in this process as a user does in the project's folder, or in another one, with more plug-ins."""
    ended = Nested()
    where = [] if folder else ["--rootdir", str(ROOT), "-c", str(ROOT / "pytest.ini")]
    where += ["-p", "no:cacheprovider"]
    printed = StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(printed),
        redirect_stderr(printed),
        warnings.catch_warnings(record=True),
    ):
        warnings.resetwarnings()  # here they are errors; a user sees a summary of them
        patch.delenv("PYTEST_XDIST_WORKER", raising=False)  # in workers of a parallel run nothing is timed
        patch.chdir(folder or ROOT)
        try:
            ended.code = int(pytest.main([*arguments, *where], plugins=[ended, *plugins]))
        except Exception:  # as the interpreter ends
            traceback.print_exc()
            ended.code = 1
    ended.output = printed.getvalue()
    return ended
