"""Three brain areas that speak along known directed edges: nonlinear, stable within, axons with delays between.

Of area a, in steps of 5 ms:

    tau dx_a = (-x_a + J_a tanh(x_a) + sum_b V_ab U_ab' tanh(x_b(t - d_ab)) + B_a v_a + c_a z_a) dt + noise

with stimuli v, stimulation z. While an area is silenced its units fall to a floor, it neither hears nor sends, not
even to itself, and its state decays; what its axons carry at that moment still arrives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AREAS = ("M1", "PMd", "PPC")
LATENTS, CHANNELS, STIMULI = 4, 2, 2  # of an area, an edge, an area
STEP_S, BIN_S, TRIAL_S = 0.005, 0.02, 1.5
TAU_S = 0.08
DECAY, TURN = (0.6, 0.9), (0.4, 1.2)  # real and imaginary part of J's eigenvalues: rests after 0.2 - 0.8 s, 1 - 2.5 Hz
EDGE_GAIN, STIMULUS_GAIN, STIMULATION_GAIN = 0.9, 1.2, 1.2
DELAY_S = (0.01, 0.05)
NOISE_SD = 0.5  # per square root of a second
READOUT_LENGTH, MEAN_RATE_HZ, FLOOR_HZ = 0.6, 12.0, 0.3
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Network:
    """One animal's brain; areas in the order of AREAS, axes [to, from] where there are two."""

    within: Floats  # J (area, latent, latent)
    edge: NDArray[np.bool_]  # (to, from)
    across: Floats  # V U' (to, from, latent, latent), zero where there is no edge
    delay_s: Floats  # (to, from)
    stimulus: Floats  # B (area, latent, stimulus)
    stimulation: Floats  # c (area, latent)
    readout: Floats  # (unit, latent) of the unit's own area
    offset: Floats  # (unit,) log Hz
    unit_area: NDArray[np.int64]  # (unit,)


@dataclass(frozen=True)
class Events:
    """What is done to the animal in each trial; on steps, (trial, step, ...)."""

    stimulus: Floats  # (trial, step, area, stimulus)
    stimulation: Floats  # (trial, step, area), 0 or 1
    silenced: NDArray[np.bool_]  # (trial, step, area)


@dataclass(frozen=True)
class Activity:
    """What happened, at every step."""

    latent: Floats  # (trial, step, area, latent)
    rate_hz: Floats  # (trial, step, unit)


def draw_network(rng: np.random.Generator, units: int) -> Network:
    """Each of the six edges is there with probability 1/2, drawn again until some are and some are not."""
    n = len(AREAS)
    edge = np.zeros((n, n), bool)
    while edge.sum() in (0, n * (n - 1)):
        edge = (rng.uniform(size=(n, n)) < 0.5) & ~np.eye(n, dtype=bool)
    send, receive = _directions(rng, n, n, LATENTS, CHANNELS), _directions(rng, n, n, LATENTS, CHANNELS)
    across = EDGE_GAIN * edge[:, :, None, None] * np.einsum("abik,abjk->abij", receive, send)
    unit_area = np.arange(units) * n // units
    readout = READOUT_LENGTH * _directions(rng, units, LATENTS, 1)[..., 0]
    offset = np.log(MEAN_RATE_HZ) + 0.4 * rng.standard_normal(units)
    delay_s = STEP_S * np.round(rng.uniform(*DELAY_S, (n, n)) / STEP_S)
    within = np.stack([_rotations(rng) for _ in AREAS])
    stimulus = STIMULUS_GAIN * _directions(rng, n, LATENTS, STIMULI)
    stimulation = STIMULATION_GAIN * _directions(rng, n, LATENTS, 1)[..., 0]
    return Network(within, edge, across, delay_s, stimulus, stimulation, readout, offset, unit_area)


def _directions(rng: np.random.Generator, *shape: int) -> Floats:
    """Random columns of length one along the last axis but one."""
    values = rng.standard_normal(shape)
    directions: Floats = values / np.linalg.norm(values, axis=-2, keepdims=True)
    return directions


def _rotations(rng: np.random.Generator) -> Floats:
    """Damped rotations in random planes."""
    inner = np.zeros((LATENTS, LATENTS))
    for first in range(0, LATENTS, 2):
        decay, turn = rng.uniform(*DECAY), rng.uniform(*TURN)
        inner[first : first + 2, first : first + 2] = [[decay, -turn], [turn, decay]]
    basis, _ = np.linalg.qr(rng.standard_normal((LATENTS, LATENTS)))
    rotations: Floats = basis @ inner @ basis.T
    return rotations


def run_network(
    network: Network,
    events: Events,
    rng: np.random.Generator,
    later: tuple[int, np.random.Generator] | None = None,
) -> Activity:
    """Play the trials; the same generator state gives the same noise whatever the events are.

    With `later` the noise is drawn anew from this step on: other continuations of the same beginnings.
    """
    trials, steps, n = events.silenced.shape
    lag = np.round(network.delay_s / STEP_S).astype(np.int64)
    delay = [lag == each for each in range(int(lag.max()) + 1)]
    across = [np.where(here[:, :, None, None], network.across, 0.0) for here in delay]
    noise = NOISE_SD * np.sqrt(STEP_S) * rng.standard_normal((steps, trials, n, LATENTS))
    if later is not None:
        step, other = later
        noise[step:] = NOISE_SD * np.sqrt(STEP_S) * other.standard_normal(noise[step:].shape)
    burn_in = round(10 * TAU_S / STEP_S)  # trials begin wherever the noise has led
    before = NOISE_SD * np.sqrt(STEP_S) * rng.standard_normal((burn_in, trials, n, LATENTS))
    drive = np.einsum("ais,tkas->ktai", network.stimulus, events.stimulus)
    drive += np.einsum("ai,tka->ktai", network.stimulation, events.stimulation)
    heard = ~events.silenced.transpose(1, 0, 2)[..., None]
    state = np.zeros((trials, n, LATENTS))
    sent = [np.tanh(state)] * len(across)  # newest first
    path = np.empty((steps, trials, n, LATENTS))
    for step in range(-burn_in, steps):
        awake = heard[max(step, 0)] if step >= 0 else np.ones_like(heard[0])
        sent = [np.tanh(state) * awake, *sent[:-1]]
        total = np.einsum("aij,taj->tai", network.within, sent[0])
        for weights, message in zip(across, sent, strict=True):
            total += np.einsum("abij,tbj->tai", weights, message)
        total += drive[step] if step >= 0 else 0.0
        state = state + STEP_S / TAU_S * (-state + total * awake) + (noise[step] if step >= 0 else before[step])
        if step >= 0:
            path[step] = state
    latent = path.transpose(1, 0, 2, 3)
    return Activity(latent, _rates_hz(network, latent, events.silenced))


def _rates_hz(network: Network, latent: Floats, silenced: NDArray[np.bool_]) -> Floats:
    own = latent[:, :, network.unit_area]
    rate = np.exp(np.einsum("tkui,ui->tku", own, network.readout) + network.offset)
    rates: Floats = np.where(silenced[:, :, network.unit_area], FLOOR_HZ, rate)
    return rates
