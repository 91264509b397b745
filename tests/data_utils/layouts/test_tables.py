"""Manifests as spreadsheets and Windows write them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_utils import DataError, load
from tests.data_utils.layouts.files import depth_of, write_pairs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_pairs(tmp_path)
    return tmp_path


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", "; "])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_any_separator_and_encoding(folder: Path, separator: str, encoding: str, newline: str) -> None:
    before = load(str(folder))
    text = (folder / "manifest.csv").read_text().replace(",", separator).replace("\n", newline)
    (folder / "manifest.csv").write_bytes(text.encode(encoding))
    assert load(str(folder)).sha256 == before.sha256
    assert load(str(folder)).notes == before.notes


def test_decimal_commas_of_a_spreadsheet(folder: Path) -> None:
    before, manifest = depth_of(folder), folder / "manifest.csv"
    rows = manifest.read_text().replace(",", ";").replace(";2;2;0;0", ";2,0;2,0;0,0;0,0")
    manifest.write_text(f"sep=;\n{rows}")
    np.testing.assert_array_equal(depth_of(folder), before)


def test_decimal_commas_in_a_table_with_commas_are_refused(folder: Path) -> None:
    manifest = folder / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",2,2,0,0", ",2,0,2,0,0,0,0,0"))
    with pytest.raises(DataError, match=r"row 1 has 12 values for 8 columns; write decimal points, not commas"):
        load(str(folder))


def test_trailing_separators_and_empty_lines_are_nothing(folder: Path) -> None:
    manifest, before = folder / "manifest.csv", load(str(folder)).sha256
    manifest.write_text(manifest.read_text().replace("\n", ",\n\n,,\n"))
    assert load(str(folder)).sha256 == before


def test_a_table_of_windows_is_read_with_a_note(folder: Path) -> None:
    manifest = folder / "manifest.csv"
    manifest.write_bytes(manifest.read_text().replace(",a,", ",Stühle,").encode("cp1252"))
    data = load(str(folder))
    assert data.info.classes == ("Stühle", "b")
    assert "manifest.csv is not UTF-8 and was read as Windows-1252" in data.notes[0]


@pytest.mark.parametrize("name", ["manifest.tsv", "manifest.txt", "pairs.CSV"])
def test_other_names_of_tables(folder: Path, name: str) -> None:
    before = load(str(folder)).sha256
    (folder / "manifest.csv").rename(folder / name)
    assert load(str(folder if name.startswith("manifest") else folder / name)).sha256 == before


def test_parquet_is_a_table(folder: Path) -> None:
    pytest.importorskip("pyarrow")
    before = load(str(folder)).sha256
    pd.read_csv(folder / "manifest.csv").to_parquet(folder / "manifest.parquet")
    (folder / "manifest.csv").unlink()
    assert load(str(folder)).sha256 == before
    (folder / "manifest.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"manifest\.parquet is not a parquet file"):
        load(str(folder))


def test_parquet_without_its_package_names_the_remedy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: object) -> None:
        raise ImportError("Unable to find a usable engine")

    monkeypatch.setattr(pd, "read_parquet", missing)
    (folder / "manifest.csv").rename(folder / "manifest.parquet")
    with pytest.raises(DataError, match=r"needs the package pyarrow; .*pip install 'fusiongauge\[parquet\]'"):
        load(str(folder))
