"""Which entries of an environment's vectors are the body, the goal and the command: the spec's `gym`, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.errors import SpecError
from ncyber_cli.model.layout import Layout
from ncyber_cli.spec import Actions, Entries, Gym, InfoGoal, PointMass, Spec

REACH_ID = "ncyber/Reach-v0"
_PER_METRE = {"m": 1.0, "cm": 100.0, "mm": 1000.0}
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pick:
    """Entries of a vector as a signal: scale * vector[entries] + offset."""

    entries: NDArray[np.int64]  # (n,)
    scale: Floats  # (n,)
    offset: Floats  # (n,)

    def read(self, vectors: Floats) -> Floats:
        """(trial, n) of (trial, vector)."""
        return self.scale * vectors[:, self.entries] + self.offset

    def write(self, values: Floats, width: int) -> Floats:
        """(trial, width) with scale * values + offset in the entries, zero elsewhere."""
        vectors = np.zeros((len(values), width))
        vectors[:, self.entries] = self.scale * values + self.offset
        return vectors


@dataclass(frozen=True)
class GymMap:
    """How a run's body and an environment are joined."""

    body: Pick  # in the order of the run's body, less velocities where they are differences
    differenced: bool  # velocities are the positions' differences
    action: Pick
    send: str
    goal: Pick | None  # of the observation, or of what `info_goal` names
    info_goal: str | None


def gym_of(spec: Spec, layout: Layout, env_id: str) -> Gym | None:
    """The spec's `gym`; that of ncyber/Reach-v0 is known for a mass that moves in two dimensions, in a metric unit."""
    if spec.gym is not None:
        return spec.gym
    body, unit = spec.model.body, layout.body_units[0]
    known = isinstance(body, PointMass) and layout.n_position == 2 and unit in _PER_METRE
    if env_id.split(":")[-1] != REACH_ID or not known:
        return None
    scale, force = _PER_METRE[unit], isinstance(body, PointMass) and body.mass_kg is not None
    return Gym(
        observation={
            "position": Entries(entries=[0, 1], scale=scale),
            "velocity": Entries(entries=[2, 3], scale=scale),
        },
        action=Actions(entries=[0, 1], scale=1 / scale),
        objective=Entries(entries=[4, 5], scale=scale),
        make={"step_s": layout.bin_s, "command": "force" if force else "acceleration"},
    )


def gym_map(gym: Gym, spec: Spec, layout: Layout, n_control: int, n_objective: int) -> GymMap:
    """Index arrays of a spec's `gym`. Raises SpecError where they do not fit the run's body."""
    signals = list(dict.fromkeys(name.rsplit("_", 1)[0] for name in layout.body_names))
    differenced = isinstance(spec.model.body, PointMass) and "velocity" not in gym.observation
    wanted = [name for name in signals if not (differenced and name == "velocity")]
    picks = []
    for name in wanted:
        if name not in gym.observation:
            remedy = f"the run's body is {', '.join(signals)}"
            raise SpecError(f"lacks {name}", where="gym.observation", remedy=remedy)
        channels = [one for one in layout.body_names if one.rsplit("_", 1)[0] == name]
        where = f"gym.observation.{name}"
        picks.append(_pick(gym.observation[name], len(channels), where, f"the body's {name} has"))
    return GymMap(
        body=_joined(picks),
        differenced=differenced,
        action=_pick(gym.action, n_control, "gym.action", "the command has"),
        send=gym.action.send,
        goal=_goal(gym.objective, n_objective),
        info_goal=gym.objective.info if isinstance(gym.objective, InfoGoal) else None,
    )


def check_width(gym: Gym, observation: int, action: int) -> None:
    """Raise SpecError for an entry that the environment's vectors do not have."""
    named = [(f"gym.observation.{name}", entries, observation) for name, entries in gym.observation.items()]
    if isinstance(gym.objective, Entries):
        named.append(("gym.objective", gym.objective, observation))
    for where, entries, width in [*named, ("gym.action", gym.action, action)]:
        vector = "action" if entries is gym.action else "observation"
        if max(entries.entries) >= width:
            what = f"names entry {max(entries.entries)} of an {vector} of {width}"
            raise SpecError(what, where=where, remedy=f"write entries from 0 to {width - 1}")


def _goal(goal: Entries | InfoGoal | None, size: int) -> Pick | None:
    if goal is None:
        return None
    if isinstance(goal, InfoGoal):
        return Pick(np.arange(size), _each(goal.scale, size), _each(goal.offset, size))
    return _pick(goal, size, "gym.objective", "the objective has")


def _joined(picks: Sequence[Pick]) -> Pick:
    """Several signals, one after the other."""
    return Pick(
        np.concatenate([pick.entries for pick in picks]),
        np.concatenate([pick.scale for pick in picks]),
        np.concatenate([pick.offset for pick in picks]),
    )


def _pick(entries: Entries, size: int, where: str, whose: str) -> Pick:
    count = len(entries.entries)
    if count != size:
        raise SpecError(f"has {count} entries, {whose} {size}", where=where, remedy="write as many")
    if len(set(entries.entries)) != count:
        raise SpecError(f"names an entry twice: {entries.entries}", where=where, remedy="name each once")
    return Pick(np.array(entries.entries), _each(entries.scale, size), _each(entries.offset, size))


def _each(value: float | Sequence[float], size: int) -> Floats:
    if not isinstance(value, float) and len(value) != size:
        raise SpecError(f"has {len(value)} numbers for {size} axes", where="gym.objective", remedy="write as many")
    return np.array(np.broadcast_to(np.asarray(value, np.float64), (size,)))
