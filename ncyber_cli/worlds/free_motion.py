"""Bodies that move by themselves: a limit cycle and a random walk, through the muscle and mass of the reaching world.

The drive is a function of the body's own state, or noise; nothing is pursued. A limit cycle follows the Hopf flow

    w(q) = S (omega J q + lambda (1 - |q|^2 / a^2) q),  p = centre + S q

whose speed and radius wander; a random walk is velocity that forgets, pushed by coloured noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.worlds.reach_animal import Body
from ncyber_cli.worlds.reach_loop import STEP_S, coloured_noise, motor_noise, moved

SETTLE_S = 1.0  # from a random start to the motion that has no memory of it
FOLLOW_PER_S = 8.0  # how fast the velocity follows the flow of the cycle
ATTRACTION_PER_S = 3.0  # how fast the radius returns
WALK_NOISE_S = 0.08  # correlation time of what pushes the random walk
QUARTER_TURN = np.array([[0.0, -1.0], [1.0, 0.0]])
Floats = NDArray[np.float64]
Drive = Callable[[int, Floats, Floats], Floats]  # step, position, velocity (trial, 2) to acceleration (trial, 2)


@dataclass(frozen=True)
class Motion:
    """States at the start of each 2.5 ms step, (trial, step, 2), in m, m/s, m/s^2."""

    drive: Floats  # before the muscle
    actuator: Floats
    position: Floats
    velocity: Floats


@dataclass(frozen=True)
class Cycle:
    """The limit cycle of one animal: an ellipse somewhere in the workspace."""

    centre_m: Floats  # (2,)
    shape: Floats  # S (2, 2), so that the cycle is the image of a circle of `radius_m`
    radius_m: float
    turn_rad_s: float  # its sign is the direction


@dataclass(frozen=True)
class Walk:
    """The random walk of one animal."""

    forget_s: float  # time constant of the velocity
    speed_m_s: float  # sd of the velocity on each axis


def draw_cycle(rng: np.random.Generator) -> Cycle:
    """A turn in 1.3 to 2 s on an ellipse of 6 to 9 cm: the size and speed of reaches."""
    angle, narrow = rng.uniform(0, np.pi), rng.uniform(0.6, 1.0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return Cycle(
        centre_m=0.02 * rng.standard_normal(2),
        shape=turn @ np.diag([1.0, narrow]) @ turn.T,
        radius_m=float(rng.uniform(0.06, 0.09)),
        turn_rad_s=float(2 * np.pi * rng.uniform(0.5, 0.75) * rng.choice([-1, 1])),
    )


def draw_walk(rng: np.random.Generator) -> Walk:
    return Walk(forget_s=float(rng.uniform(0.2, 0.35)), speed_m_s=float(rng.uniform(0.12, 0.18)))


def cycle_motion(cycle: Cycle, body: Body, force: Floats, rng: np.random.Generator) -> Motion:
    """Turns of a limit cycle from random phases; `force` (trial, step, 2) in N acts as well."""
    trials, steps = len(force), force.shape[1] + _settling()
    faster = 1 + 0.12 * coloured_noise(trials, steps, 0.5, rng)[..., :1]
    wider = 1 + 0.12 * coloured_noise(trials, steps, 0.8, rng)[..., :1]
    back = np.linalg.inv(cycle.shape)
    phase = rng.uniform(0, 2 * np.pi, trials)
    around = cycle.radius_m * np.stack([np.cos(phase), np.sin(phase)], axis=1)
    turning = cycle.turn_rad_s * around @ QUARTER_TURN.T

    def drive(step: int, position: Floats, velocity: Floats) -> Floats:
        place, pace = (position - cycle.centre_m) @ back.T, velocity @ back.T
        omega, radius = cycle.turn_rad_s * faster[step], cycle.radius_m * wider[step]
        excess = ATTRACTION_PER_S * (1 - (place**2).sum(-1, keepdims=True) / radius**2)
        flow = omega * place @ QUARTER_TURN.T + excess * place
        change = omega * pace @ QUARTER_TURN.T + excess * pace
        return np.asarray((change + FOLLOW_PER_S * (flow - pace)) @ cycle.shape.T)

    return _move(drive, cycle.centre_m + around @ cycle.shape.T, turning @ cycle.shape.T, body, force, rng)


def walk_motion(walk: Walk, body: Body, force: Floats, rng: np.random.Generator) -> Motion:
    """Random walks from random places; `force` (trial, step, 2) in N acts as well."""
    trials, steps = len(force), force.shape[1] + _settling()
    # The variance of a first-order filter of noise that is itself a first-order filter of white noise.
    size = walk.speed_m_s * np.sqrt((walk.forget_s + WALK_NOISE_S) / (WALK_NOISE_S * walk.forget_s**2))
    push = size * coloured_noise(trials, steps, WALK_NOISE_S, rng)

    def drive(step: int, position: Floats, velocity: Floats) -> Floats:
        return np.asarray(push[step] - velocity / walk.forget_s)

    start = 0.03 * rng.standard_normal((trials, 2))
    return _move(drive, start, np.zeros((trials, 2)), body, force, rng)


def _settling() -> int:
    return round(SETTLE_S / STEP_S)


def _move(
    drive: Drive, position: Floats, velocity: Floats, body: Body, force: Floats, rng: np.random.Generator
) -> Motion:
    """Drive -> muscle -> mass, from before the trial's start; what happened before it is left out."""
    settling = _settling()
    steps = settling + force.shape[1]
    noise = coloured_noise(len(force), steps, body.noise_time_s, rng)
    steady = body.process_noise_m_s2 * coloured_noise(len(force), steps, body.noise_time_s, rng)
    lag = np.exp(-STEP_S / body.muscle_lag_s)
    actuator = np.zeros_like(position)
    history: dict[str, list[Floats]] = {"drive": [], "actuator": [], "position": [], "velocity": []}
    for step in range(steps):
        wanted = body.bound_m_s2 * np.tanh(drive(step, position, velocity) / body.bound_m_s2)
        for name, value in (("drive", wanted), ("actuator", actuator), ("position", position), ("velocity", velocity)):
            history[name].append(value)
        pushed = force[:, step - settling] / body.mass_kg if step >= settling else 0.0
        acceleration = actuator + steady[step] + motor_noise(body.motor_noise, actuator, noise[step]) + pushed
        position, velocity = moved(position, velocity, acceleration)
        actuator = lag * actuator + (1 - lag) * wanted
    return Motion(**{name: np.stack(values[settling:], axis=1) for name, values in history.items()})
