"""What results files hold, and whether two hold the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, Any]


def numbers(path: Path) -> Arrays:
    """Every dataset of a results file, by its path."""
    found: Arrays = {}

    def keep(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(path) as file:
        file.visititems(keep)
    return found


def same_numbers(one: Arrays, other: Arrays) -> bool:
    """To the bit; NaN is NaN."""
    return one.keys() == other.keys() and all(equal(np.asarray(one[key]), np.asarray(other[key])) for key in one)


def equal(one: NDArray[Any], other: NDArray[Any]) -> bool:
    numeric = one.dtype.kind in "biuf" and other.dtype.kind in "biuf"
    return one.shape == other.shape and bool(np.array_equal(one, other, equal_nan=numeric))
