"""Bins in which a unit was not recorded, by NWB's obs_intervals: what is not there is missing, and no silence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.grid import SLACK, Grid
from ncyber_cli.data.recording import SpikeTrains


def unobserved(
    trains: SpikeTrains, units: NDArray[np.int64], grid: Grid
) -> Iterator[tuple[list[int], NDArray[np.bool_]]]:
    """Yield (places in `units`, bins (trial, time)) for units that were not recorded in some of the grid's bins.

    Units of the same intervals, as a rule all, are yielded together.
    """
    if trains.observed_s is None:
        return
    alike: dict[bytes, list[int]] = defaultdict(list)
    for place, unit in enumerate(units):
        alike[np.ascontiguousarray(trains.observed_s[unit], np.float64).tobytes()].append(place)
    alike.pop(b"", None)  # units of which nothing is said
    for intervals, places in alike.items():
        missing = grid.mask() & ~_within(np.frombuffer(intervals, np.float64).reshape(-1, 2), grid)
        if missing.any():
            yield places, missing


def _within(observed_s: NDArray[np.float64], grid: Grid) -> NDArray[np.bool_]:
    """Whether each bin (trial, time) lies wholly in one stretch of intervals that touch or overlap."""
    slack = SLACK * grid.bin_s
    intervals = observed_s[np.argsort(observed_s[:, 0], kind="stable")]
    reach_s = np.maximum.accumulate(intervals[:, 1])
    opens = np.flatnonzero(np.append(True, intervals[1:, 0] > reach_s[:-1] + slack))
    start_s, stop_s = intervals[opens, 0], reach_s[np.append(opens[1:], len(intervals)) - 1]
    begin_s = grid.start_s[:, None] + np.arange(grid.n_time) * grid.bin_s
    stretch = np.searchsorted(start_s, begin_s + slack, side="right") - 1
    inside: NDArray[np.bool_] = (stretch >= 0) & (begin_s + grid.bin_s <= stop_s[stretch] + slack)
    return inside
