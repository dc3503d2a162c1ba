"""The closed loop of the reaching world, integrated in 2.5 ms steps for all trials at once.

command -> muscle (first-order lag) -> mass -> senses (delay) -> estimate -> command. The estimate is the
delayed state rolled forward by the animal's own commands (a Smith predictor): what it commanded
it knows at once, what pushed it only after the delay.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.worlds.reach_animal import Body
from ncyber_cli.worlds.reach_task import Schedule

STEP_S = 0.0025  # divides half a behaviour sample and half a bin
GATE_S = 0.06  # the command's gate opens over this time
BELIEF_S = (0.02, 0.04)  # a new target replaces the old one in the brain over this time
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Loop:
    """States at the start of each 2.5 ms step, (trial, step, 2), in m, m/s, m/s^2, N; gate (trial, step)."""

    objective: Floats
    command: Floats
    actuator: Floats
    position: Floats
    velocity: Floats
    estimated_position: Floats
    estimated_velocity: Floats
    force: Floats
    gate: Floats


def smooth_step(phase: Floats) -> Floats:
    """0 below 0, 1 above 1, smooth between."""
    clipped = np.clip(phase, 0.0, 1.0)
    return clipped * clipped * (3.0 - 2.0 * clipped)


def believed_goal(schedule: Schedule, time_s: Floats, delay_s: float, rng: np.random.Generator) -> Floats:
    """What the brain pursues (trial, step, 2): the centre, then each target `delay_s` after it was shown."""
    trials = len(schedule.cue_s)
    goal = np.zeros((trials, time_s.size, 2))
    jump = np.where(np.isnan(schedule.jump_s), np.inf, schedule.jump_s)
    for shown, target in ((schedule.cue_s, schedule.first_target), (jump, schedule.last_target)):
        length = rng.uniform(*BELIEF_S, (trials, 1))
        share = smooth_step((time_s[None] - shown[:, None] - delay_s) / length)[..., None]
        goal = goal + share * (target[:, None] - goal)
    return goal


def external_force(schedule: Schedule, time_s: Floats) -> Floats:
    """Half-sine pulses (trial, step, 2) in N."""
    phase = (time_s[None] - schedule.pulse_s[:, None]) / schedule.pulse_length_s[:, None]
    inside = (phase >= 0) & (phase <= 1)  # False where NaN: no pulse
    shape = np.where(inside, np.sin(np.pi * np.where(inside, phase, 0.0)), 0.0)
    return shape[..., None] * schedule.pulse_n[:, None]


def coloured_noise(
    trials: int, steps: int, time_constant_s: float, rng: np.random.Generator, step_s: float = STEP_S
) -> Floats:
    """Unit-variance noise (step, trial, 2) with an exponential autocorrelation."""
    keep = np.exp(-step_s / time_constant_s)
    noise = rng.standard_normal((steps, trials, 2))
    noise[1:] *= np.sqrt(1.0 - keep**2)
    for step in range(1, steps):
        noise[step] += keep * noise[step - 1]
    return noise


def motor_noise(size: float, actuator: Floats, noise: Floats) -> Floats:
    """The acceleration's noise (trial, 2): `size` is its sd as a share of the actuator's (trial, 2) length."""
    scaled: Floats = size * np.linalg.norm(actuator, axis=-1, keepdims=True) * noise
    return scaled


def moved(position: Floats, velocity: Floats, acceleration: Floats, step_s: float = STEP_S) -> tuple[Floats, Floats]:
    """Position and velocity after a step of constant acceleration."""
    return position + step_s * velocity + 0.5 * step_s**2 * acceleration, velocity + step_s * acceleration


def run_loop(body: Body, schedule: Schedule, steps: int, rng: np.random.Generator) -> Loop:
    """Simulate every trial of a schedule from rest at `schedule.start`."""
    time_s = STEP_S * np.arange(steps, dtype=np.float64)
    goal = believed_goal(schedule, time_s, body.delay_s, rng)
    gate = smooth_step((time_s[None] - schedule.gate_s[:, None]) / GATE_S)
    return pursue(body, goal, gate, external_force(schedule, time_s), schedule.start, rng)


def pursue(
    body: Body, objective: Floats, gate: Floats, push_n: Floats, start: Floats, rng: np.random.Generator
) -> Loop:
    """Simulate a body from rest at `start` (trial, 2) m that pursues `objective` (trial, step, 2) m.

    `gate` (trial, step) lets the command through, `push_n` (trial, step, 2) acts from outside, in N.
    """
    trials, steps, _ = objective.shape
    goal, force, gate = objective.transpose(1, 0, 2), push_n.transpose(1, 0, 2), gate.T
    noise = coloured_noise(trials, steps, body.noise_time_s, rng)
    constant_noise = body.process_noise_m_s2 * coloured_noise(trials, steps, body.noise_time_s, rng)

    shape = (steps, trials, 2)
    command, actuator, position, velocity = (np.zeros(shape) for _ in range(4))
    planned_position, planned_velocity = np.zeros(shape), np.zeros(shape)  # where the commands alone would lead
    seen_position, seen_velocity = np.zeros(shape), np.zeros(shape)
    position[0] = planned_position[0] = start
    late = round(body.delay_s / STEP_S)
    bound, lag = body.bound_m_s2, np.exp(-STEP_S / body.muscle_lag_s)

    for step in range(steps):
        then = max(step - late, 0)
        surprise = velocity[then] - planned_velocity[then]
        seen_velocity[step] = planned_velocity[step] + surprise
        offset = position[then] - planned_position[then]
        seen_position[step] = planned_position[step] + offset + late * STEP_S * surprise
        drive = (goal[step] - seen_position[step]) @ body.stiffness_per_s2 - seen_velocity[step] @ body.damping_per_s
        drive -= actuator[step] @ body.restraint
        command[step] = gate[step][:, None] * bound * np.tanh(drive / bound)
        if step + 1 == steps:
            break
        actuator[step + 1] = lag * actuator[step] + (1 - lag) * command[step]
        push = constant_noise[step] + motor_noise(body.motor_noise, actuator[step], noise[step])
        push += force[step] / body.mass_kg
        for place, speed, acceleration in (
            (planned_position, planned_velocity, actuator[step]),
            (position, velocity, (actuator[step] + push) / body.load),
        ):
            place[step + 1], speed[step + 1] = moved(place[step], speed[step], acceleration)

    return Loop(
        objective=_by_trial(goal),
        command=_by_trial(command),
        actuator=_by_trial(actuator),
        position=_by_trial(position),
        velocity=_by_trial(velocity),
        estimated_position=_by_trial(seen_position),
        estimated_velocity=_by_trial(seen_velocity),
        force=_by_trial(force),
        gate=gate.T,
    )


def _by_trial(values: Floats) -> Floats:
    """(step, trial, 2), in the order things happen, to (trial, step, 2)."""
    return values.transpose(1, 0, 2)
