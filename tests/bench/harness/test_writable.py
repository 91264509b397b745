from pathlib import Path

from bench.harness.writable import why_no_file, why_no_folder
from tests.bench.harness.faults import largest_file


def test_folders_are_made_and_left_empty(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert why_no_folder(folder) == ""
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_or_is_full_has_a_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert why_no_folder(tmp_path / "file") == "File exists"
    assert why_no_folder(tmp_path / "file" / "run") == "Not a directory"
    assert why_no_folder(Path("/proc/nothing")) == "No such file or directory"
    with largest_file(1000):
        assert why_no_folder(tmp_path) == "File too large"


def test_files_are_left_as_they_are(tmp_path: Path) -> None:
    new, old = tmp_path / "a" / "new.json", tmp_path / "old.json"
    old.write_text("old")
    assert (why_no_file(new), why_no_file(old), why_no_file(Path("/dev/full"))) == ("", "", "")
    assert (new.exists(), old.read_text()) == (False, "old")


def test_a_file_that_cannot_be_written_has_a_reason(tmp_path: Path) -> None:
    assert why_no_file(tmp_path) == "it is a folder"
    (tmp_path / "file").touch()
    assert why_no_file(tmp_path / "file" / "x.json") == "File exists"
