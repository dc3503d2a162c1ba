"""The task of the reaching world: when things happen in each trial, where the target is, what pushes the hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.worlds.reach_animal import REACH_M

BIN_S = 0.02
TRIAL_S = 2.0
GoalSet = Literal["eight", "disc"]
Floats = NDArray[np.float64]

CUE_S = 0.2
DELAY_S = (0.3, 0.6)  # from cue to go
REACTION_S = (0.02, 0.06)  # from go to the gate's opening
JUMP_AFTER_GO_S = (0.04, 0.3)  # late enough to be a correction, early enough to land within the trial
PULSE_AFTER_GO_S = (0.05, 0.6)
PULSE_S = (0.06, 0.1)
PULSE_N = (1.0, 2.5)


@dataclass(frozen=True)
class Schedule:
    """Events of each trial in s from its start, on display frames of one bin; NaN where nothing happens."""

    cue_s: Floats  # (trial,)
    go_s: Floats  # (trial,)
    gate_s: Floats  # (trial,) go plus the animal's own reaction time
    jump_s: Floats  # (trial,)
    first_target: Floats  # (trial, 2) m
    last_target: Floats  # (trial, 2) m; equals first_target without a jump
    start: Floats  # (trial, 2) m, the hand at rest
    pulse_s: Floats  # (trial,) onset
    pulse_length_s: Floats  # (trial,)
    pulse_n: Floats  # (trial, 2) peak force


def _frames(low: float, high: float, trials: int, rng: np.random.Generator) -> Floats:
    """Random times that fall on display frames."""
    frames = rng.integers(round(low / BIN_S), round(high / BIN_S) + 1, trials)
    return BIN_S * frames.astype(np.float64)


def _goals(kind: GoalSet, trials: int, rng: np.random.Generator, avoid: Floats | None = None) -> Floats:
    """Targets (trial, 2); on the circle a new target differs from `avoid`, on the disc it lies at least 3 cm away."""
    if kind == "eight":
        spot = rng.integers(0, 8, trials)
        if avoid is not None:
            previous = np.round(np.arctan2(avoid[:, 1], avoid[:, 0]) / (np.pi / 4)).astype(int)
            spot = previous + rng.integers(1, 8, trials)
        angle = spot * np.pi / 4
        return REACH_M * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    goals = np.empty((trials, 2))
    for trial in range(trials):
        while True:
            goals[trial] = rng.uniform(-REACH_M, REACH_M, 2)
            if np.hypot(*goals[trial]) > REACH_M:
                continue
            if avoid is None or np.hypot(*(goals[trial] - avoid[trial])) > 0.03:
                break
    return goals


def draw_schedule(
    trials: int, rng: np.random.Generator, goals: GoalSet, jump_probability: float, pulse_probability: float
) -> Schedule:
    """Independent trials; jumps and pulses are drawn independently of each other and of the goal."""
    cue = np.full(trials, CUE_S)
    go = cue + _frames(*DELAY_S, trials, rng)
    first = _goals(goals, trials, rng)
    jumps = rng.uniform(size=trials) < jump_probability
    pulses = rng.uniform(size=trials) < pulse_probability
    second = _goals(goals, trials, rng, avoid=first)
    angle = rng.uniform(0, 2 * np.pi, trials)
    size = rng.uniform(*PULSE_N, trials) * pulses
    return Schedule(
        cue_s=cue,
        go_s=go,
        gate_s=go + rng.uniform(*REACTION_S, trials),
        jump_s=np.where(jumps, go + _frames(*JUMP_AFTER_GO_S, trials, rng), np.nan),
        first_target=first,
        last_target=np.where(jumps[:, None], second, first),
        start=0.004 * rng.standard_normal((trials, 2)),
        pulse_s=np.where(pulses, go + rng.uniform(*PULSE_AFTER_GO_S, trials), np.nan),
        pulse_length_s=np.where(pulses, rng.uniform(*PULSE_S, trials), np.nan),
        pulse_n=size[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1),
    )
