"""Which classes models confuse: the counts of predictions of each model, over the seeds of its records."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.frames import completed, grouped
from bench.metrics import IN_WORDS, class_accuracies, reported_part
from bench.records import RunRecord

SHADES = 5
"""Grades of a cell's share of its row, besides none."""


MOST_CLASSES = 20
"""Of more classes a matrix is too large to be read, and its page too large to be opened: 38 models of 100 classes
have 380,000 cells. Their most frequent mistakes are listed instead."""

MISTAKES = 3
"""How many are listed per class."""


@dataclass(frozen=True)
class Confusion:
    """The counts of a model's predictions.

    Attributes:
        model: With its variant.
        part: The pairs in words, "test" or "validation".
        seeds: In ascending order; a pair of several seeds is counted in each.
        classes: In the order of labels.
        counts: The pairs of each class, in rows, that each class was predicted for, in columns.
    """

    model: str
    part: str
    seeds: tuple[int, ...]
    classes: tuple[str, ...]
    counts: list[list[int]]

    @property
    def accuracies(self) -> list[float | None]:
        """The share of each class that is right; None for a class without pairs."""
        return class_accuracies(self.counts)

    @property
    def is_readable(self) -> bool:
        """Whether there are few enough classes for a matrix."""
        return len(self.classes) <= MOST_CLASSES

    def mistakes(self, row: int) -> list[tuple[str, int]]:
        """The classes that a class is most often taken for, at most MISTAKES, with the number of pairs."""
        wrong = [(label, count) for label, count in enumerate(self.counts[row]) if count and label != row]
        most = sorted(wrong, key=lambda found: -found[1])[:MISTAKES]
        return [(self.classes[label], count) for label, count in most]

    def shade(self, row: int, column: int) -> int:
        """The grade of a cell: 0 for no pair, up to SHADES for all pairs of its row."""
        pairs = sum(self.counts[row])
        return -(-SHADES * self.counts[row][column] // pairs) if pairs else 0


def confusions(records: Sequence[RunRecord]) -> list[Confusion]:
    """The confusion of each model, on the part of the pairs that the records report on.

    Models whose records have no counts, as those of older versions, are left out.
    """
    part = reported_part(records)
    of_part = {id(record): getattr(record, f"{part}_confusion") for record in records}
    counted = [record for record in completed(records) if _fits(of_part[id(record)], len(record.class_names))]
    by_model = grouped(counted, lambda record: (record.label, tuple(record.class_names)))
    return [
        Confusion(
            model=model,
            part=IN_WORDS[part],
            seeds=tuple(sorted({record.seed for record in of_model})),
            classes=classes,
            counts=_summed([of_part[id(record)] for record in of_model]),
        )
        for (model, classes), of_model in by_model.items()
    ]


def _fits(counts: list[list[int]] | None, classes: int) -> bool:
    return counts is not None and len(counts) == classes and all(len(row) == classes for row in counts)


def _summed(matrices: Sequence[list[list[int]]]) -> list[list[int]]:
    return [[sum(cells) for cells in zip(*rows, strict=True)] for rows in zip(*matrices, strict=True)]
