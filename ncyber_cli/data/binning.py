"""Spikes to counts in bins, for all units and trials, straight into the array that is kept."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.grid import SLACK, Grid
from ncyber_cli.data.recording import SpikeTrains

_BLOCK_BYTES = 32 << 20  # bounds what is held beside the binned data


def unit_spikes(trains: SpikeTrains, unit: int) -> NDArray[np.float64]:
    """A view of one unit's spike times."""
    return trains.times_s[trains.ends[unit - 1] if unit else 0 : trains.ends[unit]]


def count_spikes(trains: SpikeTrains, units: NDArray[np.int64], grid: Grid, out: NDArray[np.unsignedinteger]) -> None:
    """Write counts of `units` into `out` (trial, time, unit), whose dtype must hold them."""
    for columns, counts in _blocks(trains, units, grid):
        out[..., columns] = counts


def count_dtype(trains: SpikeTrains, units: NDArray[np.int64], grid: Grid) -> np.dtype[np.unsignedinteger]:
    """The smallest unsigned integer that holds every count of `units`."""
    smallest = np.dtype(np.uint8)
    most = int(np.iinfo(smallest).max)
    if not any(_may_exceed(unit_spikes(trains, int(unit)), most, grid.bin_s) for unit in units):
        return smallest
    return smallest_unsigned(max(int(counts.max()) for _, counts in _blocks(trains, units, grid)))


def smallest_unsigned(peak: int) -> np.dtype[np.unsignedinteger]:
    dtype: np.dtype[np.unsignedinteger] = np.min_scalar_type(max(0, peak))
    return dtype


def spike_rates_hz(trains: SpikeTrains, grid: Grid) -> NDArray[np.float64]:
    """Mean rate of each unit over the bins of `grid`, (unit,)."""
    slack = SLACK * grid.bin_s
    edges = np.stack([grid.start_s, grid.stop_s]) - slack
    counts = np.zeros(len(trains.ends))
    for unit in range(len(counts)):
        counts[unit] = np.diff(np.searchsorted(unit_spikes(trains, unit), edges), axis=0).sum()
    return counts / float(grid.n_bins.sum() * grid.bin_s)


def _blocks(trains: SpikeTrains, units: NDArray[np.int64], grid: Grid) -> Iterator[tuple[slice, NDArray[np.int64]]]:
    """Yield (columns, counts (trial, time, unit)) for a few units at a time."""
    n_flat = grid.n_trial * grid.n_time
    width = max(1, _BLOCK_BYTES // (8 * n_flat))
    for first in range(0, len(units), width):
        block = units[first : first + width]
        flat = [locate(unit_spikes(trains, int(unit)), grid) * len(block) + j for j, unit in enumerate(block)]
        counts = np.bincount(np.concatenate(flat), minlength=n_flat * len(block))
        yield slice(first, first + len(block)), counts.reshape(grid.n_trial, grid.n_time, len(block))


def locate(times_s: NDArray[np.float64], grid: Grid) -> NDArray[np.int64]:
    """Flat bin (trial * n_time + bin) of every spike in every trial that holds it; trials may overlap."""
    slack = SLACK * grid.bin_s
    first = np.searchsorted(times_s, grid.start_s - slack)
    n_spike = np.searchsorted(times_s, grid.stop_s - slack) - first
    trial = np.repeat(np.arange(grid.n_trial), n_spike)
    spike = np.arange(len(trial)) + np.repeat(first - (np.cumsum(n_spike) - n_spike), n_spike)
    flat: NDArray[np.int64] = np.floor((times_s[spike] - grid.start_s[trial]) / grid.bin_s + SLACK).astype(np.int64)
    np.clip(flat, 0, grid.n_bins[trial] - 1, out=flat)
    flat += trial * grid.n_time
    return flat


def _may_exceed(times_s: NDArray[np.float64], most: int, bin_s: float) -> bool:
    """Whether more than `most` of the sorted spikes fall within one bin's length anywhere."""
    return len(times_s) > most and bool(np.min(times_s[most:] - times_s[:-most]) < bin_s * (1 + SLACK))
