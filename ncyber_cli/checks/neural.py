"""Checks of neural activity: values that a schema passes and a fit chokes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.checks.registry import Grade, Remark, recording_check
from ncyber_cli.data.recording import NeuralStream, Recording, Sampled, SpikeTrains
from ncyber_cli.spec import Spec

_FASTEST_HZ = 500.0  # no neuron keeps this up over a session; times in ms or ticks read as s look so, or slow
_SLOWEST_HZ = 1e-3
_DROP = "drop them: units: {where: ...}"


@recording_check(Grade.error)
def no_units(recording: Recording, spec: Spec) -> Iterator[Remark]:
    if not any(stream.unit_id for stream in recording.neural):
        for source, _ in _streams(recording, spec):
            yield source, "holds no units", "name another source"


@recording_check(Grade.warning)
def missing_sources(recording: Recording, spec: Spec) -> Iterator[Remark]:
    """Sessions may lack a source that others have; whether any has it is a question to all of them."""
    if any(stream.unit_id for stream in recording.neural):
        for source, stream in _streams(recording, spec):
            if not stream.unit_id:
                what = "is not in this file: its areas are inferred from the others and from what they do elsewhere"
                yield source, what, "nothing, if it was not recorded; else check the name"


@recording_check(Grade.warning)
def silent_units(recording: Recording, spec: Spec) -> Iterator[Remark]:
    for source, stream in _streams(recording, spec):
        if isinstance(stream.activity, SpikeTrains) and (silent := _units(stream, _spike_counts(stream.activity) == 0)):
            yield source, f"{len(silent)} units never fire ({_some(silent)})", "write units: {min_rate_hz: 0.1}"


@recording_check(Grade.warning)
def implausible_rates(recording: Recording, spec: Spec) -> Iterator[Remark]:
    for source, stream in _streams(recording, spec):
        if not isinstance(stream.activity, SpikeTrains) or not len(stream.activity.times_s):
            continue
        duration_s = float(np.ptp(stream.activity.times_s)) or 1.0
        rate_hz = float(np.median(_spike_counts(stream.activity))) / duration_s
        if rate_hz > _FASTEST_HZ or 0 < rate_hz < _SLOWEST_HZ:
            what = f"the median unit fires at {rate_hz:.2g} Hz over {duration_s:.4g} s"
            yield source, what, "check that spike times are in seconds"


@recording_check(Grade.warning)
def repeated_units(recording: Recording, spec: Spec) -> Iterator[Remark]:
    """A unit listed twice lets held-out neurons be predicted from their own copy."""
    for source, stream in _streams(recording, spec):
        seen: dict[bytes, str] = {}
        copies = []
        for unit, activity in zip(stream.unit_id, _by_unit(stream), strict=True):
            first = seen.setdefault(activity.tobytes(), unit)
            if first is not unit and len(activity) > 1 and not np.array_equal(activity[:-1], activity[1:]):
                copies.append(f"{unit} = {first}")
        if copies:
            yield source, f"units are copies of others ({_some(copies)})", "keep one of each: units: {where: ...}"


@recording_check(Grade.error)
def units_without_samples(recording: Recording, spec: Spec) -> Iterator[Remark]:
    for source, stream in _streams(recording, spec):
        if isinstance(stream.activity, Sampled):
            missing = _units(stream, ~np.isfinite(stream.activity.values).any(axis=_all_but_last(stream.activity)))
            if missing:
                yield source, f"{len(missing)} units are all NaN ({_some(missing)})", _DROP


@recording_check(Grade.warning)
def flat_units(recording: Recording, spec: Spec) -> Iterator[Remark]:
    for source, stream in _streams(recording, spec):
        if isinstance(stream.activity, Sampled):
            values, axes = stream.activity.values, _all_but_last(stream.activity)
            low, high = np.fmin.reduce(values, axis=axes), np.fmax.reduce(values, axis=axes)
            if flat := _units(stream, low == high):
                yield source, f"{len(flat)} units never change ({_some(flat)})", _DROP


@recording_check(Grade.error)
def negative_events(recording: Recording, spec: Spec) -> Iterator[Remark]:
    for source, stream in zip(spec.data.neural, recording.neural, strict=True):
        asked = spec.model.emission_of(source.kind)
        positive = source.kind == "events" if asked is None else asked.kind == "zero_inflated_gamma"
        if positive and isinstance(stream.activity, Sampled) and bool(np.any(stream.activity.values < 0)):
            low = float(np.nanmin(stream.activity.values))
            what = f"zero_inflated_gamma needs values of zero and more, one is {low:.3g}"
            yield source.source, what, "write kind: calcium for fluorescence, or give deconvolved events"


def _streams(recording: Recording, spec: Spec) -> Iterator[tuple[str, NeuralStream]]:
    for source, stream in zip(spec.data.neural, recording.neural, strict=True):
        yield source.source, stream


def _spike_counts(spikes: SpikeTrains) -> NDArray[np.int64]:
    return np.diff(spikes.ends, prepend=0)


def _by_unit(stream: NeuralStream) -> Sequence[NDArray[np.generic]]:
    activity = stream.activity
    if isinstance(activity, SpikeTrains):
        starts = np.concatenate([[0], activity.ends[:-1]])
        return [activity.times_s[start:end] for start, end in zip(starts, activity.ends, strict=False)]
    return [np.ascontiguousarray(activity.values[..., unit]).ravel() for unit in range(activity.values.shape[-1])]


def _all_but_last(signal: Sampled) -> tuple[int, ...]:
    return tuple(range(signal.values.ndim - 1))


def _units(stream: NeuralStream, chosen: NDArray[np.bool_]) -> list[str]:
    return [unit for unit, wanted in zip(stream.unit_id, chosen, strict=True) if wanted]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
