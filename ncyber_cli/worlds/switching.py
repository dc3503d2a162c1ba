"""An animal that always pursues one of K goals and now and then exchanges it for another, of its own accord.

Brain, muscle, mass, senses and neurons are those of the reaching world. Nothing on a screen says which goal it is:
the discrete path is a Markov chain in continuous time, known to the truth alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.worlds.reach import record, sampled
from ncyber_cli.worlds.reach_animal import draw_animal
from ncyber_cli.worlds.reach_loop import BELIEF_S, STEP_S, external_force, pursue, smooth_step
from ncyber_cli.worlds.reach_task import BIN_S, draw_schedule
from ncyber_cli.worlds.simulated import SimulatedAnimal

TRIAL_S = 2.0
RADIUS_M = (0.06, 0.1)  # of the goals, around the centre
JITTER = 0.4  # of their directions, as a share of an even spacing
GOAL_SD_M = 0.003  # each time a goal is taken up it lies a little elsewhere
PULSE_MARGIN_S = 0.2
Floats = NDArray[np.float64]


def simulate(
    *,
    trials: int = 240,
    seed: int = 0,
    animal: int = 0,
    units: int | None = None,
    prototypes: int = 4,
    rate_hz: float = 0.8,
    pulse_probability: float = 0.3,
    nuisance_sd: float = 0.05,
    gain_sd: float = 0.03,
) -> SimulatedAnimal:
    """One animal's session; the goals depend on the seed alone, so that the animals of a world share them.

    Besides the truth of `reach.simulate` there is `prototype`, the index of the goal pursued at each bin's centre;
    where the prototypes lie is among the constants, as prototype_0_x_m and so on.
    """
    subject = draw_animal(animal, seed, units=units, nuisance_sd=nuisance_sd, gain_sd=gain_sd)
    place = draw_prototypes(prototypes, np.random.default_rng([seed, 6]))
    rng = np.random.default_rng([seed, animal, 7])
    state = draw_states(trials, round(TRIAL_S / STEP_S), prototypes, rate_hz, rng)
    goal = believed_goals(place, state, rng)
    pulses = draw_schedule(trials, rng, "eight", 0.0, pulse_probability)
    when = rng.uniform(PULSE_MARGIN_S, TRIAL_S - PULSE_MARGIN_S, trials)
    pulses = replace(pulses, pulse_s=np.where(np.isnan(pulses.pulse_s), np.nan, when))
    push = external_force(pulses, STEP_S * np.arange(state.shape[1], dtype=np.float64))
    loop = pursue(subject.body, goal, np.ones(state.shape), push, goal[:, 0] + pulses.start, rng)
    recording = record(subject, loop, rng, seed)
    index = sampled(state[..., None].astype(np.float64), 1 / BIN_S, "1", "which of the prototypes is pursued")
    positions = {
        f"prototype_{k}_{axis}_m": float(place[k, i]) for k in range(prototypes) for i, axis in enumerate("xy")
    }
    return replace(
        recording,
        animal=f"switching-{animal + 1}",
        world="switching",
        truth={**recording.truth, "prototype": index},
        trial_columns={"pulse_time": pulses.pulse_s},
        constants={**recording.constants, "switch_rate_hz": rate_hz, **positions},
    )


def draw_prototypes(number: int, rng: np.random.Generator) -> Floats:
    """Goals (prototype, 2) in m, in directions that are roughly evenly spaced."""
    spacing = 2 * np.pi / number
    angle = spacing * (np.arange(number) + JITTER * rng.uniform(-0.5, 0.5, number)) + rng.uniform(0, 2 * np.pi)
    place: Floats = rng.uniform(*RADIUS_M, number)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return place


def draw_states(trials: int, steps: int, number: int, rate_hz: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """The Markov chain (trial, step): any first state, then to any other alike at `rate_hz`."""
    first = rng.integers(0, number, (trials, 1))
    switches = rng.uniform(size=(trials, steps)) < -np.expm1(-rate_hz * STEP_S)
    switches[:, 0] = False
    ahead = np.where(switches, rng.integers(1, number, (trials, steps)), 0)
    states: NDArray[np.int64] = (first + np.cumsum(ahead, axis=1)) % number
    return states


def believed_goals(place: Floats, state: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """What the brain pursues (trial, step, 2) in m: the new goal replaces the old one around each switch, smoothly."""
    trials, steps = state.shape
    goal, step = np.empty((trials, steps, 2)), np.arange(steps)
    for trial in range(trials):
        begins = np.flatnonzero(np.diff(state[trial], prepend=-1))
        goals = place[state[trial, begins]] + GOAL_SD_M * rng.standard_normal((len(begins), 2))
        lengths = rng.uniform(*BELIEF_S, len(begins)) / STEP_S
        path = np.broadcast_to(goals[0], (steps, 2))
        for begin, length, target in zip(begins[1:], lengths[1:], goals[1:], strict=True):
            share = smooth_step((step - begin) / length + 0.5)[:, None]
            path = path + share * (target - path)
        goal[trial] = path
    return goal
