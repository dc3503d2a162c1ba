"""`simulate --env`: the fitted brain, controller and muscle move the body of a Gymnasium environment.

There is one environment a trial, and all of them are stepped together, so that the model's recursion stays one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.errors import SpecError, UsageError
from ncyber_cli.inference.rollout import Scene
from ncyber_cli.inference.trial_noise import TrialKey, trial_seed
from ncyber_cli.outputs.results_hdf5 import ResultsWriter
from ncyber_cli.outputs.results_layout import Features
from ncyber_cli.pipeline.effects import Values
from ncyber_cli.pipeline.gym_maker import GymMaker
from ncyber_cli.pipeline.gym_map import check_width, gym_map, gym_of
from ncyber_cli.pipeline.interventions import Interventions, Plan
from ncyber_cli.pipeline.open_run import OpenRun
from ncyber_cli.reporting import Progress

REWARDS = Features(["reward"], ["a.u."])
ENV_COLUMNS = ["return", "terminated"]
_EXAMPLE = "gym: {observation: {position: {entries: [0, 1]}}, action: {entries: [0, 1]}}"
Floats = NDArray[np.float64]


class GymWorld:
    """An environment that can be the body of rollouts of one run.

    Raises UsageError for a model without body, for a spec that does not know the environment, and as GymMaker does;
    SpecError where the spec's `gym` does not fit the run or the environment's spaces.
    """

    def __init__(self, run: OpenRun, env_id: str, *, read_goal: bool) -> None:
        self.env_id, self.bin_s, self.read_goal = env_id, run.layout.bin_s, read_goal
        loop, where = run.model.loop, f"--env {env_id}"
        if loop.body is None or loop.controller is None or loop.objective is None:
            what = "this run's model has no body that an environment could replace"
            raise UsageError(what, where=where, remedy="fit one with model.body and model.controller")
        gym = gym_of(run.spec, run.layout, env_id)
        self.maker = GymMaker(env_id, gym)
        if gym is None:
            what = "the run's spec does not say which entries of it are the body and the command"
            raise UsageError(what, where=where, remedy=f"write --env-map FILE, a YAML file with {_EXAMPLE}")
        self.gym, self.map = gym, gym_map(gym, run.spec, run.layout, loop.controller.n_control, loop.objective.size)
        if read_goal and self.map.goal is None:
            remedy = "write gym.objective: {entries: [...]} or {info: KEY}"
            raise SpecError("does not say where the goal is", where="gym", remedy=remedy)
        self._check(self.maker.made(1))
        self._unwritten: dict[str, list[Episodes]] = {}  # by plan
        self._ended: dict[str, list[_Ends]] = {}

    def settings(self) -> dict[str, str]:
        """What was set, as attributes of a rollout."""
        return {"env": self.env_id, **({"objective": "env"} if self.read_goal else {})}

    def check(self, plan: Plan, wanted: Interventions) -> None:
        """Raise UsageError for what is done to a body that is not there."""
        bodies = [f"--body {text}" for text in wanted.body if not text.startswith("lag")]
        forces = [f"--perturb {pulse.text}" for pulse in plan.pulses if pulse.force]
        for option in (*bodies, *forces):
            what, remedy = f"the body is that of {self.env_id}", "change the environment by gym.make, or leave it out"
            raise UsageError(what, where=option, remedy=remedy)

    def begin(
        self, plan: Plan, scene: Scene, keys: Sequence[TrialKey], *, seed: int, sample: int
    ) -> tuple[Scene, Episodes]:
        """The scene with the environments' first bodies (and goals), and the episodes that are its plant."""
        envs = self.maker.made(len(keys))
        observation, info = envs.reset(seed=[trial_seed(key, seed, sample) for key in keys])
        episodes = Episodes(envs, self, np.asarray(observation, np.float64), scene.input.shape[1], scene.body)
        self._unwritten.setdefault(plan.name, []).append(episodes)
        scene = replace(scene, body=episodes.body)
        if not self.read_goal:
            return scene, episodes
        goal = scene.objective.new_tensor(self._goal(np.asarray(observation, np.float64), info))
        return replace(scene, objective=goal[:, None].expand_as(scene.objective)), episodes

    def write_ends(self, plan: Plan, writer: ResultsWriter, name: str, rows: NDArray[np.int64]) -> None:
        """Write how the episodes begun under a plan since the last call ended, one sample after the other."""
        samples = self._unwritten.pop(plan.name)
        ran, terminated = np.stack([one.ran for one in samples]), np.stack([one.terminated for one in samples])
        writer.end_episodes(name, rows, ran, terminated)
        self._ended.setdefault(plan.name, []).extend(one.ends() for one in samples)

    def summary(self, plan: Plan) -> dict[str, float]:
        """Mean return, share of episodes that came to their own end, and share of steps whose action was cut off."""
        ended = self._ended.pop(plan.name)
        episodes, steps = sum(one.episodes for one in ended), sum(one.steps for one in ended)
        return {
            "return": sum(one.reward for one in ended) / episodes,
            "terminated": sum(one.terminated for one in ended) / episodes,
            "clipped": sum(one.clipped for one in ended) / max(1, steps),
        }

    def close(self) -> None:
        self.maker.close()

    def _goal(self, observation: Floats, info: dict[str, Any]) -> Floats:
        assert self.map.goal is not None
        if self.map.info_goal is None:
            return self.map.goal.read(observation)
        if self.map.info_goal not in info:
            known = [key for key in info if not key.startswith("_")]
            remedy = did_you_mean(self.map.info_goal, known)
            raise SpecError(f"info has no {self.map.info_goal!r}", where="gym.objective.info", remedy=remedy)
        found = np.asarray(info[self.map.info_goal], np.float64).reshape(len(observation), -1)
        if found.shape[1] != len(self.map.goal.entries):
            what = f"holds {found.shape[1]} numbers, the objective has {len(self.map.goal.entries)}"
            raise SpecError(what, where=f"info {self.map.info_goal!r}", remedy="name another key")
        return self.map.goal.read(found)

    def _check(self, envs: Any) -> None:
        """Refuse entries that the environment does not have; compare the times of its steps and of the bins."""
        observation, action = envs.single_observation_space, envs.single_action_space
        check_width(self.gym, observation.shape[0], action.shape[0])
        step_s, wanted_s = getattr(envs.envs[0].unwrapped, "dt", None), self.bin_s / self.gym.steps_per_bin
        if isinstance(step_s, float) and abs(step_s - wanted_s) > 0.01 * wanted_s:
            share = f"a bin of {self.bin_s:g} s has {self.gym.steps_per_bin} of them (gym.steps_per_bin)"
            Progress().say(f"warning: {self.env_id} says that its step is {step_s:g} s, and {share}")


@dataclass(frozen=True)
class _Ends:
    """Sums over some episodes."""

    episodes: int
    steps: int
    reward: float
    terminated: int
    clipped: int


class Episodes:
    """What happens in the environments of some trials; called once a bin, as the body of a rollout (`Plant`)."""

    def __init__(self, envs: Any, world: GymWorld, observation: Floats, n_time: int, like: Tensor) -> None:
        n_trial = len(observation)
        self.envs, self.map, self.world, self.like = envs, world.map, world, like
        self.observation, self.bin = observation.copy(), 0
        self.reward = np.zeros((n_trial, n_time))
        self.ran = np.zeros((n_trial, n_time), bool)  # bins up to the one in which the episode ended
        self.ran[:, 0] = True
        self.going, self.terminated = np.ones(n_trial, bool), np.zeros(n_trial, bool)
        self.clipped = 0  # actions that the action space cut off
        self.position: Floats | None = None
        self.body = self._body()

    def __call__(self, control: Tensor, push: Tensor) -> Tensor:
        """The body after the environments' steps of one bin; episodes that have ended stay as they are."""
        self.bin += 1
        self.ran[:, self.bin] = self.going
        actions = self._actions(control if self.map.send == "control" else push)
        for _ in range(self.world.gym.steps_per_bin):
            observation, reward, terminated, truncated, _ = self.envs.step(actions)
            on = self.going  # the others have been reset, which is not part of this rollout
            self.observation[on] = observation[on]
            self.reward[on, self.bin] += reward[on]
            self.terminated |= on & terminated
            self.going = on & ~(terminated | truncated)
        self.body = self._body()
        return self.body

    def cut(self, values: Values) -> Values:
        """The groups of a results file with the rewards, and nothing after an episode's end."""
        whole = {**values, "rewards": self.reward[:, :, None].astype(np.float32)}
        return {name: np.where(self.ran[:, :, None], found, np.float32(np.nan)) for name, found in whole.items()}

    def ends(self) -> _Ends:
        steps = int(self.ran[:, 1:].sum())
        return _Ends(len(self.ran), steps, float(self.reward.sum()), int(self.terminated.sum()), self.clipped)

    def _actions(self, command: Tensor) -> NDArray[Any]:
        space = self.envs.single_action_space
        wanted = self.map.action.write(np.nan_to_num(command.double().cpu().numpy()), space.shape[0])
        actions = np.clip(wanted, space.low, space.high)
        self.clipped += int((actions != wanted)[self.going].any(1).sum())
        return actions.astype(space.dtype)

    def _body(self) -> Tensor:
        body = self.map.body.read(self.observation)
        if self.map.differenced:
            before = body if self.position is None else self.position
            self.position, body = body, np.concatenate([body, (body - before) / self.world.bin_s], 1)
        return torch.from_numpy(body).to(self.like)
