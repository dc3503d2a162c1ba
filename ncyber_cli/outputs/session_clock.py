"""Lays the trials of a session on one clock, because NWB time stamps only ever ascend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_EVEN = 1e-6  # of a step: what sums of floating point numbers are off


@dataclass(frozen=True)
class SessionClock:
    """The bins that are kept, in the order of time; each bin of each trial at most once."""

    trial: NDArray[np.int64]  # (row,) which trial
    bin: NDArray[np.int64]  # (row,) which bin of it
    time_s: NDArray[np.float64]  # (row,) strictly ascending
    shift_s: NDArray[np.float64]  # (trial,) what was added to the trial's own time
    note: str  # what a reader must know, or nothing

    def rate_hz(self) -> float | None:
        """Rows a second where they follow one another evenly, as those of contiguous windows do."""
        steps_s = np.diff(self.time_s)
        even = len(steps_s) > 0 and np.ptp(steps_s) < _EVEN * steps_s.mean()
        return len(steps_s) / float(self.time_s[-1] - self.time_s[0]) if even else None

    def spans(self, first: int = 0, past: int | None = None) -> list[tuple[int, int, int]]:
        """(trial, first row, past-the-last row) of every trial with kept bins, within rows first ... past."""
        trial = self.trial[first:past]
        begins = np.flatnonzero(np.diff(trial, prepend=-1))
        ends = [*begins[1:], len(trial)] if len(begins) else []
        return [(int(trial[b]), int(b) + first, int(e) + first) for b, e in zip(begins, ends, strict=True)]


def session_clock(time_s: NDArray[np.float64], mask: NDArray[np.bool_], bin_s: float) -> SessionClock:
    """Order the masked-in bins of (trial, time) by time.

    Where two trials overlap, the bins that an earlier trial covers are left out of the later one. Trials that
    all begin at the same moment have no session clock (trial-aligned HDF5): they are laid end to end.
    """
    trials = np.flatnonzero(mask.any(1))
    first_s = np.array([time_s[trial, np.argmax(mask[trial])] for trial in trials])
    shift_s = np.zeros(len(mask))
    note = ""
    if len(trials) > 1 and np.ptp(first_s) < bin_s:
        note = "The input gives no session time: trials are laid end to end."
        length_s = [np.ptp(time_s[trial, mask[trial]]) + 2 * bin_s for trial in trials]  # one empty bin between
        shift_s[trials] = np.concatenate([[0.0], np.cumsum(length_s)[:-1]])
    shifted_s = time_s + shift_s[:, None]
    rows, last_s, dropped = [], -np.inf, 0
    for trial in trials[np.argsort(first_s + shift_s[trials], kind="stable")]:
        bins = np.flatnonzero(mask[trial] & (shifted_s[trial] > last_s + 1e-6 * bin_s))
        dropped += int(mask[trial].sum()) - len(bins)
        if len(bins):
            rows.append(np.stack([np.full(len(bins), trial), bins]))
            last_s = shifted_s[trial, bins[-1]]
    if dropped:
        note = f"Trials overlap: {dropped} bins that an earlier trial covers are left out."
    kept = np.concatenate(rows, axis=1) if rows else np.zeros((2, 0), np.int64)
    return SessionClock(kept[0], kept[1], shifted_s[kept[0], kept[1]], shift_s, note)
