"""What happens when memory runs out: a sentence in place of a traceback. Loads no torch."""

from collections.abc import Iterator
from contextlib import contextmanager

from data_utils.errors import DataError

_MESSAGES = ("allocate memory", "not enough memory", "out of memory")


@contextmanager
def enough_memory(what: str, needed_bytes: int = 0) -> Iterator[None]:
    """Turn failed allocations of numpy and torch into a DataError.

    Args:
        what: What was being done, such as "reading kitchen".
        needed_bytes: That it takes at least; 0 if that is not known.

    Raises:
        DataError: Memory ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(part in str(error) for part in _MESSAGES):
            raise
        needed = f" ({needed_bytes / 1e6:,.0f} MB for the pairs as stored, and more to work on them)"
        raise DataError(
            f"There is not enough memory for {what}{needed if needed_bytes else ''}; use fewer pairs (--pairs, or "
            "a "
            "smaller profile of a run), smaller images (--image-size), or a machine with more memory."
        ) from None
