"""Splits into training and test data that authors publish as MATLAB files."""

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

from data_utils.errors import DataError
from fusiongauge import some


def official_parts(
    file: Path,
    names: tuple[str, str],
    member: Callable[[Any], Hashable],
    members: Sequence[Hashable],
    groups: Sequence[Hashable],
) -> tuple[list[str], list[str]]:
    """The part of every pair; empty if there is no split or it cannot be kept, and a note on why.

    Args:
        file: Of the split, in the format of MATLAB 5; it need not exist.
        names: Of its arrays of training and of test members.
        member: What an entry of these arrays stands for.
        members: What every pair stands for.
        groups: The group of every pair, which must be in one part.

    Raises:
        DataError: The file has another content.
    """
    if not file.is_file():
        return [], []
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        content = loadmat(file, variable_names=names, chars_as_strings=True)
        train, test = ({member(entry) for entry in content[name].flat} for name in names)
    except (MatReadError, OSError, ValueError, KeyError, TypeError, NotImplementedError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{file} holds no split with {' and '.join(names)} ({reason}); download it again."
        ) from None
    unlisted = {pair for pair in members if pair not in train and pair not in test}
    if unlisted:
        return [], [f"{file.name} is not used, as it does not list {some(sorted(map(str, unlisted)))}."]
    parts = ["train" if pair in train else "test" for pair in members]
    of_part = [
        {group for group, own in zip(groups, parts, strict=True) if own == part} for part in ("train", "test")
    ]
    if common := sorted(map(str, of_part[0] & of_part[1])):
        return [], [f"{file.name} is not used, as {len(common)} groups are in both parts ({some(common)})."]
    return parts, []
