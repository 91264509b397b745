"""Splits that come with files: a manifest's column, and the tags of FiftyOne."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from data_utils import DataError, PairedDataset, Shares, load
from data_utils.layouts.fiftyone_export import write_fiftyone_export
from data_utils.layouts.manifest import write_manifest
from data_utils.simulator.shapes import simulate

PAIRS = 24


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest and an export of the same 12 scenes."""
    folder, simulation = tmp_path_factory.mktemp("written"), simulate(PAIRS, 0, 8)
    write_manifest(folder / "manifest", simulation)
    write_fiftyone_export(folder / "export", simulation)
    return folder


def with_column(written: Path, words: Sequence[str], encoding: str = "utf-8") -> PairedDataset:
    """The manifest with a column of these words, one per scene."""
    file = written / "manifest" / "manifest.csv"
    table = pd.read_csv(file, dtype=str)
    table["split"] = [words[pair // 2 % len(words)] for pair in range(PAIRS)]
    table.to_csv(file, index=False, encoding=encoding)
    return load(str(file.parent))


def with_tags(written: Path, tags: Sequence[Sequence[str]]) -> PairedDataset:
    """The export with these tags, one list per pair."""
    file = written / "export" / "samples.json"
    content = json.loads(file.read_text())
    for number, sample in enumerate(content["samples"]):
        sample["tags"] = list(tags[number // 2 % len(tags)])
    file.write_text(json.dumps(content))
    return load(str(file.parent))


def counts(dataset: PairedDataset) -> list[int]:
    return [len(part) for part in dataset.world(Shares(valid=0.5, test=0.5), 51).parts.values()]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train", "train", "valid", "test"], [12, 6, 6]),
        (["Train", "training", "VAL", "test"], [12, 6, 6]),
        (["train", "train", "validation ", "test"], [12, 6, 6]),
        (["train", "train", "test"], [8, 8, 8]),
        (["train", "valid"], [6, 12, 6]),
        (["train"], [6, 6, 12]),
        ([""], [6, 6, 12]),  # an empty column is none
    ],
)
def test_a_column_of_a_manifest_assigns_pairs_to_parts(
    words: list[str], expected: list[int], written: Path
) -> None:
    assert counts(with_column(written, words)) == expected


@pytest.mark.parametrize(("word", "shown"), [("dev-1", "'dev-1'"), ("0", "'0'"), ("", "''")])
def test_another_word_is_refused_with_its_row_and_the_words_that_work(
    word: str, shown: str, written: Path
) -> None:
    words = "training, val, validation, train, valid, test"
    with pytest.raises(
        DataError, match=rf"manifest\.csv has {shown} in column 'split' of row 3; write one of {words} "
    ):
        with_column(written, ["train", word, "test"])


def test_parts_are_part_of_the_content(written: Path) -> None:
    hashes = {with_column(written, words).sha256 for words in ([""], ["train", "test"], ["test", "train"])}
    assert len(hashes) == 3


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (
            [["train"], ["train"], ["train"], ["train"], ["validation"], ["val", "checked"], ["test"], ["test"]],
            None,
        ),
        ([["checked"]], [6, 6, 12]),
        ([[]], [6, 6, 12]),
    ],
)
def test_tags_of_whole_scenes_assign_pairs_to_parts(
    tags: list[list[str]], expected: list[int] | None, written: Path
) -> None:
    dataset = with_tags(written, tags)
    assert dataset.notes == ()
    assert counts(dataset) == (expected or [12, 6, 6])


def test_pairs_without_a_tag_train_where_others_have_one(written: Path) -> None:
    dataset = with_tags(written, [["test"], ["test"], [], []])
    assert dataset.assigned.count("train") == dataset.assigned.count("test") == 12
    assert dataset.notes == ("12 pairs without a tag such as train, validation or test are used for training.",)


def test_tags_that_split_scenes_are_not_used(written: Path) -> None:
    dataset = with_tags(written, [["train"], ["validation"]])
    assert dataset.assigned == ()
    assert dataset.notes == (
        "12 of 12 scenes have pairs with different tags (12 train, 12 valid pairs), so a split by tags would "
        "leak; the tags are not used, and the parts are drawn by whole scenes.",
    )


def test_two_tags_of_one_pair_are_refused(written: Path) -> None:
    with pytest.raises(
        DataError, match=r"samples\.json tags 0000\.png as test and train; leave one of these tags"
    ):
        with_tags(written, [["train", "test"]])
