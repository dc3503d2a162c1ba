"""The bins of a session: where each trial starts, how many bins it has, which event is its 0 s."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.data.recording import IntervalTable, NeuralStream, Sampled, SpikeTrains
from ncyber_cli.data.select import select
from ncyber_cli.errors import DataError
from ncyber_cli.spec import Trials, Windows

_MOST_BINS = 1e9  # of a session; a day in bins of 0.1 ms is fewer
SLACK = 1e-6  # of a bin: times of a 50 kHz clock stay apart, rounding at a bin's edge does not decide


@dataclass(frozen=True)
class Grid:
    """Bins [start_s + j bin_s, start_s + (j + 1) bin_s) of every trial; `rows` are the trials' rows in their source."""

    bin_s: float
    start_s: NDArray[np.float64]  # (trial,)
    n_bins: NDArray[np.int64]  # (trial,) at least 1
    event_s: NDArray[np.float64]  # (trial,)
    rows: NDArray[np.int64]  # (trial,)

    @property
    def n_trial(self) -> int:
        return len(self.rows)

    @property
    def n_time(self) -> int:
        return int(self.n_bins.max())

    @cached_property
    def stop_s(self) -> NDArray[np.float64]:
        return self.start_s + self.n_bins * self.bin_s

    def mask(self) -> NDArray[np.bool_]:
        """(trial, time): False after a short trial's end."""
        return np.arange(self.n_time) < self.n_bins[:, None]

    def centre_s(self) -> NDArray[np.float64]:
        """(trial, time): centre of each bin, NaN outside the mask."""
        centre = self.start_s[:, None] + (np.arange(self.n_time) + 0.5) * self.bin_s
        return np.where(self.mask(), centre, np.nan)

    def take(self, trials: NDArray[np.bool_] | NDArray[np.int64]) -> Grid:
        return Grid(self.bin_s, self.start_s[trials], self.n_bins[trials], self.event_s[trials], self.rows[trials])


def trial_grid(table: IntervalTable, trials: Trials, bin_s: float, span_s: tuple[float, float], *, where: str) -> Grid:
    """Bins around the event of each kept row; an edge falls on the event where start..stop is cut.

    Rows are left out if `trials.where` says so, if their event or an end is not a finite time, if
    they are shorter than a bin, or if they lie outside `span_s`, the recorded time. Raises
    DataError if none is left.
    """
    columns = table.columns
    for name in (trials.align, "start_time", "stop_time"):
        if name not in columns or columns[name].dtype.kind not in "iuf":
            numeric = [key for key, values in columns.items() if values.dtype.kind in "iuf"]
            raise DataError(
                f"table {trials.table!r} has no column of times {name!r}",
                where=where,
                remedy=did_you_mean(name, numeric),
            )
    event_s = np.asarray(columns[trials.align], dtype=np.float64)
    if trials.window_s is not None:
        start_s = event_s + trials.window_s[0]
        stop_s = event_s + trials.window_s[1]
    else:
        begin_s = np.asarray(columns["start_time"], dtype=np.float64)
        start_s = event_s + np.ceil((begin_s - event_s) / bin_s - SLACK) * bin_s
        stop_s = np.asarray(columns["stop_time"], dtype=np.float64)
    with np.errstate(over="ignore"):
        length = np.floor((stop_s - start_s) / bin_s + SLACK)
    timed = np.isfinite(event_s) & np.isfinite(start_s) & np.isfinite(stop_s)
    long_enough = timed & (length >= 1)
    kept = long_enough & (stop_s > span_s[0]) & (start_s < span_s[1])
    chosen = np.ones_like(kept)
    if trials.where is not None:
        named = {"id": np.array(table.id), **columns}
        chosen = select(trials.where, named, len(table.id), where=f"{where}: trials.where")
    rows = np.flatnonzero(kept & chosen)
    if rows.size == 0:
        raise DataError(
            f"no trial of {trials.table!r} is left: of {len(kept)}, {int(chosen.sum())} are selected, "
            f"{int(timed.sum())} have finite times, {int(long_enough.sum())} last a bin or more, "
            f"{int(kept.sum())} of these lie within the recording",
            where=where,
            remedy=f"check trials.where, trials.align and trials.window_s; recorded: {span_s[0]:g} to {span_s[1]:g} s",
        )
    _check_number(rows.size * float(length[rows].max()), bin_s, where)
    return Grid(bin_s, start_s[rows], length[rows].astype(np.int64), event_s[rows], rows)


def window_grid(windows: Windows, bin_s: float, span_s: tuple[float, float], *, where: str) -> Grid:
    """Contiguous windows over `span_s`; a remainder of at least half a window is kept as a short one.

    Raises DataError if the recording is shorter than half a window.
    """
    _check_number((span_s[1] - span_s[0]) / bin_s, bin_s, where)
    length = max(1, round(windows.length_s / bin_s))
    total = int(np.floor((span_s[1] - span_s[0]) / bin_s + SLACK))
    n_full, rest = divmod(total, length)
    n_bins = np.array([length] * n_full + ([rest] if rest and 2 * rest >= length else []), dtype=np.int64)
    if n_bins.size == 0:
        raise DataError(
            f"recording lasts {span_s[1] - span_s[0]:g} s, less than half a window",
            where=where,
            remedy="write a shorter windows.length_s",
        )
    rows = np.arange(len(n_bins))
    start_s = span_s[0] + rows.astype(np.float64) * (length * bin_s)
    return Grid(bin_s, start_s, n_bins, start_s, rows)


def _check_number(n_bins: float, bin_s: float, where: str) -> None:
    """Raise DataError for bins that would only fill the memory."""
    if n_bins > _MOST_BINS:
        remedy = "write a larger data.bin_s or shorter windows, and check that times are in seconds"
        raise DataError(f"would be {n_bins:.4g} bins of {bin_s:g} s", where=where, remedy=remedy)


def aligned_grid(streams: Sequence[NeuralStream], bin_s: float, *, where: str) -> Grid:
    """Trials as the arrays hold them; bins after the last one with any value of any unit are padding.

    A trial without any value is left out. The file gives no session time, so every trial starts at 0 s.
    Raises DataError if the sources differ in trials or bins, or if no value is left.
    """
    present = [stream for stream in streams if stream.unit_id or isinstance(stream.activity, Sampled)]
    activities = [stream.activity for stream in present if isinstance(stream.activity, Sampled)]
    shapes: set[tuple[int, ...]] = {signal.values.shape[:2] for signal in activities if signal.time_s is None}
    if len(shapes) != 1 or len(activities) != len(present) or any(signal.time_s is not None for signal in activities):
        raise DataError(
            "neural sources differ in trials or bins a trial",
            where=where,
            remedy="all need axes with trial, of one shape",
        )
    n_trial = next(iter(shapes))[0]
    n_bins = np.zeros(n_trial, dtype=np.int64)
    for signal in activities:
        for trial in range(n_trial):
            recorded = np.flatnonzero(~np.isnan(signal.values[trial]).all(axis=-1))
            n_bins[trial] = max(n_bins[trial], recorded[-1] + 1 if recorded.size else 0)
    rows = np.flatnonzero(n_bins)
    if rows.size == 0:
        raise DataError(f"all {n_trial} trials are empty or NaN", where=where, remedy="check the neural source")
    zero = np.zeros(len(rows))
    return Grid(bin_s, zero, n_bins[rows], zero, rows)


def recorded_span_s(streams: Sequence[NeuralStream], bin_s: float, *, where: str) -> tuple[float, float]:
    """Seconds in which every source is recorded.

    Spikes: from first to last spike, widened to whole bins of session time. Samples: half a period
    (at most half a bin) before the first to as long after the last, so that samples as dense as
    bins stand at their centres. Raises DataError if nothing is recorded by all.
    """
    starts, stops = [-np.inf], [np.inf]
    for stream in streams:
        activity = stream.activity
        if isinstance(activity, SpikeTrains):
            if activity.times_s.size:
                starts.append(np.floor(activity.times_s.min() / bin_s) * bin_s)
                stops.append((np.floor(activity.times_s.max() / bin_s) + 1) * bin_s)
        elif activity.time_s is not None:
            half = min(sample_period_s(activity.time_s, bin_s), bin_s) / 2
            starts.append(activity.time_s[0] - half)
            stops.append(activity.time_s[-1] + half)
    start, stop = float(max(starts)), float(min(stops))
    if not (np.isfinite(start) and np.isfinite(stop) and start < stop):
        raise DataError("neural sources share no recorded time", where=where, remedy="check that they are not empty")
    return start, stop


def sample_period_s(time_s: NDArray[np.float64], default: float) -> float:
    """The usual time from one sample to the next: the median step."""
    return float(np.median(np.diff(time_s))) if len(time_s) > 1 else default
