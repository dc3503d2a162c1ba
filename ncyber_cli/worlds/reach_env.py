"""`ncyber/Reach-v0`: the plant of the reaching world as a Gymnasium environment.

A mass, a muscle, motor noise and force pulses, as in `reach_loop`, and a target to land on. Importing this file
registers it; `gymnasium.make("ncyber_cli.worlds.reach_env:ncyber/Reach-v0")` does both.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import gymnasium
import numpy as np
from numpy.typing import NDArray

from ncyber_cli.worlds.reach_loop import STEP_S, coloured_noise, external_force, motor_noise, moved
from ncyber_cli.worlds.reach_task import BIN_S, TRIAL_S, GoalSet, draw_schedule

REACH_ID = "ncyber/Reach-v0"
LANDED_M, LANDED_M_S = 0.01, 0.05  # so near and so slow
_LARGEST = 50.0  # of an action: ten times what the animals of the reaching world command
_FAR = 1e3  # bound of the observation, m and m/s: no hand comes there
Floats = NDArray[np.float64]


class ReachEnv(gymnasium.Env[Floats, Floats]):
    """Bring a mass to a target and hold it there.

    Observation (6,): position (m), velocity (m/s), target (m), x and y each. Action (2,): acceleration (m/s^2) or
    force (N), held for a step. Reward of a step: minus the squared distance (m^2), minus `effort` times the squared
    acceleration of the muscle. The episode terminates when the mass has landed (within 1 cm of the target and slower
    than 5 cm/s, for `landed_s`), and is truncated after `trial_s`.

    Args:
        step_s: duration of a step; within it the plant moves in steps of about 2.5 ms.
        mass_kg: of the mass; pulses are in newtons, and with `command="force"` so is the action.
        muscle_lag_s: of a first-order muscle between action and acceleration; 0: the action is the acceleration.
        motor_noise: sd of the acceleration's noise as a share of the acceleration.
        process_noise_m_s2: sd of the noise that is always there.
        pulse_probability: of a force pulse, 0.05 to 0.6 s after `go_s`.
        goals: targets anywhere on a disc of 10 cm, or on eight points of its rim.
        effort: weight of the squared acceleration in the reward, m^2 for each (m/s^2)^2.
        landed_s: how long the mass has to stay for the episode to end.
    """

    metadata = {"render_modes": []}

    def __init__(
        self,
        step_s: float = BIN_S,
        trial_s: float = TRIAL_S,
        mass_kg: float = 1.0,
        muscle_lag_s: float = 0.0,
        motor_noise: float = 0.0,
        process_noise_m_s2: float = 0.0,
        noise_time_s: float = 0.02,
        pulse_probability: float = 0.0,
        go_s: float = 0.4,
        goals: GoalSet = "disc",
        command: Literal["acceleration", "force"] = "acceleration",
        effort: float = 1e-5,
        landed_s: float = 0.1,
        render_mode: None = None,
    ) -> None:
        self.substeps = max(1, round(step_s / STEP_S))
        self.tick_s, self.dt = step_s / self.substeps, step_s
        self.steps = round(trial_s / step_s)
        self.mass_kg, self.motor_noise, self.process_noise_m_s2 = mass_kg, motor_noise, process_noise_m_s2
        self.keep = np.exp(-self.tick_s / muscle_lag_s) if muscle_lag_s > 0 else 0.0
        self.noise_time_s, self.pulse_probability, self.go_s = noise_time_s, pulse_probability, go_s
        self.goals: GoalSet = goals
        self.gain = 1.0 if command == "acceleration" else 1 / mass_kg
        self.effort, self.landed_s, self.render_mode = effort, landed_s, render_mode
        self.action_space = gymnasium.spaces.Box(-_LARGEST, _LARGEST, (2,), np.float64)
        self.observation_space = gymnasium.spaces.Box(-_FAR, _FAR, (6,), np.float64)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, dict[str, Any]]:
        """A target, the hand at rest near the centre, and the noise and force of the whole episode."""
        super().reset(seed=seed)
        schedule = draw_schedule(1, self.np_random, self.goals, 0.0, self.pulse_probability)
        schedule = replace(schedule, pulse_s=schedule.pulse_s - schedule.go_s + self.go_s)
        ticks = self.steps * self.substeps
        self.force = external_force(schedule, self.tick_s * np.arange(ticks, dtype=np.float64))[0]
        self.noise, constant = (
            coloured_noise(1, ticks, self.noise_time_s, self.np_random, self.tick_s)[:, 0] for _ in range(2)
        )
        self.constant_noise = self.process_noise_m_s2 * constant
        self.position, self.target = schedule.start[0], schedule.last_target[0]
        self.velocity, self.actuator = np.zeros(2), np.zeros(2)
        self.taken, self.still_s = 0, 0.0
        return self._observation(), self._info()

    def step(self, action: Floats) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        wanted = self.gain * np.clip(np.asarray(action, np.float64), -_LARGEST, _LARGEST)
        for tick in range(self.taken * self.substeps, (self.taken + 1) * self.substeps):
            if self.keep == 0:
                self.actuator = wanted
            push = self.constant_noise[tick] + motor_noise(self.motor_noise, self.actuator, self.noise[tick])
            push = push + self.force[tick] / self.mass_kg
            self.position, self.velocity = moved(self.position, self.velocity, self.actuator + push, self.tick_s)
            self.actuator = self.keep * self.actuator + (1 - self.keep) * wanted
        self.taken += 1
        distance = float(np.linalg.norm(self.position - self.target))
        on_target = distance < LANDED_M and float(np.linalg.norm(self.velocity)) < LANDED_M_S
        self.still_s = self.still_s + self.dt if on_target else 0.0
        landed = self.still_s > self.landed_s - 0.5 * self.dt
        reward = -(distance**2 + self.effort * float(self.actuator @ self.actuator))
        return self._observation(), reward, landed, self.taken >= self.steps, self._info()

    def _observation(self) -> Floats:
        observation: Floats = np.clip(np.concatenate([self.position, self.velocity, self.target]), -_FAR, _FAR)
        return observation

    def _info(self) -> dict[str, Any]:
        return {"target": self.target.copy()}


gymnasium.register(REACH_ID, entry_point=f"{__name__}:ReachEnv")
