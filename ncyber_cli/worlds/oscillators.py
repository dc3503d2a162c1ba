"""A family of noisy oscillators: every animal has the same kind of dynamics, at a frequency and damping of its own.

Limit cycles, of a state z in the plane: dz/dt = (damping (1 - |z|^2) + i omega) z. Duffing oscillators, of a state
(x, velocity / omega): d2x/dt2 = -damping dx/dt - omega^2 (x + stiffening x^3); a share of what the damping takes is
given back by noise. Each animal reads the plane out by random directions of its own, as spikes or as a
continuous signal, so that nothing but the dynamics tells animals apart, or is shared by them.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.worlds.runge_kutta import runge_kutta
from ncyber_cli.worlds.simulated import RATE_BITS, Signal, SimulatedAnimal, poisson_counts

Family = Literal["limit_cycle", "duffing", "both"]
FREQUENCY_HZ = (0.5, 2.0)
DAMPING_PER_S = {"limit_cycle": (0.5, 3.0), "duffing": (0.1, 1.0)}
STIFFENING = 1.5  # large swings are half as fast again as small ones, which no linear dynamics foretell
NOISE_PER_ROOT_S = 0.15  # of the state: 30 bins ahead it costs a forecast one part in a hundred
FIRST_RADIUS = (0.3, 1.6)  # trials begin off the cycle, at any phase
BIN_S, TRIAL_BINS, SUBSTEPS = 0.02, 100, 4
SIGNAL_NOISE_SD = 0.1
READOUT_LENGTH = (0.5, 1.5)  # of a row of the readout
MEAN_COUNT = 0.05  # spikes per neuron and bin
SPEEDS, UNSEEN = (0.6, 0.8, 1.0, 1.2, 1.4), (0.8, 1.2)  # contexts: of a trial; those that no training trial has
Floats = NDArray[np.float64]


def simulate(
    *,
    trials: int = 40,
    seed: int = 0,
    animal: int = 0,
    units: int | None = None,
    family: Family = "both",
    activity: Literal["spikes", "continuous"] = "continuous",
    bins: int = TRIAL_BINS,
    contexts: bool = False,
) -> SimulatedAnimal:
    """One animal; of `both` families the animals take turns.

    With `contexts` every trial has a `speed`, which multiplies frequency and damping, and a `split`: trials of some
    speeds, and a fifth of the others, are for tests alone.
    Continuous activity is the series `activity` (30 channels by default, white noise of sd 0.1), spikes come from 300
    units. Truth: `latent` (trial, time, 2); `rate` (trial, time, unit), expected activity per bin.
    """
    rng = np.random.default_rng([seed, animal, 7])
    kind = family if family != "both" else ("limit_cycle", "duffing")[animal % 2]
    omega = 2 * np.pi * rng.uniform(*FREQUENCY_HZ)
    damping = rng.uniform(*DAMPING_PER_S[kind])
    speed = rng.choice(SPEEDS, trials) if contexts else np.ones(trials)
    latent = _path(kind, omega * speed, damping * speed, bins, rng)
    spikes = activity == "spikes"
    n_unit = units or (300 if spikes else 30)
    direction = rng.standard_normal((n_unit, 2))
    weights = direction / np.linalg.norm(direction, axis=1, keepdims=True) * rng.uniform(*READOUT_LENGTH, (n_unit, 1))
    drive = latent @ weights.T
    if spikes:
        offset = np.log(MEAN_COUNT) - np.log(np.exp(drive).mean(axis=(0, 1)))
        rate = np.exp(drive + offset)
    else:
        offset = rng.standard_normal(n_unit)
        rate = drive + offset
    recorded = rate + SIGNAL_NOISE_SD * rng.standard_normal(rate.shape)
    per_second = 1 / BIN_S
    measured = Signal(recorded, per_second, "a.u.", "continuous activity of every channel", BIN_S / 2)
    return SimulatedAnimal(
        animal=f"oscillator-{animal + 1}",
        world="oscillators",
        seed=seed,
        bin_s=BIN_S,
        counts=poisson_counts(rate, rng) if spikes else np.zeros((trials, bins, 0), np.uint8),
        unit_area=["brain"] * (n_unit if spikes else 0),
        behavior={} if spikes else {"activity": measured},
        truth={
            "latent": Signal(latent, per_second, "a.u.", "state of the oscillator", BIN_S / 2),
            "rate": Signal(rate, per_second, "counts" if spikes else "a.u.", "expected activity", BIN_S / 2, RATE_BITS),
        },
        trial_columns={"speed": speed, "split": _split(speed, rng)} if contexts else {},
        unit_truth={"weights": weights, "offset": offset} if spikes else {},
        constants={
            "frequency_hz": omega / (2 * np.pi),
            "damping_per_s": damping,
            "is_duffing": float(kind == "duffing"),
        },
    )


def _split(speed: Floats, rng: np.random.Generator) -> NDArray[np.str_]:
    lot = rng.uniform(size=len(speed))
    seen = np.where(lot < 0.2, "test", np.where(lot < 0.3, "validation", "train"))
    return np.where(np.isin(speed, UNSEEN), "test", seen)


def flow(kind: str, state: Floats, omega: float | Floats, damping: float | Floats) -> Floats:
    """Time derivative of states (..., 2), per s; frequency and damping are one for all, or one for each (...,)."""
    first, second = state[..., 0], state[..., 1]
    if kind == "limit_cycle":
        growth = damping * (1 - np.square(state).sum(-1))
        return np.stack([growth * first - omega * second, omega * first + growth * second], axis=-1)
    return np.stack([omega * second, -damping * second - omega * (first + STIFFENING * first**3)], axis=-1)


def _path(kind: str, omega: Floats, damping: Floats, bins: int, rng: np.random.Generator) -> Floats:
    """States at bin centres, (trial, bin, 2): Euler-Maruyama noise between classical Runge-Kutta steps."""
    trials = len(omega)
    phase, radius = rng.uniform(0, 2 * np.pi, trials), rng.uniform(*FIRST_RADIUS, trials)
    state = radius[:, None] * np.stack([np.cos(phase), np.sin(phase)], axis=1)
    step_s = BIN_S / SUBSTEPS
    path = np.empty((trials, bins, 2))
    for time in range(bins):
        path[:, time] = state
        for _ in range(SUBSTEPS):
            noise = NOISE_PER_ROOT_S * np.sqrt(step_s) * rng.standard_normal(state.shape)
            state = runge_kutta(lambda here: flow(kind, here, omega, damping), state, step_s) + noise
    return path
