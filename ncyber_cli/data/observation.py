"""The observation array of a session: allocated once in its final type, filled a little at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.binning import count_dtype, count_spikes, smallest_unsigned
from ncyber_cli.data.grid import Grid
from ncyber_cli.data.observed import unobserved
from ncyber_cli.data.recording import NeuralStream, Sampled, SpikeTrains
from ncyber_cli.data.resample import resampled
from ncyber_cli.spec import NeuralSource


def observe(
    streams: Sequence[NeuralStream],
    sources: Sequence[NeuralSource],
    chosen: Sequence[NDArray[np.int64]],
    grid: Grid,
    where: str,
) -> NDArray[Any]:
    """Activity of the chosen units on the bins, (trial, time, unit).

    Spikes are counts in the smallest unsigned integer that holds them where all units are spikes and nothing is
    missing; everything else is float32 with NaN as missing. Bins outside the mask are zero.
    """
    dtypes = [
        _dtype(stream, source, units, grid, where)
        for stream, source, units in zip(streams, sources, chosen, strict=True)
        if len(units)
    ]
    n_unit = sum(len(units) for units in chosen)
    out = np.zeros((grid.n_trial, grid.n_time, n_unit), dtype=_shared(dtypes))
    first = 0
    for stream, source, units in zip(streams, sources, chosen, strict=True):
        if not len(units):
            continue
        columns = out[..., first : first + len(units)]
        first += len(units)
        if isinstance(stream.activity, SpikeTrains):
            count_spikes(stream.activity, units, grid, columns)
            for places, bins in unobserved(stream.activity, units, grid):
                for place in places:
                    columns[bins, place] = np.nan
            continue
        for trial, block in enumerate(_blocks(stream.activity, source, grid, where)):
            columns[trial, : len(block)] = block[:, units]
    return out


def _shared(dtypes: Sequence[np.dtype[Any]]) -> np.dtype[Any]:
    """The type of the whole array: numpy would want float64 for counts of 32 bits beside float32."""
    floats = any(dtype.kind == "f" for dtype in dtypes)
    return np.dtype(np.float32) if floats else np.result_type(*dtypes)


def _dtype(
    stream: NeuralStream, source: NeuralSource, units: NDArray[np.int64], grid: Grid, where: str
) -> np.dtype[Any]:
    if isinstance(stream.activity, SpikeTrains):
        if any(True for _ in unobserved(stream.activity, units, grid)):
            return np.dtype(np.float32)
        return count_dtype(stream.activity, units, grid)
    if source.kind != "spikes":
        return np.dtype(np.float32)
    peak = 0
    for block in _blocks(stream.activity, source, grid, where):
        most = float(np.max(block[:, units], initial=0))  # NaN if any is missing
        if np.isnan(most):
            return np.dtype(np.float32)
        peak = max(peak, int(most))
    return smallest_unsigned(peak)


def _blocks(signal: Sampled, source: NeuralSource, grid: Grid, where: str) -> Any:
    return resampled(signal, grid, counts=source.kind == "spikes", where=f"{where}: {source.source}")
