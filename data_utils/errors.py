"""The error of this package. Loads no torch."""

from typing import TYPE_CHECKING

from fusiongauge import FusionGaugeError

if TYPE_CHECKING:
    from data_utils.dataset import PairedDataset


class DataError(FusionGaugeError, ValueError):
    """Data that cannot be used. The message is a sentence or two that name the place and the remedy."""


class UnreadableError(DataError):
    """Files of a data set that cannot be used.

    Attributes:
        problems: All problems, the worst first, one or two sentences each; the message has the first.
        usable: The pairs without problems, for ``check`` to look at; None if they make no data set.
    """

    def __init__(self, problems: list[str], usable: "PairedDataset | None" = None) -> None:
        first, *others = problems
        more = f" There are {len(others)} more problems" if len(others) > 1 else " There is one more problem"
        super().__init__(f"{first}{more}; python -m data_utils check lists all." if others else first)
        self.problems = tuple(problems)
        self.usable = usable
