"""Checks of spike times: what a schema passes, and what tells a neuron from noise, a copy or a lost cell."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ncyber_cli.checks.naming import some, units_where
from ncyber_cli.checks.registry import Grade, Remark, quality_check, recording_check
from ncyber_cli.data.recording import NeuralStream, Recording, SpikeTrains
from ncyber_cli.spec import Spec

_FASTEST_HZ = 500.0  # no neuron keeps this up over a session; times in ms or ticks read as s look so, or slow
_SLOWEST_HZ = 1e-3
_REFRACTORY_S = 0.0015  # no neuron fires twice within it
_VIOLATIONS = 0.01  # share of intervals; above it several neurons are taken for one (Hill et al. 2011)
_FEWEST = 50  # spikes of a unit that such shares are said of
_TOGETHER_S = 0.002  # spikes of two units within one such bin
_TOGETHER = 0.5  # share of the rarer unit's spikes; one neuron sorted twice is far above, two neurons far below
_DRIFT = 3.0  # times the rate of the first third
_SURE = 6.0  # standard errors, of several hundred units
_GAP_S, _GAP_TIMES = 1.0, 100.0  # all units silent for as long as this, and as this many median intervals


@recording_check(Grade.warning)
def silent_units(recording: Recording, spec: Spec) -> Iterator[Remark]:
    for source, stream, spikes in _spikes(recording, spec):
        if silent := units_where(stream, _counts(spikes) == 0):
            yield source, f"{len(silent)} units never fire ({some(silent)})", "write units: {min_rate_hz: 0.1}"


@recording_check(Grade.warning)
def implausible_rates(recording: Recording, spec: Spec) -> Iterator[Remark]:
    for source, _, spikes in _spikes(recording, spec):
        if len(spikes.times_s) and not _in_seconds(spikes):
            rate_hz, duration_s = _median_rate_hz(spikes)
            what = f"the median unit fires at {rate_hz:.2g} Hz over {duration_s:.4g} s"
            yield source, what, "check that spike times are in seconds"


@quality_check
def refractory_violations(recording: Recording, spec: Spec) -> Iterator[Remark]:
    for source, stream, spikes in _timed(recording, spec):
        short = np.diff(spikes.times_s) < _REFRACTORY_S
        within = np.ones(len(short), np.bool_)
        within[spikes.ends[(spikes.ends > 0) & (spikes.ends < len(spikes.times_s))] - 1] = False  # unit to unit
        n_short = _per_unit(np.append(short & within, False), spikes)
        counts = _counts(spikes)
        bad = units_where(stream, (counts >= _FEWEST) & (n_short > _VIOLATIONS * counts))
        if bad:
            what = f"{len(bad)} units have more than 1 % of their intervals under 1.5 ms ({some(bad)})"
            yield source, what, "take them for several neurons, or drop them: units: {where: ...}"


@recording_check(Grade.warning)
def units_that_share_spikes(recording: Recording, spec: Spec) -> Iterator[Remark]:
    """One neuron sorted twice lets held-out neurons be predicted from their own copy."""
    for source, stream, spikes in _timed(recording, spec):
        counts = _counts(spikes)
        row = np.repeat(np.arange(len(counts)), counts)
        column = np.floor((spikes.times_s - spikes.times_s.min()) / _TOGETHER_S).astype(np.int64)
        _, column = np.unique(column, return_inverse=True)
        fired = csr_array((np.ones(len(row), np.float32), (row, column)), shape=(len(counts), int(column.max()) + 1))
        fired.data = np.minimum(fired.data, 1)
        shared = np.triu((fired @ fired.T).toarray(), 1) / np.maximum(np.minimum.outer(counts, counts), 1)
        shared[np.minimum.outer(counts, counts) < _FEWEST] = 0
        pairs = [f"{stream.unit_id[i]} = {stream.unit_id[j]}" for i, j in np.argwhere(shared > _TOGETHER)]
        if pairs:
            what = f"{len(pairs)} pairs of units share more than half of their spikes ({some(pairs)})"
            yield source, what, "keep one of each: units: {where: ...}"


@recording_check(Grade.warning)
def drifting_units(recording: Recording, spec: Spec) -> Iterator[Remark]:
    """A cell that is lost or found on the way is, to a model of fixed readouts, a state of the brain."""
    for source, stream, spikes in _timed(recording, spec):
        start_s, stop_s = float(spikes.times_s.min()), float(spikes.times_s.max())
        third_s = (stop_s - start_s) / 3
        first = _per_unit(spikes.times_s < start_s + third_s, spikes)
        last = _per_unit(spikes.times_s > stop_s - third_s, spikes)
        times = (np.maximum(first, last) + 0.5) / (np.minimum(first, last) + 0.5)
        sure = np.abs(last - first) > _SURE * np.sqrt(np.maximum(first + last, 1))
        if drifting := units_where(stream, (times > _DRIFT) & sure):
            what = f"{len(drifting)} units fire three times more or less in the last third than in the first"
            yield source, f"{what} ({some(drifting)})", "write model: {drift: true}, or drop them: units: {where: ...}"


@recording_check(Grade.warning)
def gaps_of_all_units(recording: Recording, spec: Spec) -> Iterator[Remark]:
    for source, _, spikes in _timed(recording, spec):
        times_s = np.sort(spikes.times_s)
        silent_s = np.diff(times_s)
        long = silent_s > max(_GAP_S, _GAP_TIMES * float(np.median(silent_s)))
        if long.any():
            place = int(np.argmax(silent_s))
            longest = f"{silent_s[place]:.4g} s from {times_s[place]:.6g} s"
            what = f"no unit fires in {int(long.sum())} stretches, the longest {longest}"
            yield source, what, "if it was not recorded, write obs_intervals into the file, or leave such trials out"


def _spikes(recording: Recording, spec: Spec) -> Iterator[tuple[str, NeuralStream, SpikeTrains]]:
    for source, stream in zip(spec.data.neural, recording.neural, strict=True):
        if isinstance(stream.activity, SpikeTrains):
            yield source.name, stream, stream.activity


def _timed(recording: Recording, spec: Spec) -> Iterator[tuple[str, NeuralStream, SpikeTrains]]:
    """The sources whose spikes are enough, and in seconds, so that shares and rates of them mean something."""
    for source, stream, spikes in _spikes(recording, spec):
        if len(spikes.times_s) >= _FEWEST and _in_seconds(spikes):
            yield source, stream, spikes


def _in_seconds(spikes: SpikeTrains) -> bool:
    rate_hz, _ = _median_rate_hz(spikes)
    return rate_hz == 0 or _SLOWEST_HZ <= rate_hz <= _FASTEST_HZ


def _median_rate_hz(spikes: SpikeTrains) -> tuple[float, float]:
    """Rate of the median unit, and the seconds from the first to the last spike."""
    duration_s = float(np.ptp(spikes.times_s)) or 1.0
    return float(np.median(_counts(spikes))) / duration_s, duration_s


def _counts(spikes: SpikeTrains) -> NDArray[np.int64]:
    return np.diff(spikes.ends, prepend=0)


def _per_unit(chosen: NDArray[np.bool_], spikes: SpikeTrains) -> NDArray[np.int64]:
    """How many of each unit's spikes are chosen."""
    before = np.concatenate([[0], np.cumsum(chosen)])
    return np.diff(before[spikes.ends], prepend=0)
