"""Table columns as plain arrays: text decoded, everything else as stored."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_STEERING = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


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
    """One stored value as text, without the dress of its storage; characters that steer a terminal become `?`."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    words = value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)
    return _STEERING.sub("?", words.strip("\0 \t\r\n"))


def texts(values: NDArray[Any] | Sequence[Any]) -> list[str]:
    return [text(item) for item in values]
