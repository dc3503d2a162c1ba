"""Checks of behaviour and inputs: signals that are empty, flat, too slow, or in units that contradict each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ncyber_cli.checks.registry import Grade, Remark, quality_check, recording_check
from ncyber_cli.data.recording import Recording, Sampled
from ncyber_cli.spec import Spec

_HOLES = 0.01  # share of the values; fewer are what every tracker drops
_GAP_STEPS = 5.0


@recording_check(Grade.error)
def signal_without_samples(recording: Recording, spec: Spec) -> Iterator[Remark]:
    for name, signal in _signals(recording):
        empty = ~np.isfinite(signal.values).any(axis=tuple(range(signal.values.ndim - 1)))
        if empty.any():
            what = f"columns {np.flatnonzero(empty).tolist()} of {len(empty)} are all NaN"
            yield name, what, f"remove {name}, or name the columns that were recorded: columns: [...]"


@quality_check
def signal_with_holes(recording: Recording, spec: Spec) -> Iterator[Remark]:
    """NaN, and steps of time that are far longer than the usual one."""
    for name, signal in _signals(recording):
        missing = float(np.isnan(signal.values).mean()) if signal.values.dtype.kind == "f" else 0.0
        if _HOLES < missing < 1:
            yield name, f"{missing:.0%} of the values are NaN", "they are taken as missing; nothing needs to be done"
        steps_s = np.diff(signal.time_s) if signal.time_s is not None else np.zeros(0)
        gaps = steps_s > _GAP_STEPS * _step_s(signal)
        if gaps.any():
            what = f"has {int(gaps.sum())} gaps of more than {_GAP_STEPS:g} samples, the longest {steps_s.max():.4g} s"
            yield name, what, "bins in them are missing; nothing needs to be done"


@recording_check(Grade.warning)
def flat_signal(recording: Recording, spec: Spec) -> Iterator[Remark]:
    for name, signal in _signals(recording):
        axes = tuple(range(signal.values.ndim - 1))
        flat = np.fmin.reduce(signal.values, axis=axes) == np.fmax.reduce(signal.values, axis=axes)
        if flat.any():
            what = f"columns {np.flatnonzero(flat).tolist()} of {len(flat)} never change"
            yield name, what, "leave them out: columns: [...]"


@recording_check(Grade.warning)
def slower_than_the_bins(recording: Recording, spec: Spec) -> Iterator[Remark]:
    for name, signal in _signals(recording):
        step_s = _step_s(signal)
        if step_s > 1.5 * spec.data.bin_s:
            what = f"is sampled every {step_s:.3g} s, bins are {spec.data.bin_s:g} s"
            yield name, what, f"values between samples are interpolated; data.bin_s: {step_s:.3g} would need none"


@recording_check(Grade.error)
def point_mass_needs_equal_axes(recording: Recording, spec: Spec) -> Iterator[Remark]:
    position, velocity = recording.behavior.get("position"), recording.behavior.get("velocity")
    if spec.model.body.kind == "point_mass" and position is not None and velocity is not None:
        axes, others = position.values.shape[-1], velocity.values.shape[-1]
        if axes != others:
            what = f"has {others} columns, data.behavior.position has {axes}"
            yield "data.behavior.velocity", what, "choose the same axes of both: columns: [...]"


@recording_check(Grade.warning)
def velocity_is_not_the_slope_of_position(recording: Recording, spec: Spec) -> Iterator[Remark]:
    position, velocity = recording.behavior.get("position"), recording.behavior.get("velocity")
    if position is None or velocity is None or position.values.shape != velocity.values.shape:
        return
    step_s = _step_s(position)
    if step_s <= 0 or step_s != _step_s(velocity):
        return
    slope = np.nanstd(np.diff(position.values.astype(np.float64), axis=-2) / step_s)
    written = np.nanstd(velocity.values.astype(np.float64))
    if written > 0 and slope > 0 and not 1 / 3 < written / slope < 3:
        what = f"is {written / slope:.3g} times the slope of data.behavior.position"
        yield "data.behavior.velocity", what, "check that both are in the same unit, e.g. m and m/s"


def _signals(recording: Recording) -> Iterator[tuple[str, Sampled]]:
    for name, signal in recording.behavior.items():
        yield f"data.behavior.{name}", signal
    for name, signal in recording.inputs.items():
        yield f"data.inputs.{name}", signal


def _step_s(signal: Sampled) -> float:
    """Median time between samples in s, 0 where no times are stored."""
    if signal.time_s is None or len(signal.time_s) < 2:
        return 0.0
    return float(np.median(np.diff(signal.time_s)))
