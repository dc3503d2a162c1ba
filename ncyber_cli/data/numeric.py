"""A dataset as the numbers it should hold, or an error that names it and says what it holds instead."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.columns import native
from ncyber_cli.errors import DataError

_AXES = {0: "one number", 1: "a list of numbers", 2: "a table of numbers"}


def dataset(group: h5py.Group, name: str) -> h5py.Dataset | None:
    """The dataset of that name; None for anything else, for a link that leads nowhere or in a circle, for no name."""
    try:
        item = group.get(name)
    except (KeyError, RuntimeError, ValueError):
        return None
    return item if isinstance(item, h5py.Dataset) else None


def read_numbers(group: h5py.Group, name: str, where: str, *, axes: int = 1) -> NDArray[Any]:
    """The numbers of a dataset with so many axes. `where` is the group. Raises DataError for anything else there."""
    item = dataset(group, name)
    if item is None:
        raise DataError(f"has no {name}", where=where, remedy="the file is damaged, or was not written whole")
    if item.shape is None or item.dtype.kind not in "biuf" or item.ndim != axes:
        what = f"holds {described(item)}, not {_AXES[axes]}"
        raise DataError(what, where=f"{where}/{name}", remedy="write it as NWB has it, e.g. with pynwb")
    return native(item[()])


def read_row_numbers(group: h5py.Group, name: str, where: str, n_row: int) -> NDArray[np.int64]:
    """Numbers of rows of a table with `n_row` rows. Raises DataError for one that is not there."""
    rows = read_numbers(group, name, where)
    wrong = ~((rows >= 0) & (rows < n_row))
    if wrong.any():
        row = rows[int(np.argmax(wrong))]
        raise DataError(
            f"names row {row} of a table of {n_row} rows", where=f"{where}/{name}", remedy="count rows from 0"
        )
    return rows.astype(np.int64)


def read_ends(group: h5py.Group, name: str, where: str, n_value: int) -> NDArray[np.int64]:
    """Where each row's slice of `n_value` values ends. Raises DataError unless they ascend within the values."""
    ends = read_numbers(group, name, where)
    if ends.dtype.kind not in "iu" or np.any(ends[1:] < ends[:-1]) or not np.all((ends >= 0) & (ends <= n_value)):
        raise DataError(
            f"does not cut {n_value} values into rows", where=f"{where}/{name}", remedy="it must ascend within them"
        )
    return ends.astype(np.int64)


def described(item: h5py.Dataset) -> str:
    """What a dataset holds, in words."""
    if item.shape is None:
        return "nothing"
    reference = h5py.check_ref_dtype(item.dtype)
    if reference is not None:
        kind = "references to regions" if reference is h5py.RegionReference else "references to objects"
    elif item.dtype.names is not None:
        kind = f"records ({', '.join(item.dtype.names)})"
    elif item.dtype.kind in "SU" or h5py.check_string_dtype(item.dtype) is not None:
        kind = "text"
    else:
        kind = f"{item.dtype} values"
    return f"{kind} of shape {item.shape}"
