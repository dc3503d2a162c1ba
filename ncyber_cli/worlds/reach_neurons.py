"""From the loop's variables to neurons: the latents of three areas and the rates they drive."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.worlds.reach_animal import NUISANCE, REACH_M, SPEED_M_S, Neurons
from ncyber_cli.worlds.reach_loop import STEP_S, Loop

PLAN_S = 0.03  # the plan follows the believed goal with this time constant
ECHO_S = 0.15  # damping of the oscillator that the command drives
NUISANCE_S = 0.3
GAIN_S = 1.0
MAX_RATE_HZ = 120.0  # no neuron follows an exponential without end
Floats = NDArray[np.float64]


def brain_latent(loop: Loop, neurons: Neurons, bound_m_s2: float) -> Floats:
    """Latents (trial, step, 11), each about 1 in size, in the order of LATENT_NAMES."""
    plan = low_pass(loop.objective / REACH_M, PLAN_S)
    estimate = [loop.estimated_position / REACH_M, loop.estimated_velocity / SPEED_M_S]
    cos, sin = np.cos(neurons.command_angle), np.sin(neurons.command_angle)
    command = loop.command / bound_m_s2 @ np.array([[cos, sin], [-sin, cos]])
    return np.concatenate([plan, *estimate, command, echo(command, neurons.echo_hz), loop.gate[..., None]], axis=-1)


def bin_rates(latent: Floats, neurons: Neurons, steps_per_bin: int, rng: np.random.Generator) -> Floats:
    """Expected counts per bin (trial, bin, unit) from latents (trial, step, feature).

    Each unit's baseline is set so that its mean over the session, before saturation, is near
    `mean_rate_hz`. Drives are integrated over the bin; nuisance and gain, being slow, are drawn once a bin.
    """
    trials, steps, features = latent.shape
    bins, units = steps // steps_per_bin, len(neurons.area)
    nuisance = slow_noise((trials, bins, NUISANCE), NUISANCE_S, steps_per_bin * STEP_S, rng)
    gain = neurons.gain_sd * slow_noise((trials, bins, units), GAIN_S, steps_per_bin * STEP_S, rng)
    slow = np.exp(nuisance @ neurons.weights[:, features:].T + gain)
    tuning = neurons.weights[:, :features].T
    baseline = neurons.mean_rate_hz / np.exp(latent[:, ::steps_per_bin] @ tuning).mean(axis=(0, 1))
    rate = np.empty((trials, bins, units))
    for trial in range(trials):  # one trial at a time: rates at every step of all trials would not fit a cache
        driven = baseline * np.exp(latent[trial] @ tuning)
        rate[trial] = driven.reshape(bins, steps_per_bin, units).mean(axis=1) * slow[trial]
    return steps_per_bin * STEP_S * rate / (1.0 + rate / MAX_RATE_HZ)


def low_pass(signal: Floats, time_constant_s: float) -> Floats:
    """First-order low-pass of (trial, step, feature), from zero."""
    keep = np.exp(-STEP_S / time_constant_s)
    smooth = np.zeros_like(signal)
    for step in range(1, signal.shape[1]):
        smooth[:, step] = keep * smooth[:, step - 1] + (1 - keep) * signal[:, step - 1]
    return smooth


def echo(command: Floats, echo_hz: float) -> Floats:
    """A damped oscillator driven by the command: a rotation in neural space that outlasts its cause."""
    angle, keep = 2 * np.pi * echo_hz * STEP_S, np.exp(-STEP_S / ECHO_S)
    turn = keep * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    rotating = np.zeros_like(command)
    for step in range(1, command.shape[1]):
        rotating[:, step] = rotating[:, step - 1] @ turn + (STEP_S / ECHO_S) * 2.0 * command[:, step - 1]
    return rotating


def slow_noise(shape: tuple[int, int, int], time_constant_s: float, step_s: float, rng: np.random.Generator) -> Floats:
    """Unit-variance noise (trial, bin, feature), stationary from a trial's first bin."""
    keep = np.exp(-step_s / time_constant_s)
    noise = rng.standard_normal(shape)
    noise[:, 1:] *= np.sqrt(1 - keep**2)
    for time in range(1, shape[1]):
        noise[:, time] += keep * noise[:, time - 1]
    return noise
