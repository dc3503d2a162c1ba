"""Memory that does not suffice: known by its many names, and answered with half as much at a time."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from ncyber_cli.errors import ResourceError

if TYPE_CHECKING:  # the command line starts without numpy
    import numpy as np
    from numpy.typing import NDArray

# torch's words where it raises a plain RuntimeError: the host's memory, and libraries that take their own on a GPU.
_WORDS = ("can't allocate memory", "out of memory", "_STATUS_ALLOC_FAILED", "_STATUS_NOT_INITIALIZED")
Found = TypeVar("Found")


class TooLarge(Exception):
    """What was tried at once needs more memory than there is."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was too little memory, of the host or of a GPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, not imported here
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _WORDS)


@contextmanager
def too_large_told() -> Iterator[None]:
    """Raise TooLarge where memory does not suffice for the block."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise TooLarge from error


def release() -> None:
    """Give back what a failed try held. Call it after the `except` block, whose error keeps the tensors of the try."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def in_pieces(
    items: NDArray[np.int64], size: int, work: Callable[[NDArray[np.int64]], Found], remedy: str
) -> Iterator[Found]:
    """`work` on `size` items at a time; where memory does not suffice, on half as many from there on.

    Raises ResourceError where it does not suffice for one; `remedy` says what else to try.
    """
    done = 0
    while done < len(items):
        found: Found | None = None
        try:
            with too_large_told():
                found = work(items[done : done + size])
        except TooLarge:
            pass
        if found is None:
            release()
            size = half(size, remedy)
            continue
        done += size
        yield found


def half(size: int, remedy: str) -> int:
    """Half of a size that is too large. Raises ResourceError for 1."""
    if size == 1:
        raise ResourceError("there is too little memory for a single trial", remedy=remedy)
    return size // 2
