from pathlib import Path

import pytest

from bench.records import RecordError
from bench.report.page import page
from bench.report.writing import write_page
from tests.bench.report.pages import hand_made


@pytest.mark.slow
def test_another_process_draws_the_same_page(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.html"
    write_page([hand_made()], path)
    html = path.read_text(encoding="utf-8")
    assert "data:image/svg+xml" in html
    assert html == page([hand_made()])


@pytest.mark.slow
def test_an_error_while_drawing_is_raised_and_leaves_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.report.writing.images", refuse)
    with pytest.raises(RecordError, match="cannot be drawn"):
        write_page([hand_made()], tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def refuse(group: object) -> None:
    raise RecordError(f"cannot be drawn: {group}")
