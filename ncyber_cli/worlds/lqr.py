"""Reaching animals that command optimally: the cost weights that they minimise are known.

An animal weighs, per second, q (p - goal)^2 + w v^2 + u^2 on each axis, u its command in m/s^2; its gains are
those of the discrete Riccati equation of mass and muscle at the simulation's own step. Gate and saturation stand
outside, as they do in the reaching world. Against that world gains are lower, muscles faster (effort can be told
from the other weights only as far as the muscle's lag can be told), delays longer, bounds higher, hands steadier.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_discrete_are

from ncyber_cli.worlds.reach import reaching_session
from ncyber_cli.worlds.reach_animal import ReachAnimal, draw_animal
from ncyber_cli.worlds.reach_loop import STEP_S
from ncyber_cli.worlds.reach_task import GoalSet, draw_schedule
from ncyber_cli.worlds.simulated import SimulatedAnimal


@dataclass(frozen=True)
class CostWeights:
    """Per axis, with effort (of a command in m/s^2) at one."""

    position_per_s4: NDArray[np.float64]  # (2,)
    velocity_per_s2: NDArray[np.float64]  # (2,)


def simulate(
    *,
    trials: int = 160,
    seed: int = 0,
    animal: int = 0,
    units: int | None = None,
    goals: GoalSet = "eight",
    jump_probability: float = 0.0,
    pulse_probability: float = 0.3,
) -> SimulatedAnimal:
    """One animal's session, in the files of the reaching world; the truth holds its weights and its gains."""
    rng = np.random.default_rng([seed, animal, 4])
    weights = draw_weights(rng)
    subject = optimal_animal(draw_animal(animal, seed, units=units, nuisance_sd=0.05, gain_sd=0.03), weights, rng)
    schedule = draw_schedule(trials, rng, goals, jump_probability, pulse_probability)
    session = reaching_session(subject, schedule, rng, seed)
    known = {
        **{f"position_weight_{axis}_per_s4": float(weight) for axis, weight in enumerate(weights.position_per_s4)},
        **{f"velocity_weight_{axis}_per_s2": float(weight) for axis, weight in enumerate(weights.velocity_per_s2)},
        **{f"restraint_{axis}": float(value) for axis, value in enumerate(subject.body.restraint.diagonal())},
    }
    return replace(session, world="lqr", constants=session.constants | known)


def draw_weights(rng: np.random.Generator) -> CostWeights:
    """Weights under which haste matters about as much as calm: closed loops of 8-9 rad/s, overdamped."""
    stretch = np.exp(rng.uniform(-0.15, 0.15, 2))  # of an axis against the other, by kind
    position = rng.uniform(4e3, 7e3)
    velocity = rng.uniform(3.0, 4.5) * np.sqrt(position)
    axes = np.array([stretch, 1 / stretch])
    return CostWeights(position * axes[:, 0], velocity * axes[:, 1])


def optimal_gains(weights: CostWeights, muscle_lag_s: float) -> NDArray[np.float64]:
    """Gains (axis, 3) on position error, velocity and actuator, of steps of the simulation."""
    keep = np.exp(-STEP_S / muscle_lag_s)
    transition = np.array([[1, STEP_S, 0.5 * STEP_S**2], [0, 1, STEP_S], [0, 0, keep]])
    drive = np.array([[0.0], [0.0], [1 - keep]])
    gains = []
    for position, velocity in zip(weights.position_per_s4, weights.velocity_per_s2, strict=True):
        cost, effort = STEP_S * np.diag([position, velocity, 0.0]), np.array([[STEP_S]])
        ahead = solve_discrete_are(transition, drive, cost, effort)
        gains.append(np.linalg.solve(effort + drive.T @ ahead @ drive, drive.T @ ahead @ transition)[0])
    return np.array(gains)


def optimal_animal(subject: ReachAnimal, weights: CostWeights, rng: np.random.Generator) -> ReachAnimal:
    """The animal with another mass, muscle, delay and bound, and the gains of its weights."""
    lag_s = float(rng.uniform(0.03, 0.05))
    gains = optimal_gains(weights, lag_s)
    body = replace(
        subject.body,
        mass_kg=float(rng.uniform(0.5, 1.2)),
        muscle_lag_s=lag_s,
        delay_s=float(rng.uniform(0.08, 0.16)),
        bound_m_s2=float(rng.uniform(5.0, 7.0)),
        motor_noise=float(rng.uniform(0.06, 0.1)),
        stiffness_per_s2=np.diag(gains[:, 0]),
        damping_per_s=np.diag(gains[:, 1]),
        restraint=np.diag(gains[:, 2]),
    )
    return ReachAnimal(subject.name.replace("reach", "lqr"), body, subject.neurons)
