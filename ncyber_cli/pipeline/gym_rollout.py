"""`simulate --env`: the fitted brain, controller and muscle move the body of a Gymnasium environment.

There is one environment a trial, and all of them are stepped together, so that the model's recursion stays one batch.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.errors import SpecError, UsageError
from ncyber_cli.inference.rollout import Scene
from ncyber_cli.inference.trial_noise import TrialKey, trial_seed
from ncyber_cli.outputs.results_layout import Features
from ncyber_cli.pipeline.gym_map import REACH_ID, check_width, gym_map, gym_of
from ncyber_cli.pipeline.open_run import OpenRun
from ncyber_cli.reporting import Progress

REWARDS = Features(["reward"], ["a.u."])
_INSTALL = "install it with the extra `gym`: pip install '.[gym]' in a checkout of ncyber, or pip install gymnasium"
_OTHER_SPACE = "choose its continuous variant, or register a wrapped one (--env my_module:My-v0)"
Floats = NDArray[np.float64]


class GymWorld:
    """An environment that can be the body of rollouts of one run.

    Raises UsageError if gymnasium is not installed, for an unknown id and for spaces that are not vectors of real
    numbers; SpecError where the spec's `gym` does not fit the run or the spaces.
    """

    def __init__(self, run: OpenRun, env_id: str, *, read_goal: bool) -> None:
        self.gymnasium, self.env_id, self.where = _gymnasium(env_id), env_id, f"--env {env_id}"
        loop = run.model.loop
        if loop.body is None or loop.controller is None or loop.objective is None:
            what = "this run's model has no body that an environment could replace"
            raise UsageError(what, where=self.where, remedy="fit one with model.body and model.controller")
        self.gym = gym_of(run.spec, run.layout, env_id)
        self.map = gym_map(self.gym, run.spec, run.layout, loop.controller.n_control, loop.objective.size)
        self.bin_s, self.read_goal = run.layout.bin_s, read_goal
        if read_goal and self.map.goal is None:
            remedy = "write gym.objective: {entries: [...]} or {info: KEY}"
            raise SpecError("does not say where the goal is", where="gym", remedy=remedy)
        self._envs: Any = None
        self._check(self._made(1))

    def begin(self, scene: Scene, keys: Sequence[TrialKey], *, seed: int, sample: int) -> tuple[Scene, Episodes]:
        """The scene with the environments' first bodies (and goals), and the episodes that are its plant."""
        envs = self._made(len(keys))
        observation, info = envs.reset(seed=[trial_seed(key, seed, sample) for key in keys])
        episodes = Episodes(envs, self, np.asarray(observation, np.float64), scene.input.shape[1], scene.body)
        scene = replace(scene, body=episodes.body)
        if not self.read_goal:
            return scene, episodes
        goal = scene.objective.new_tensor(self._goal(np.asarray(observation, np.float64), info))
        return replace(scene, objective=goal[:, None].expand_as(scene.objective)), episodes

    def close(self) -> None:
        self._envs.close()

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

    def _made(self, count: int) -> Any:
        """The environments of `count` trials; those of the last call where there are as many."""
        if self._envs is not None and self._envs.num_envs == count:
            return self._envs
        if self._envs is not None:
            self._envs.close()
        gymnasium = self.gymnasium
        wrappers = [gymnasium.wrappers.FlattenObservation] if self.gym.flatten else None
        try:
            self._envs = gymnasium.make_vec(self.env_id, count, "sync", wrappers=wrappers, **self.gym.make)
        except gymnasium.error.DependencyNotInstalled as error:
            raise UsageError(f"needs what is not installed ({error})", where=self.where, remedy="install it") from error
        except (gymnasium.error.Error, ImportError) as error:
            remedy = did_you_mean(self.env_id, [*gymnasium.registry, REACH_ID])
            raise UsageError(f"there is no such environment ({error})", where=self.where, remedy=remedy) from error
        except TypeError as error:
            raise SpecError(f"does not suit {self.env_id} ({error})", where="gym.make", remedy="mend it") from error
        return self._envs

    def _check(self, envs: Any) -> None:
        """Refuse spaces that are not vectors, and entries that they do not have; compare the times of steps."""
        observation, action = envs.single_observation_space, envs.single_action_space
        if not _is_vector(observation):
            remedy = "write gym.flatten: true" if not self.gym.flatten else _OTHER_SPACE
            raise UsageError(f"its observation is no vector but {_shown(observation)}", where=self.where, remedy=remedy)
        if not _is_vector(action):
            raise UsageError(f"its action is no vector but {_shown(action)}", where=self.where, remedy=_OTHER_SPACE)
        check_width(self.gym, observation.shape[0], action.shape[0])
        step_s, wanted_s = getattr(envs.envs[0].unwrapped, "dt", None), self.bin_s / self.gym.steps_per_bin
        if isinstance(step_s, float) and abs(step_s - wanted_s) > 0.01 * wanted_s:
            share = f"a bin of {self.bin_s:g} s has {self.gym.steps_per_bin} of them (gym.steps_per_bin)"
            Progress().say(f"warning: {self.env_id} says that its step is {step_s:g} s, and {share}")


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
        self.clipped = 0  # entries of actions that the action space cut off
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


def _gymnasium(env_id: str) -> Any:
    """The library, with this program's own environment registered where it is asked for."""
    try:
        import gymnasium
    except ImportError as error:
        what = "needs gymnasium, which is not installed"
        raise UsageError(what, where=f"--env {env_id}", remedy=_INSTALL) from error
    if env_id == REACH_ID:
        importlib.import_module("ncyber_cli.worlds.reach_env")
    return gymnasium


def _is_vector(space: Any) -> bool:
    """A box of one dimension of real numbers: no image, no choice, no mapping."""
    shape, dtype = getattr(space, "shape", None), getattr(space, "dtype", None)
    return hasattr(space, "low") and len(shape or ()) == 1 and np.issubdtype(dtype, np.floating)


def _shown(space: Any) -> str:
    text = " ".join(str(space).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
