"""Manifests as spreadsheets and Windows write them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data_utils import DataError, load
from data_utils.layouts.manifest import list_manifest
from tests.data_utils.layouts.files import depth_of, write_pairs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_pairs(tmp_path)
    return tmp_path


def listed(folder: Path) -> list[object]:
    """All that a table tells; the files that it names are not read."""
    listing = list_manifest(folder)
    sources = [(name, source.files, source.intrinsics) for name, source in listing.sources.items()]
    intrinsics = [(name, files, None if k is None else k.tolist()) for name, files, k in sources]
    return [listing.classes, listing.labels, listing.groups, listing.names, listing.notes, intrinsics]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", "; "])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_any_separator_and_encoding(folder: Path, separator: str, encoding: str, newline: str) -> None:
    before, manifest = listed(folder), folder / "manifest.csv"
    text = manifest.read_text().replace(",", separator).replace("\n", newline)
    manifest.write_bytes(text.encode(encoding))
    assert listed(folder) == before


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_the_zeros_of_an_encoding_tell_it(folder: Path, encoding: str) -> None:
    before, manifest = listed(folder), folder / "manifest.csv"
    manifest.write_bytes(manifest.read_text().encode(encoding))
    assert listed(folder) == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bytes(400), "is not a CSV .it holds zeros"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "fetch it with git lfs pull"),
        (b"/annex/objects/MD5E-s9--a.csv\n", "fetch it with git annex get"),
        (
            b"rgb depth label group fx fy cx cy\n1 2 3 4 5 6 7 8\n",
            "its header line is read as 'rgb depth label group",
        ),
        (
            "rg\u200bb,depth,label,group,fx,fy,cx,cy\n1\n".encode(),
            r"its header line is read as 'rg\\u200bb', 'depth'",
        ),
        (
            b"rgb,depth,label,group,rgb\n1\n",
            "manifest.csv has two columns 'rgb'; rename one of them",
        ),
        (
            b"rgb,depth," + 999 * b"x" + b"\n1\n",
            f"'depth', '{199 * 'x'}[.]{{3}}[.] 'label' is the name",
        ),
    ],
)
def test_what_is_no_such_table_is_refused_with_what_it_is(folder: Path, content: bytes, message: str) -> None:
    (folder / "manifest.csv").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        load(str(folder))
    assert "manifest.csv" in str(caught.value)


def test_a_text_in_place_of_a_link_to_a_table_is_followed(folder: Path) -> None:
    before = load(str(folder)).sha256
    (folder / "manifest.csv").rename(folder / "table.csv")
    (folder / "manifest.csv").write_text("table.csv")
    assert load(str(folder)).sha256 == before


def test_decimal_commas_of_a_spreadsheet(folder: Path) -> None:
    before, manifest = depth_of(folder), folder / "manifest.csv"
    rows = manifest.read_text().replace(",", ";").replace(";2;2;0;0", ";2,0;2,0;0,0;0,0")
    manifest.write_text(f"sep=;\n{rows}")
    np.testing.assert_array_equal(depth_of(folder), before)


@pytest.mark.parametrize(
    ("separator", "first", "others", "value"),
    [
        pytest.param(",", '"2,000",2,0,0', "2,2,0,0", "'2,000' in column 'fx'", id="where commas separate"),
        pytest.param(",", '2,2,0,"1,5"', "2,2,0,0", "'1,5' in column 'cy'", id="decimal where commas separate"),
        pytest.param(";", "2,000;2;0;0", "2.5;2;0;0", "'2,000' in column 'fx'", id="beside a decimal point"),
        pytest.param(";", "2;2,000.5;0;0", "2;2;0;0", "'2,000.5' in column 'fy'", id="before a decimal point"),
    ],
)
def test_a_comma_that_may_separate_thousands_is_refused(
    separator: str, first: str, others: str, value: str, folder: Path
) -> None:
    text = (folder / "manifest.csv").read_text().replace(",2,2,0,0", ",FIRST", 1).replace(",2,2,0,0", ",OTHERS")
    text = text.replace(",", separator).replace("FIRST", first).replace("OTHERS", others)
    (folder / "manifest.csv").write_text(text)
    message = f"has {value} of row 1; write it without a thousands separator, with a decimal point."
    with pytest.raises(DataError, match=message):
        list_manifest(folder)


@pytest.mark.parametrize("invisible", ["\u200b", "\ufeff\ufeff", "\u202a"])
def test_characters_that_nobody_sees_are_nothing(invisible: str, folder: Path) -> None:
    manifest, before = folder / "manifest.csv", listed(folder)
    manifest.write_text(
        invisible + manifest.read_text().replace(",", f"{invisible},{invisible} "), encoding="utf-8"
    )
    assert listed(folder) == before


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


@pytest.mark.parametrize("name", ["manifest.tsv", "manifest.txt", "Manifest.CSV", "pairs.CSV"])
def test_other_names_of_tables(folder: Path, name: str) -> None:
    before = load(str(folder)).sha256
    (folder / "manifest.csv").rename(folder / name)
    assert load(str(folder if name.lower().startswith("manifest") else folder / name)).sha256 == before


def test_parquet_is_a_table(folder: Path) -> None:
    pytest.importorskip("pyarrow")
    before = load(str(folder)).sha256
    table = pd.read_csv(folder / "manifest.csv")
    (folder / "manifest.csv").unlink()
    in_bytes = table.assign(rgb=table["rgb"].str.encode("utf-8"))
    for one in (table, in_bytes, table.set_index("label"), table.astype({"label": "category"})):
        one.to_parquet(folder / "manifest.parquet")
        assert load(str(folder)).sha256 == before
    (folder / "manifest.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"manifest\.parquet is not a parquet file"):
        load(str(folder))
    table.assign(note="damaged later " * 9).to_parquet(folder / "manifest.parquet")
    data = bytearray((folder / "manifest.parquet").read_bytes())
    data[4:80] = bytes(76)
    (folder / "manifest.parquet").write_bytes(data)
    with pytest.raises(DataError, match=r"manifest\.parquet is not a parquet file \((?!None)"):
        load(str(folder))


def test_columns_of_a_parquet_may_hold_anything(folder: Path) -> None:
    """Boxes and encoded images that nobody reads, gaps of nullable types."""
    pytest.importorskip("pyarrow")
    before = load(str(folder)).sha256
    table = pd.read_csv(folder / "manifest.csv")
    (folder / "manifest.csv").unlink()
    table["label"] = table["label"] + " "
    extra: dict[str, Any] = {
        "bbox": [[1.0, 2.0], [], None, [3.0]],
        "jpeg": [b"\xff\xd8", None, b"", b"\xff"],
        "taken": [pd.Timestamp("2026-01-01"), None, None, None],
        "count": pd.array([1, None, 3, 4], dtype="Int64"),
    }
    table.assign(**extra).convert_dtypes().to_parquet(folder / "manifest.parquet")
    assert load(str(folder)).sha256 == before
    with_gap = table.assign(group=pd.array([1, None, 3, 4], dtype="Int64"))
    with_gap.to_parquet(folder / "manifest.parquet")
    with pytest.raises(DataError, match="no value in column 'group' of row 2"):
        load(str(folder))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (
            "rgb",
            {"bytes": 999 * b"\xff", "path": "0.png"},
            "holds images or arrays in column 'rgb', not paths; save",
        ),
        ("rgb", 999 * b"\xff", "holds images or arrays in column 'rgb', not paths; save"),
        ("depth", [[0.5, 1.0]], "holds images or arrays in column 'depth', not paths; save"),
        ("label", ["cat"], "holds lists or bytes in column 'label'; write a text or a number"),
        ("split", [1, 2], "holds lists or bytes in column 'split'; write a text or a number"),
    ],
)
def test_files_in_a_parquet_in_place_of_their_paths_are_refused(
    column: str, value: object, message: str, folder: Path
) -> None:
    pytest.importorskip("pyarrow")
    table = pd.read_csv(folder / "manifest.csv")
    (folder / "manifest.csv").unlink()
    changes: dict[str, Any] = {column: [value] * 4}
    table.assign(**changes).to_parquet(folder / "manifest.parquet")
    with pytest.raises(DataError, match=message) as caught:
        list_manifest(folder)
    assert len(str(caught.value)) < len(str(folder)) + 200


def test_parquet_without_its_package_names_the_remedy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: object) -> None:
        raise ImportError("Unable to find a usable engine")

    monkeypatch.setattr(pd, "read_parquet", missing)
    (folder / "manifest.csv").rename(folder / "manifest.parquet")
    with pytest.raises(DataError, match=r"needs the package pyarrow; .*pip install 'fusiongauge\[parquet\]'"):
        load(str(folder))
