"""Reaching animals whose objective is known: closed loops of a brain, a muscle, a mass and delayed senses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.worlds.reach_animal import ReachAnimal, draw_animal
from ncyber_cli.worlds.reach_loop import STEP_S, Loop, run_loop
from ncyber_cli.worlds.reach_neurons import bin_rates, brain_latent
from ncyber_cli.worlds.reach_task import BIN_S, TRIAL_S, GoalSet, Schedule, draw_schedule
from ncyber_cli.worlds.simulated import RATE_BITS, Signal, SimulatedAnimal, poisson_counts

BEHAVIOR_HZ = 100.0


def simulate(
    *,
    trials: int = 160,
    seed: int = 0,
    animal: int = 0,
    units: int | None = None,
    goals: GoalSet = "eight",
    jump_probability: float = 0.2,
    pulse_probability: float = 0.3,
    trial_s: float = TRIAL_S,
    gain_scale: float = 1.0,
    mass_scale: float = 1.0,
    nuisance_sd: float = 0.05,
    gain_sd: float = 0.03,
) -> SimulatedAnimal:
    """One animal's session; body and neurons depend on (seed, animal) alone, trials on the rest as well.

    Behaviour and force are states at 5, 15, 25 ... ms from the trial's start. Truth is on 20 ms bins, taken
    at the bin's centre: `objective` (m), `control` and `actuator` (m/s^2), `latent`; `rate` is the
    expected count of the whole bin. Cue, go and jump fall on bin edges (display frames).

    With `mass_scale` the same trials are done with another mass, and the animal does not know: its commands, as
    accelerations of the mass that it is used to, accomplish less of a heavier one.
    """
    subject = draw_animal(animal, seed, units=units, gain_scale=gain_scale, nuisance_sd=nuisance_sd, gain_sd=gain_sd)
    subject = replace(subject, body=replace(subject.body, load=mass_scale))
    rng = np.random.default_rng([seed, animal, 3])
    schedule = draw_schedule(trials, rng, goals, jump_probability, pulse_probability)
    return reaching_session(subject, schedule, rng, seed, trial_s)


def reaching_session(
    subject: ReachAnimal, schedule: Schedule, rng: np.random.Generator, seed: int, trial_s: float = TRIAL_S
) -> SimulatedAnimal:
    """What an animal does under a schedule, what its neurons say, and the truth of both."""
    loop = run_loop(subject.body, schedule, round(trial_s / BIN_S) * round(BIN_S / STEP_S), rng)
    recording = record(subject, loop, rng, seed)
    return replace(
        recording,
        trial_columns=event_columns(schedule),
        trial_truth={
            "gate_time": schedule.gate_s,
            "cue_arrival_time": schedule.cue_s + subject.body.delay_s,
            "jump_arrival_time": schedule.jump_s + subject.body.delay_s,
        },
    )


def record(subject: ReachAnimal, loop: Loop, rng: np.random.Generator, seed: int) -> SimulatedAnimal:
    """What a lab records of a loop, and the truth beside it; the table of trials is left to the world."""
    latent = brain_latent(loop, subject.neurons, subject.body.bound_m_s2)
    rate = bin_rates(latent, subject.neurons, round(BIN_S / STEP_S), rng)
    behavior, force = _behavior(loop)
    body = subject.body
    return SimulatedAnimal(
        animal=subject.name,
        world="reach",
        seed=seed,
        bin_s=BIN_S,
        counts=poisson_counts(rate, rng),
        unit_area=subject.neurons.area,
        behavior=behavior,
        inputs=force,
        truth={
            "objective": sampled(loop.objective, 1 / BIN_S, "m", "goal that the brain pursues"),
            "control": sampled(loop.command, 1 / BIN_S, "m/s^2", "motor command before the muscle"),
            "actuator": sampled(loop.actuator, 1 / BIN_S, "m/s^2", "motor command after the muscle's lag"),
            "latent": sampled(latent, 1 / BIN_S, "a.u.", "plan (2), state estimate (4) and command (5) of the brain"),
            "rate": Signal(rate, 1 / BIN_S, "counts", "expected spikes per bin of each unit", BIN_S / 2, RATE_BITS),
        },
        constants={
            "mass_kg": body.mass_kg * body.load,
            "muscle_lag_s": body.muscle_lag_s,
            "delay_s": body.delay_s,
            "bound_m_s2": body.bound_m_s2,
            **{f"stiffness_{i}{j}_per_s2": float(body.stiffness_per_s2[i, j]) for i in (0, 1) for j in (0, 1)},
            **{f"damping_{i}{j}_per_s": float(body.damping_per_s[i, j]) for i in (0, 1) for j in (0, 1)},
        },
    )


def sampled(values: NDArray[np.float64], rate_hz: float, unit: str, description: str) -> Signal:
    """States (trial, step, feature) in the middle of each sampling interval, so that a bin's mean is its centre."""
    every = round(1 / (rate_hz * STEP_S))
    return Signal(values[:, every // 2 :: every], rate_hz, unit, description, 0.5 / rate_hz)


def _behavior(loop: Loop) -> tuple[dict[str, Signal], dict[str, Signal]]:
    hand = {
        "hand_pos": sampled(loop.position, BEHAVIOR_HZ, "m", "hand position, x and y"),
        "hand_vel": sampled(loop.velocity, BEHAVIOR_HZ, "m/s", "hand velocity, x and y"),
    }
    force = sampled(loop.force, BEHAVIOR_HZ, "N", "force of the manipulandum on the hand, x and y")
    return hand, {"external_force": force}


def event_columns(schedule: Schedule) -> dict[str, NDArray[Any]]:
    """The trial table of a lab that sees the screen."""
    return {
        "target_on_time": schedule.cue_s,
        "go_time": schedule.go_s,
        "jump_time": schedule.jump_s,
        "pulse_time": schedule.pulse_s,
        "target_x": schedule.first_target[:, 0],
        "target_y": schedule.first_target[:, 1],
        "final_target_x": schedule.last_target[:, 0],
        "final_target_y": schedule.last_target[:, 1],
    }
