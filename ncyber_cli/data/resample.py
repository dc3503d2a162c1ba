"""Sampled signals to bins, one-sided: no bin depends on a sample after its end.

- Samples in the bin: their mean over those that are not missing; counts are summed instead.
- No sample in the bin (sampled more sparsely than binned, or a gap): the last sample before the
  bin's end is held while it is at most two sample periods old, so one dropped sample is bridged. A sample
  is held in its own trial alone: the one before may be a test trial.
- Otherwise, and outside the recorded time, NaN: missing.

Linear interpolation is not used: it would let the next sample speak in earlier bins.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.grid import SLACK, Grid, sample_period_s
from ncyber_cli.data.recording import Sampled
from ncyber_cli.errors import DataError

_HOLD_PERIODS = 2.0
_RATIO_TOLERANCE = 0.01


def resampled(signal: Sampled, grid: Grid, *, counts: bool, where: str) -> Iterator[NDArray[Any]]:
    """Yield each trial's bins in turn, (n_bins of the trial, feature), NaN where missing.

    `counts`: values are spike counts of shorter or equal bins, and are summed. A trial-aligned
    signal is taken as it is. Raises DataError for counts whose bins do not fit into grid.bin_s, and
    for a trial-aligned signal without the grid's trials and bins.
    """
    if signal.time_s is None:
        yield from _as_they_are(signal.values, grid, where)
        return
    period_s = sample_period_s(signal.time_s, grid.bin_s)
    per_bin = _counts_per_bin(grid.bin_s, period_s, where) if counts else 0
    for start_s, n_bins in zip(grid.start_s, grid.n_bins, strict=True):
        edges = start_s + np.arange(n_bins + 1) * grid.bin_s
        cuts = np.searchsorted(signal.time_s, edges - SLACK * grid.bin_s)
        if counts:
            yield _sums(signal.values, cuts, per_bin)
        else:
            means = _means(signal.values, cuts)
            _hold(means, signal.values, signal.time_s, edges, cuts, period_s)
            yield means


def binned(signal: Sampled, grid: Grid, *, where: str) -> NDArray[np.float32]:
    """A signal on the bins, (trial, time, feature); NaN as missing, zeros outside the mask."""
    out = np.zeros((grid.n_trial, grid.n_time, signal.values.shape[-1]), dtype=np.float32)
    for trial, block in enumerate(resampled(signal, grid, counts=False, where=where)):
        out[trial, : len(block)] = block
    return out


def causal_difference(position: Sampled, bin_s: float, begins_s: NDArray[np.float64] | None = None) -> Sampled:
    """Velocity at each sample from this sample and the one before; NaN at the start and after a gap.

    The first sample of a trial has none either, if `begins_s` says when trials begin. Taken between samples and not
    between bins, so that a held position does not stutter.
    """
    if position.time_s is None:  # (trial, time, feature): samples are bins
        steps = np.diff(position.values.astype(np.float64), axis=1) / bin_s
        first = np.full((len(steps), 1, steps.shape[2]), np.nan)
        return Sampled(np.concatenate([first, steps], axis=1), None)
    elapsed = np.diff(position.time_s)
    steps = np.diff(position.values.astype(np.float64), axis=0) / elapsed[:, None]
    steps[elapsed > _HOLD_PERIODS * sample_period_s(position.time_s, bin_s) * (1 + SLACK)] = np.nan
    velocity = np.concatenate([np.full((1, position.values.shape[1]), np.nan), steps])
    if begins_s is not None:
        first = np.searchsorted(position.time_s, begins_s - SLACK * bin_s)
        velocity[first[first < len(velocity)]] = np.nan
    return Sampled(velocity, position.time_s)


def _as_they_are(values: NDArray[Any], grid: Grid, where: str) -> Iterator[NDArray[Any]]:
    if len(values) <= grid.rows.max() or values.shape[1] < grid.n_time:
        raise DataError(
            f"has {values.shape[0]} trials of {values.shape[1]} bins, the neural source has at least "
            f"{int(grid.rows.max()) + 1} of {grid.n_time}",
            where=where,
            remedy="trial-aligned signals need the same trials and bins; check axes",
        )
    for row, n_bins in zip(grid.rows, grid.n_bins, strict=True):
        yield values[row, :n_bins]


def _means(values: NDArray[Any], cuts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean over the samples of each bin that are not missing, (bin, feature)."""
    missing = np.isnan(values[cuts[0] : cuts[-1]]) if values.dtype.kind == "f" else None
    if missing is None or not missing.any():
        n_in = np.diff(cuts)[:, None].astype(np.float64)
        return _quotient(_add(values, cuts), n_in)
    piece = np.where(missing, 0, values[cuts[0] : cuts[-1]])
    valid = _add(~missing, cuts - cuts[0])
    return _quotient(_add(piece, cuts - cuts[0]), valid)


def _quotient(sums: NDArray[np.float64], n_sample: NDArray[np.float64]) -> NDArray[np.float64]:
    """sums / n_sample, NaN where there is no sample."""
    quotient = np.full(sums.shape, np.nan)
    np.divide(sums, n_sample, out=quotient, where=n_sample > 0)
    return quotient


def _sums(values: NDArray[Any], cuts: NDArray[np.int64], per_bin: int) -> NDArray[np.float64]:
    """Counts of each bin, NaN unless all its `per_bin` shorter bins are recorded."""
    sums = _add(values, cuts)
    sums[np.diff(cuts) < per_bin] = np.nan
    return sums


def _add(values: NDArray[Any], cuts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sum over values[cuts[j]:cuts[j + 1]] for each j, (bin, feature); 0 where there is none."""
    sums = np.zeros((len(cuts) - 1, values.shape[1]))
    some = np.diff(cuts) > 0  # reduceat would give an empty bin its neighbour's sample
    if some.any():
        starts = cuts[:-1][some] - cuts[0]
        sums[some] = np.add.reduceat(values[cuts[0] : cuts[-1]], starts, axis=0, dtype=np.float64)
    return sums


def _hold(
    means: NDArray[np.float64],
    values: NDArray[Any],
    time_s: NDArray[np.float64],
    edges: NDArray[np.float64],
    cuts: NDArray[np.int64],
    period_s: float,
) -> None:
    """Fill bins without a sample with the trial's last one before their end, while it is fresh."""
    empty = np.flatnonzero(np.diff(cuts) == 0)
    last = cuts[1:][empty] - 1
    empty, last = empty[last >= cuts[0]], last[last >= cuts[0]]
    fresh = edges[1:][empty] - time_s[last] <= _HOLD_PERIODS * period_s + SLACK * (edges[1] - edges[0])
    means[empty[fresh]] = values[last[fresh]]


def _counts_per_bin(bin_s: float, period_s: float, where: str) -> int:
    ratio = bin_s / period_s
    if ratio < 1 - _RATIO_TOLERANCE or abs(ratio - round(ratio)) > _RATIO_TOLERANCE * ratio:
        raise DataError(
            f"counts are in bins of {period_s:g} s, which do not fill data.bin_s = {bin_s:g} s",
            where=where,
            remedy=f"write bin_s: {period_s:g} or a multiple of it",
        )
    return round(ratio)
