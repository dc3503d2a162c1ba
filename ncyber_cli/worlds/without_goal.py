"""Animals that pursue nothing: a body on a limit cycle of its own, or on a random walk, and neurons that follow it.

They have the files, the events, the areas and the neurons of the reaching world. Targets are shown and go signals
given, and nothing in the animal heeds them. Whoever finds an objective here has found a description.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.worlds.free_motion import Motion, cycle_motion, draw_cycle, draw_walk, walk_motion
from ncyber_cli.worlds.reach import BEHAVIOR_HZ, event_columns, sampled
from ncyber_cli.worlds.reach_animal import LATENT_SD, ReachAnimal, draw_animal
from ncyber_cli.worlds.reach_loop import STEP_S, external_force
from ncyber_cli.worlds.reach_neurons import bin_rates, echo, slow_noise
from ncyber_cli.worlds.reach_task import BIN_S, TRIAL_S, draw_schedule
from ncyber_cli.worlds.simulated import RATE_BITS, Signal, SimulatedAnimal, poisson_counts

PRIVATE_S = 0.25  # correlation time of the dynamics that have nothing to do with the body
Floats = NDArray[np.float64]
Kind = Literal["limit_cycle", "random_walk"]


def simulate(
    kind: Kind,
    *,
    trials: int = 160,
    seed: int = 0,
    animal: int = 0,
    units: int | None = None,
    pulse_probability: float = 0.3,
    nuisance_sd: float = 0.05,
    gain_sd: float = 0.03,
) -> SimulatedAnimal:
    """One animal's session, sampled as `reach.simulate` samples it; there is no `objective` in its truth.

    Truth: `control` and `actuator` (m/s^2), what drives the body before and after the muscle; `latent`; `rate`.
    """
    subject = draw_animal(animal, seed, units=units, nuisance_sd=nuisance_sd, gain_sd=gain_sd)
    motion_rng = np.random.default_rng([seed, animal, 4])
    rng = np.random.default_rng([seed, animal, 5])
    schedule = draw_schedule(trials, rng, "eight", 0.0, pulse_probability)
    per_bin = round(BIN_S / STEP_S)
    steps = round(TRIAL_S / BIN_S) * per_bin
    force = external_force(schedule, STEP_S * np.arange(steps, dtype=np.float64))
    if kind == "limit_cycle":
        motion = cycle_motion(draw_cycle(motion_rng), subject.body, force, rng)
    else:
        motion = walk_motion(draw_walk(motion_rng), subject.body, force, rng)
    latent = free_latent(motion, subject, rng)
    rate = bin_rates(latent, subject.neurons, per_bin, rng)
    body = subject.body
    return SimulatedAnimal(
        animal=f"{kind}-{animal + 1}",
        world=kind,
        seed=seed,
        bin_s=BIN_S,
        counts=poisson_counts(rate, rng),
        unit_area=subject.neurons.area,
        behavior={
            "hand_pos": sampled(motion.position, BEHAVIOR_HZ, "m", "hand position, x and y"),
            "hand_vel": sampled(motion.velocity, BEHAVIOR_HZ, "m/s", "hand velocity, x and y"),
        },
        inputs={"external_force": sampled(force, BEHAVIOR_HZ, "N", "force of the manipulandum on the hand, x and y")},
        truth={
            "control": sampled(motion.drive, 1 / BIN_S, "m/s^2", "what drives the body, before the muscle"),
            "actuator": sampled(motion.actuator, 1 / BIN_S, "m/s^2", "what drives the body, after the muscle's lag"),
            "latent": sampled(latent, 1 / BIN_S, "a.u.", "private (2), body state (4), drive, echo, speed (5)"),
            "rate": Signal(rate, 1 / BIN_S, "counts", "expected spikes per bin of each unit", BIN_S / 2, RATE_BITS),
        },
        trial_columns=event_columns(schedule),
        constants={"mass_kg": body.mass_kg, "muscle_lag_s": body.muscle_lag_s, "bound_m_s2": body.bound_m_s2},
    )


def free_latent(motion: Motion, subject: ReachAnimal, rng: np.random.Generator) -> Floats:
    """Latents (trial, step, 11) with the areas and the typical sizes of the reaching world's."""
    trials, steps, _ = motion.position.shape
    neurons = subject.neurons
    private = slow_noise((trials, steps, 2), PRIVATE_S, STEP_S, rng)
    cos, sin = np.cos(neurons.command_angle), np.sin(neurons.command_angle)
    drive = motion.drive @ np.array([[cos, sin], [-sin, cos]])
    speed = np.linalg.norm(motion.velocity, axis=-1, keepdims=True)
    parts = [private, motion.position, motion.velocity, drive, echo(drive, neurons.echo_hz), speed]
    latent = np.concatenate(parts, axis=-1)
    return np.asarray(LATENT_SD * (latent - latent.mean((0, 1))) / latent.std((0, 1)))
