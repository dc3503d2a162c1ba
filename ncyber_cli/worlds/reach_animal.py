"""One reaching animal: its body, its delays, its gains and its neurons, drawn around what primates show."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

REACH_M = 0.1  # distance from the centre to the eight targets, radius of the disc
SPEED_M_S = 0.4  # a typical peak speed; scales the velocity latents
AREAS = ("PMd", "S1", "M1")  # plan, state estimate, command
# Latents by area: plan = believed goal (2); estimate = position, velocity (4); command = rotated command (2),
# an oscillating echo of it (2) and the gate (1).
LATENT_AREAS = ("PMd",) * 2 + ("S1",) * 4 + ("M1",) * 5
LATENT_NAMES = (
    *("plan_x", "plan_y", "estimate_px", "estimate_py", "estimate_vx", "estimate_vy"),
    *("command_0", "command_1", "echo_0", "echo_1", "gate"),
)
LATENT_SD = np.array([0.6] * 2 + [0.5] * 2 + [0.28] * 2 + [0.25] * 2 + [0.28] * 2 + [0.48])  # typical, by measurement
NUISANCE = 2  # shared fluctuations that mean nothing for the task


@dataclass(frozen=True)
class Body:
    """Arm and controller of one animal: command = gate * bound * tanh(drive / bound).

    drive = stiffness (goal - p) - damping v - restraint m, with the actuator m.
    """

    mass_kg: float
    muscle_lag_s: float
    delay_s: float  # of vision and proprioception alike
    stiffness_per_s2: NDArray[np.float64]  # (2, 2), symmetric positive
    damping_per_s: NDArray[np.float64]  # (2, 2), symmetric positive
    bound_m_s2: float
    motor_noise: float  # sd of the acceleration's noise, as a share of the actuator
    process_noise_m_s2: float  # sd of the noise that is always there
    noise_time_s: float
    restraint: NDArray[np.float64] = field(default_factory=lambda: np.zeros((2, 2)))  # of what the muscle already does
    load: float = 1.0  # what is moved over `mass_kg`, the mass that the animal goes by


@dataclass(frozen=True)
class Neurons:
    """Log drive = weights (latent, nuisance) + private gain; the rate saturates at MAX_RATE_HZ."""

    area: list[str]  # (unit,)
    weights: NDArray[np.float64]  # (unit, latent + nuisance)
    mean_rate_hz: NDArray[np.float64]  # (unit,)
    gain_sd: float  # private slow fluctuation of the log rate
    command_angle: float  # rotation between the command and its representation, rad
    echo_hz: float  # frequency of the oscillator that the command drives


@dataclass(frozen=True)
class ReachAnimal:
    name: str
    body: Body
    neurons: Neurons


def _spd(scale: float, anisotropy: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """A symmetric positive 2 x 2 matrix around scale * I, its axes turned at random."""
    angle = rng.uniform(0, np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(scale * turn @ np.diag([1 + anisotropy, 1 - anisotropy]) @ turn.T)


def draw_body(rng: np.random.Generator, gain_scale: float = 1.0) -> Body:
    """A body whose closed loop is near critically damped: natural frequency 8-10 rad/s times sqrt(gain_scale)."""
    frequency = rng.uniform(8.0, 10.0) * np.sqrt(gain_scale)
    stiffness = _spd(frequency**2, rng.uniform(0.0, 0.12), rng)
    damping = _spd(2.0 * rng.uniform(0.9, 1.05) * frequency, rng.uniform(0.0, 0.05), rng)
    return Body(
        mass_kg=float(rng.uniform(0.7, 1.6)),
        muscle_lag_s=float(rng.uniform(0.04, 0.08)),
        delay_s=float(rng.uniform(0.06, 0.14)),
        stiffness_per_s2=stiffness,
        damping_per_s=damping,
        bound_m_s2=float(rng.uniform(3.5, 5.5)),
        motor_noise=float(rng.uniform(0.10, 0.16)),
        process_noise_m_s2=0.08,
        noise_time_s=0.02,
    )


def draw_neurons(units: int, rng: np.random.Generator, nuisance_sd: float = 0.1, gain_sd: float = 0.05) -> Neurons:
    """Neurons of three areas: each tuned to its own area's latents, faintly to the others'."""
    share = rng.dirichlet([20.0, 12.0, 20.0])
    counts = np.maximum(np.round(share * units).astype(int), 5)
    counts[2] = units - counts[0] - counts[1]
    area = [name for name, count in zip(AREAS, counts, strict=True) for _ in range(count)]
    own = np.array([[home == latent for latent in LATENT_AREAS] for home in area])
    width = np.array([LATENT_AREAS.count(home) for home in area])[:, None]
    depth = rng.uniform(0.7, 1.3, (units, 1))  # sd of the log rate
    tuned = rng.standard_normal(own.shape) * depth / np.sqrt(width)
    weights = np.where(own, tuned, 0.08 * rng.standard_normal(own.shape)) / LATENT_SD
    nuisance = nuisance_sd * rng.standard_normal((units, NUISANCE))
    return Neurons(
        area=area,
        weights=np.concatenate([weights, nuisance], axis=1),
        mean_rate_hz=rng.uniform(5.0, 15.0, units),
        gain_sd=gain_sd,
        command_angle=float(rng.uniform(-np.pi, np.pi)),
        echo_hz=float(rng.uniform(1.5, 2.5)),
    )


def draw_animal(
    index: int,
    seed: int,
    *,
    units: int | None = None,
    gain_scale: float = 1.0,
    nuisance_sd: float = 0.1,
    gain_sd: float = 0.05,
) -> ReachAnimal:
    """Animal `index` of a world; the same seed and index give the same animal whatever the trials are."""
    rng = np.random.default_rng([seed, index, 2])
    body = draw_body(rng, gain_scale)
    count = int(rng.integers(43, 69)) if units is None else units
    return ReachAnimal(f"reach-{index + 1}", body, draw_neurons(count, rng, nuisance_sd, gain_sd))
