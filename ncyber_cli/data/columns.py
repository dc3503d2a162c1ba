"""Table columns as plain arrays: text decoded, everything else as stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def plain_column(values: Any) -> NDArray[Any] | None:
    """A 1-D array of numbers, booleans or text; None for anything else (references, ragged, images).

    Text comes back as a numpy string array, whatever the file stored (bytes, objects, fixed width).
    """
    array = np.asarray(values)
    if array.ndim != 1:
        return None
    if array.dtype.kind in "biuf":
        return native(array)
    if array.dtype.kind in "SU" or (array.dtype.kind == "O" and all(isinstance(item, (bytes, str)) for item in array)):
        return np.array([text(item) for item in array], dtype=np.str_)
    return None


def native(array: NDArray[Any]) -> NDArray[Any]:
    """Numbers in this machine's byte order, which alone the rest of the program (torch, for one) takes."""
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def text(value: Any) -> str:
    """One stored value as text, without the dress of its storage."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace").strip()
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def texts(values: NDArray[Any] | Sequence[Any]) -> list[str]:
    return [text(item) for item in values]
