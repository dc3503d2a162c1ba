"""Checks of values that a schema validator passes: each names the object and the first bad index."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.errors import DataError

LARGEST = float(np.finfo(np.float32).max)  # activity and behaviour are kept in float32
_CHUNK = 1 << 22  # bounds the temporaries of a check over hundreds of millions of spikes


def check_spike_times(times_s: NDArray[np.float64], ends: NDArray[np.int64], *, where: str) -> None:
    """Raise DataError unless every spike time (spike,) is finite and no unit's times descend.

    `ends` (unit,) are the ends of the units' slices.
    """
    if np.any(np.diff(ends, prepend=0) < 0) or (int(ends[-1]) if len(ends) else 0) != len(times_s):
        raise DataError(
            f"index does not cut the {len(times_s)} spike times into units",
            where=f"{where}_index",
            remedy="it must ascend and end at the number of spikes",
        )
    for start in range(0, len(times_s), _CHUNK):
        piece = times_s[start : start + _CHUNK + 1]  # one more, so that no neighbouring pair is missed
        finite = np.isfinite(piece)
        if not finite.all():
            index = start + int(np.argmin(finite))
            raise _at(f"spike time is {times_s[index]}", where, index, ends, "remove it or write a finite time")
        descends = np.flatnonzero(piece[1:] < piece[:-1]) + start + 1
        descends = descends[~np.isin(descends, ends)]  # the next unit starts again from the beginning
        if descends.size:
            index = int(descends[0])
            what = f"spike time {times_s[index]:g} s comes after {times_s[index - 1]:g} s"
            raise _at(what, where, index, ends, "sort the spike times within each unit")


def check_timestamps(time_s: NDArray[Any], *, where: str) -> NDArray[np.float64]:
    """Timestamps (time,) as float64. Raises DataError unless they are finite and strictly ascending."""
    if time_s.dtype.kind not in "biuf" or time_s.ndim != 1:
        what = f"holds {time_s.dtype} values of shape {time_s.shape}, not a list of times"
        raise DataError(what, where=where, remedy="write one number a sample, in seconds")
    time = np.asarray(time_s, dtype=np.float64)
    finite = np.isfinite(time)
    if not finite.all():
        index = int(np.argmin(finite))
        raise DataError(f"timestamp {index} is {time[index]}", where=where, remedy="write finite times, in seconds")
    steps = np.diff(time)
    if not (steps > 0).all():
        index = int(np.argmax(steps <= 0)) + 1
        kind = "repeats" if steps[index - 1] == 0 else "descends"
        raise DataError(
            f"timestamp {index} {kind} ({time[index]:g} s after {time[index - 1]:g} s)",
            where=where,
            remedy="timestamps must ascend strictly, in seconds",
        )
    return time


def check_counts(values: NDArray[Any], *, where: str) -> None:
    """Raise DataError unless every value is a count: a non-negative whole number, or NaN for missing."""
    rows = max(1, _CHUNK // max(1, values[:1].size))
    for start in range(0, len(values), rows):
        piece = values[start : start + rows]
        bad = piece < 0
        if piece.dtype.kind == "f":
            bad |= ~np.isnan(piece) & (piece != np.floor(piece)) | np.isinf(piece)
        if bad.any():
            at = [int(i) for i in np.argwhere(bad)[0]]
            value = piece[tuple(at)]
            at[0] += start
            raise DataError(
                f"value {value} at {at} is not a spike count",
                where=where,
                remedy="kind: spikes needs whole counts; write kind: calcium or lfp for a continuous signal",
            )


def check_finite(values: NDArray[Any], *, where: str) -> None:
    """Raise DataError for an infinite value, or one that float32 cannot hold; NaN means missing and passes."""
    if values.dtype.kind != "f":
        return
    rows = max(1, _CHUNK // max(1, values[:1].size))
    for start in range(0, len(values), rows):
        piece = values[start : start + rows]
        beyond = np.isinf(piece) if piece.dtype.itemsize <= 4 else np.abs(piece) > LARGEST
        if beyond.any():
            at = [int(i) for i in np.argwhere(beyond)[0]]
            value = piece[tuple(at)]
            at[0] += start
            what = f"value at {at} is infinite" if np.isinf(value) else f"value {value:.4g} at {at} is too large"
            raise DataError(what, where=where, remedy="write NaN where a value is missing")


def _at(what: str, where: str, index: int, ends: NDArray[np.int64], remedy: str) -> DataError:
    unit = int(np.searchsorted(ends, index, side="right"))
    return DataError(f"{what} at index {index} (unit row {unit})", where=where, remedy=remedy)
