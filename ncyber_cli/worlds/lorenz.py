"""Poisson spikes from a Lorenz attractor: latent dynamics that are known, chaotic and nonlinear.

The attractor is normalised per axis (mean 0, sd 1) and read out by log-linear Poisson neurons,
`rate = exp(C x + d)`. A trial is one second in 10 ms bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.worlds.runge_kutta import runge_kutta
from ncyber_cli.worlds.simulated import RATE_BITS, Signal, SimulatedAnimal, poisson_counts

SIGMA, RHO, BETA = 10.0, 28.0, 8.0 / 3.0
SPEED = 1.0  # Lorenz time units per second: a turn takes about 0.7 s
SUBSTEPS = 2  # RK4 steps a bin; more change a 1 s path by less than 1e-4 of its sd
BURN_IN = 20.0  # Lorenz time units from a random start to the attractor
BIN_S, TRIAL_BINS = 0.01, 100
MEAN_RATE_HZ = 10.0
READOUT_LENGTH = 0.8  # of a row of C: puts the Bayes ceiling of co-smoothing near 0.46 bits per spike
# Mean and sd of the attractor's axes, by measurement; x and y change sign together, so their means are 0.
MEAN: Final[NDArray[np.float64]] = np.array([0.0, 0.0, 23.55])
SD: Final[NDArray[np.float64]] = np.array([7.92, 9.01, 8.62])


@dataclass(frozen=True)
class LorenzReadout:
    """Log-linear Poisson readout of one animal: expected counts = exp(x C' + d)."""

    weights: NDArray[np.float64]  # C (unit, 3)
    offset: NDArray[np.float64]  # d (unit,), log counts per bin

    def expected(self, latent: NDArray[np.float64]) -> NDArray[np.float64]:
        """Expected counts per bin, (..., unit), from normalised latents (..., 3)."""
        expected: NDArray[np.float64] = np.exp(latent @ self.weights.T + self.offset)
        return expected


def _flow(state: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y, z = state[..., 0], state[..., 1], state[..., 2]
    return np.stack([SIGMA * (y - x), x * (RHO - z) - y, x * y - BETA * z], axis=-1)


def lorenz_step(state: NDArray[np.float64], duration: float) -> NDArray[np.float64]:
    """One classical Runge-Kutta step of the Lorenz equations, (..., 3) to (..., 3), in Lorenz units."""
    return runge_kutta(_flow, state, duration)


def next_bin(state: NDArray[np.float64], bin_s: float = BIN_S, speed: float = SPEED) -> NDArray[np.float64]:
    """The state one bin later; states in Lorenz units."""
    for _ in range(SUBSTEPS):
        state = lorenz_step(state, speed * bin_s / SUBSTEPS)
    return state


def normalise(state: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lorenz units to latents of mean 0 and sd 1."""
    return (state - MEAN) / SD


def attractor_states(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Independent draws (count, 3) from the attractor, in Lorenz units."""
    state = MEAN + SD * rng.standard_normal((count, 3))
    for _ in range(int(BURN_IN / 0.01)):
        state = lorenz_step(state, 0.01)
    return state


def draw_readout(units: int, rng: np.random.Generator, bin_s: float = BIN_S) -> LorenzReadout:
    """A readout of random directions and one depth, whose neurons all fire MEAN_RATE_HZ on average."""
    direction = rng.standard_normal((units, 3))
    weights = READOUT_LENGTH * direction / np.linalg.norm(direction, axis=1, keepdims=True)
    reference = normalise(attractor_states(4000, rng))
    offset = np.log(MEAN_RATE_HZ * bin_s) - np.log(np.exp(reference @ weights.T).mean(axis=0))
    return LorenzReadout(weights, offset)


def simulate(
    *,
    trials: int = 1200,
    seed: int = 0,
    animal: int = 0,
    units: int = 64,
    held_out: int = 16,
    bins: int = TRIAL_BINS,
    process_noise_sd: float = 0.0,
    drift_sd: float = 0.0,
) -> SimulatedAnimal:
    """Spikes of one animal; the last `held_out` units carry `heldout = True`.

    Truth: `latent` (trial, time, 3), normalised; `rate` (trial, time, unit), expected counts per bin.
    `process_noise_sd` is the sd per bin of noise on the state, as a share of each axis' sd. `drift_sd` is the sd over
    trials of a random walk that is added to each unit's log rate: log rate = C x + d + drift.
    """
    rng = np.random.default_rng([seed, animal, 1])
    readout = draw_readout(units, rng)
    state = attractor_states(trials, rng)
    path = np.empty((trials, bins, 3))
    for time in range(bins):
        path[:, time] = state
        state = next_bin(state)
        if process_noise_sd > 0:
            state = state + process_noise_sd * SD * rng.standard_normal(state.shape)
    latent = normalise(path)
    rate = readout.expected(latent)
    if drift_sd > 0:
        walk = np.random.default_rng([seed, animal, 2]).standard_normal((trials, units)).cumsum(axis=0)
        rate = rate * np.exp(drift_sd * (walk - walk.mean(axis=0)) / walk.std(axis=0))[:, None]
    per_second = 1.0 / BIN_S
    return SimulatedAnimal(
        animal=f"lorenz-{animal + 1}",
        world="lorenz",
        seed=seed,
        bin_s=BIN_S,
        counts=poisson_counts(rate, rng),
        unit_area=["attractor"] * units,
        truth={
            "latent": Signal(latent, per_second, "a.u.", "Lorenz state, mean 0 and sd 1 per axis", BIN_S / 2),
            "rate": Signal(rate, per_second, "counts", "expected spikes per bin of each unit", BIN_S / 2, RATE_BITS),
        },
        unit_columns={"heldout": np.arange(units) >= units - held_out},
        unit_truth={"weights": readout.weights, "offset": readout.offset},
        constants={"speed_per_s": SPEED, "process_noise_sd": process_noise_sd}
        | ({"drift_sd": drift_sd} if drift_sd > 0 else {}),
    )
