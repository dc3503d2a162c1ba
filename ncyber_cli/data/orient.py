"""Any declared axis order to the one order of the program: (trial, time, feature)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.errors import DataError


def orient(values: NDArray[Any], axes: Sequence[str] | None, *, where: str) -> NDArray[Any]:
    """A view of `values` as (time, feature), or (trial, time, feature) where `axes` names a trial axis.

    `axes` names each axis of `values` in the file's order; `unit` and `feature` mean the same.
    Without it values are (time,) or (time, feature). Raises DataError where the two do not fit.
    """
    if axes is None:
        if values.ndim not in (1, 2):
            raise DataError(
                f"has {values.ndim} axes, shape {values.shape}",
                where=where,
                remedy="write axes, e.g. [trial, time, unit]",
            )
        axes = ["time", "unit"][: values.ndim]
    names = ["unit" if name == "feature" else name for name in axes]
    if len(names) != values.ndim or len(set(names)) != len(names) or "time" not in names:
        raise DataError(
            f"has shape {values.shape}, axes say [{', '.join(axes)}]",
            where=where,
            remedy="name every axis once, time among them",
        )
    if "unit" not in names:
        values, names = values[..., None], [*names, "unit"]
    order = [names.index(name) for name in ("trial", "time", "unit") if name in names]
    return np.transpose(values, order)


def keep_columns(values: NDArray[Any], columns: Sequence[int] | None, *, where: str) -> NDArray[Any]:
    """The named columns of the last axis, or all. Raises DataError for a column that is not there."""
    if columns is None:
        return values
    if max(columns, default=0) >= values.shape[-1]:
        raise DataError(
            f"has {values.shape[-1]} columns, columns asks for {max(columns)}",
            where=where,
            remedy="count columns from 0",
        )
    return values[..., list(columns)]
