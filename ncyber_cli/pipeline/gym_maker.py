"""Environments of Gymnasium by the dozen: found, made, and refused where they are no world for a body."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.errors import SpecError, UsageError
from ncyber_cli.pipeline.gym_map import REACH_ID
from ncyber_cli.spec import Gym

_INSTALL = "install it with the extra `gym`: pip install '.[gym]' in a checkout of ncyber, or pip install gymnasium"
_OTHER_SPACE = "choose its continuous variant, or register a wrapped one (--env my_module:My-v0)"


class GymMaker:
    """Makes environments of one id, one a trial, stepped together.

    Raises UsageError if gymnasium is not installed, for an unknown id and for spaces that are not vectors of real
    numbers; SpecError for keyword arguments that the environment does not take.
    """

    def __init__(self, env_id: str, gym: Gym | None) -> None:
        self.env_id, self.where = env_id, f"--env {env_id}"
        self.make, self.flatten = ({}, False) if gym is None else (gym.make, gym.flatten)
        self.gymnasium = self._found()
        self._envs: Any = None
        self._check(self.made(1))

    def made(self, count: int) -> Any:
        """The environments (a gymnasium.vector.VectorEnv) of `count` trials; those of the last call if as many."""
        if self._envs is not None and self._envs.num_envs == count:
            return self._envs
        self.close()
        wrappers = [self.gymnasium.wrappers.FlattenObservation] if self.flatten else None
        try:
            self._envs = self.gymnasium.make_vec(self.env_id, count, "sync", wrappers=wrappers, **self.make)
        except self.gymnasium.error.DependencyNotInstalled as error:
            raise UsageError(f"needs what is not installed ({error})", where=self.where, remedy="install it") from error
        except TypeError as error:
            raise SpecError(f"does not suit {self.env_id} ({error})", where="gym.make", remedy="mend it") from error
        return self._envs

    def close(self) -> None:
        if self._envs is not None:
            self._envs.close()
            self._envs = None

    def _found(self) -> Any:
        """The library, once it knows the id; this program's own environment is registered where it is asked for."""
        try:
            import gymnasium
        except ImportError as error:
            what = "needs gymnasium, which is not installed"
            raise UsageError(what, where=self.where, remedy=_INSTALL) from error
        module, _, name = self.env_id.rpartition(":")
        module = module or ("ncyber_cli.worlds.reach_env" if name == REACH_ID else "")
        try:
            if module:
                importlib.import_module(module)
            gymnasium.spec(name)
        except ImportError as error:
            remedy = "name a module that Python finds from here"
            raise UsageError(f"cannot be imported ({error})", where=self.where, remedy=remedy) from error
        except gymnasium.error.Error as error:
            remedy = did_you_mean(name, [*gymnasium.registry, REACH_ID])
            raise UsageError("there is no such environment", where=self.where, remedy=remedy) from error
        return gymnasium

    def _check(self, envs: Any) -> None:
        observation, action = envs.single_observation_space, envs.single_action_space
        if not _is_vector(observation, "iuf"):
            remedy = _OTHER_SPACE if self.flatten else "write gym.flatten: true (--env-map FILE)"
            raise UsageError(f"its observation is no vector but {_shown(observation)}", where=self.where, remedy=remedy)
        if not _is_vector(action, "f"):
            raise UsageError(f"its action is no vector but {_shown(action)}", where=self.where, remedy=_OTHER_SPACE)


def _is_vector(space: Any, kinds: str) -> bool:
    """A box of one dimension of numbers of these kinds (numpy's letters): no image, no choice, no mapping."""
    shape, dtype = getattr(space, "shape", None), getattr(space, "dtype", None)
    return hasattr(space, "low") and len(shape or ()) == 1 and np.dtype(dtype).kind in kinds


def _shown(space: Any) -> str:
    text = " ".join(str(space).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
