"""Spikes to counts in bins, for all units and trials, straight into the array that is kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.grid import SLACK, Grid
from ncyber_cli.data.observed import unobserved
from ncyber_cli.data.recording import SpikeTrains


def unit_spikes(trains: SpikeTrains, unit: int) -> NDArray[np.float64]:
    """A view of one unit's spike times."""
    return trains.times_s[trains.ends[unit - 1] if unit else 0 : trains.ends[unit]]


def count_spikes(trains: SpikeTrains, units: NDArray[np.int64], grid: Grid, out: NDArray[np.unsignedinteger]) -> None:
    """Add counts of `units` to the zeros of `out` (trial, time, unit), whose dtype must hold them."""
    one = out.dtype.type(1)
    for column, unit in enumerate(units):
        bins = out[..., column].reshape(-1)  # a view: trial and time are neighbours in memory
        np.add.at(bins, locate(unit_spikes(trains, int(unit)), grid), one)


def count_dtype(trains: SpikeTrains, units: NDArray[np.int64], grid: Grid) -> np.dtype[np.unsignedinteger]:
    """The smallest unsigned integer that holds every count of `units`."""
    most = int(np.iinfo(np.uint8).max)
    trains_of = [unit_spikes(trains, int(unit)) for unit in units]
    peaks = [int(np.bincount(locate(times_s, grid), minlength=1).max()) for times_s in trains_of
             if _may_exceed(times_s, most, grid.bin_s)]  # fmt: skip
    return smallest_unsigned(max(peaks, default=0))


def smallest_unsigned(peak: int) -> np.dtype[np.unsignedinteger]:
    dtype: np.dtype[np.unsignedinteger] = np.min_scalar_type(max(0, peak))
    return dtype


def spike_rates_hz(trains: SpikeTrains, grid: Grid) -> NDArray[np.float64]:
    """Mean rate of each unit over the bins of `grid` in which it was recorded, (unit,)."""
    slack = SLACK * grid.bin_s
    edges = np.stack([grid.start_s, grid.stop_s]) - slack
    counts = np.zeros(len(trains.ends))
    for unit in range(len(counts)):
        counts[unit] = np.diff(np.searchsorted(unit_spikes(trains, unit), edges), axis=0).sum()
    n_bins = np.full(len(counts), grid.n_bins.sum())
    for units, missing in unobserved(trains, np.arange(len(counts)), grid):
        n_bins[units] -= missing.sum()
    rates_hz: NDArray[np.float64] = counts / (np.maximum(n_bins, 1) * grid.bin_s)
    return rates_hz


def locate(times_s: NDArray[np.float64], grid: Grid) -> NDArray[np.int64]:
    """Flat bin (trial * n_time + bin) of every spike in every trial that holds it; trials may overlap."""
    slack = SLACK * grid.bin_s
    first = np.searchsorted(times_s, grid.start_s - slack)
    n_spike = np.searchsorted(times_s, grid.stop_s - slack) - first
    spike = np.repeat(first - (np.cumsum(n_spike) - n_spike), n_spike)
    spike += np.arange(len(spike))
    since_s = times_s[spike] - np.repeat(grid.start_s, n_spike)
    flat: NDArray[np.int64] = np.floor(since_s / grid.bin_s + SLACK).astype(np.int64)
    np.clip(flat, 0, np.repeat(grid.n_bins - 1, n_spike), out=flat)
    flat += np.repeat(np.arange(grid.n_trial) * grid.n_time, n_spike)
    return flat


def _may_exceed(times_s: NDArray[np.float64], most: int, bin_s: float) -> bool:
    """Whether more than `most` of the sorted spikes fall within one bin's length anywhere."""
    return len(times_s) > most and bool(np.min(times_s[most:] - times_s[:-most]) < bin_s * (1 + SLACK))
