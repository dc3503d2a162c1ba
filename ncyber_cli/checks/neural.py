"""Checks of neural activity: values that a schema passes and a fit chokes on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ncyber_cli.checks.naming import some, units_where
from ncyber_cli.checks.registry import Grade, Remark, recording_check
from ncyber_cli.data.recording import NeuralStream, Recording, Sampled
from ncyber_cli.spec import Spec

_DROP = "drop them: units: {where: ...}"


@recording_check(Grade.error)
def no_units(recording: Recording, spec: Spec) -> Iterator[Remark]:
    if not any(stream.unit_id for stream in recording.neural):
        for source, _ in _streams(recording, spec):
            yield source, "holds no units", "name another source"


@recording_check(Grade.warning)
def repeated_units(recording: Recording, spec: Spec) -> Iterator[Remark]:
    """A unit listed twice lets held-out neurons be predicted from their own copy."""
    for source, stream in _streams(recording, spec):
        if not isinstance(stream.activity, Sampled):
            continue
        seen: dict[bytes, str] = {}
        copies = []
        for column, unit in enumerate(stream.unit_id):
            trace = np.ascontiguousarray(stream.activity.values[..., column]).ravel()
            first = seen.setdefault(trace.tobytes(), unit)
            if first is not unit and not np.array_equal(trace[:-1], trace[1:]):
                copies.append(f"{unit} = {first}")
        if copies:
            yield source, f"units are copies of others ({some(copies)})", "keep one of each: units: {where: ...}"


@recording_check(Grade.warning)
def units_without_samples(recording: Recording, spec: Spec) -> Iterator[Remark]:
    for source, stream in _streams(recording, spec):
        if isinstance(stream.activity, Sampled):
            missing = units_where(stream, ~np.isfinite(stream.activity.values).any(axis=_all_but_last(stream.activity)))
            if missing:
                yield source, f"{len(missing)} units are all NaN ({some(missing)})", _DROP


@recording_check(Grade.warning)
def flat_units(recording: Recording, spec: Spec) -> Iterator[Remark]:
    for source, stream in _streams(recording, spec):
        if isinstance(stream.activity, Sampled):
            values, axes = stream.activity.values, _all_but_last(stream.activity)
            low, high = np.fmin.reduce(values, axis=axes), np.fmax.reduce(values, axis=axes)
            if flat := units_where(stream, low == high):
                yield source, f"{len(flat)} units never change ({some(flat)})", _DROP


def _streams(recording: Recording, spec: Spec) -> Iterator[tuple[str, NeuralStream]]:
    for source, stream in zip(spec.data.neural, recording.neural, strict=True):
        yield source.source, stream


def _all_but_last(signal: Sampled) -> tuple[int, ...]:
    return tuple(range(signal.values.ndim - 1))
