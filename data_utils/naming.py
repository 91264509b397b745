"""What can be the name of a modality: networks hold layers by it, and caches files. Loads no torch."""

import re

from data_utils.errors import DataError


def can_name(name: str) -> bool:
    """Whether this can be the name of a modality, which names a part of a ``torch.nn.ModuleDict``."""
    from torch.nn import ModuleDict  # here, as this module loads no torch

    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name) is not None and not hasattr(ModuleDict(), name)


def require_name(name: str, holder: str) -> None:
    """Refuse what cannot be the name of a modality.

    Args:
        name: Of the modality.
        holder: What has it, for the message.

    Raises:
        DataError: It has other characters, or is a name of an attribute of ``ModuleDict``.
    """
    if not can_name(name):
        raise DataError(
            f"{holder} has a modality {name!r}, which cannot name a part of a network; use letters, digits, '_' "
            "and '-', and no name of an attribute of torch.nn.ModuleDict."
        )
