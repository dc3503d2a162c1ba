"""Power of a field potential in a frequency band, causal: no sample depends on a later one.

A Butterworth band-pass of order 4, run forwards, and the running mean of its square over about one cycle of the
slowest frequency; a bin holds the mean of the logarithm. The price of causality is that power is seen late, by about
1 / (high - low) and that cycle: some 0.1 s for 13 - 30 Hz, .02 s for 70 - 150 Hz.

After a gap (NaN, or a jump of the clock) the filter starts anew, and what it says within two cycles of the start is
missing: that is the filter settling, not the brain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter, sosfilt, sosfilt_zi

from ncyber_cli.data.grid import SLACK, sample_period_s
from ncyber_cli.data.recording import NeuralStream, Sampled
from ncyber_cli.errors import DataError

_HALF_ORDER = 2  # scipy counts each edge of a band
_SETTLING_CYCLES = 2.0
_LARGEST_STEP = 1.5  # sample periods; a longer one is a gap


def with_band_power(stream: NeuralStream, band_hz: tuple[float, float], where: str) -> NeuralStream:
    """The stream with log power in place of each channel's potential. Raises DataError where the band does not fit."""
    signal = stream.activity
    if not isinstance(signal, Sampled) or signal.time_s is None:
        remedy = "give the recording itself, with its times, or leave band_hz out"
        raise DataError("band_hz needs a continuous signal", where=where, remedy=remedy)
    period_s = sample_period_s(signal.time_s, np.inf)
    if band_hz[1] * period_s >= 0.5:
        what = f"is sampled at {1 / period_s:g} Hz, which holds nothing at {band_hz[1]:g} Hz"
        raise DataError(what, where=where, remedy=f"write a band below {0.5 / period_s:g} Hz")
    n_channel = signal.values.shape[1]
    power = np.empty((len(signal.values), n_channel), np.float32)
    for channel in range(n_channel):  # one at a time: a whole probe would not fit in float64 beside itself
        power[:, channel] = _log_power(signal.values[:, channel].astype(np.float64), signal.time_s, period_s, band_hz)
    return replace(stream, activity=Sampled(power, signal.time_s))


def _log_power(
    potential: NDArray[np.float64], time_s: NDArray[np.float64], period_s: float, band_hz: tuple[float, float]
) -> NDArray[np.float64]:
    sections = butter(_HALF_ORDER, band_hz, "bandpass", fs=1 / period_s, output="sos")
    cycle = 1 / (band_hz[0] * period_s)  # samples
    keep = np.exp(-1 / cycle)
    found = np.full(len(potential), np.nan)
    for run in _unbroken(potential, time_s, period_s):
        part = potential[run]
        band, _ = sosfilt(sections, part, zi=part[0] * sosfilt_zi(sections))  # no step from zero to the first sample
        power = lfilter([1 - keep], [1, -keep], np.square(band))
        settled = int(np.ceil(_SETTLING_CYCLES * cycle))
        found[run][settled:] = np.log(np.maximum(power[settled:], np.finfo(np.float32).tiny))
    return found


def _unbroken(potential: NDArray[np.float64], time_s: NDArray[np.float64], period_s: float) -> Iterator[slice]:
    """Runs of samples without a gap."""
    there = np.flatnonzero(np.isfinite(potential))
    breaks = np.flatnonzero(np.diff(time_s[there]) > _LARGEST_STEP * period_s * (1 + SLACK)) + 1
    for run in np.split(there, breaks):
        if len(run):
            yield slice(int(run[0]), int(run[-1]) + 1)
