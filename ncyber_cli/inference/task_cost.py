"""What a rollout costs: weighted terms of a task, one number a rollout, differentiable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.inference.rollout import Happening

_NEAR = 0.1  # term `time`: of the first distance to the objective; nearer than this the body counts as there


@dataclass(frozen=True)
class Outcome:
    """What the terms are computed from, time first; the body's units, and the command's."""

    to_goal: Float[Tensor, "time trial n_objective"]  # position less objective
    velocity: Float[Tensor, "time trial n"]
    control: Float[Tensor, "time trial n_control"]
    actuator: Float[Tensor, "time trial n_control"]
    bin_s: float


def _end(outcome: Outcome) -> Tensor:
    return outcome.to_goal[-1].square().sum(-1)


def _path(outcome: Outcome) -> Tensor:
    return outcome.to_goal.square().sum(-1).mean(0)


def _effort(outcome: Outcome) -> Tensor:
    return outcome.control[1:].square().sum(-1).mean(0)  # the first bin's is the muscle's start, not a command


def _end_speed(outcome: Outcome) -> Tensor:
    return outcome.velocity[-1].square().sum(-1)


def _jerk(outcome: Outcome) -> Tensor:
    return (outcome.actuator.diff(dim=0) / outcome.bin_s).square().sum(-1).mean(0)


def _time(outcome: Outcome) -> Tensor:
    """A bin counts 1 - exp(-d^2 / 2 r^2) of its duration: a count of bins away that has a gradient."""
    square = outcome.to_goal.square().sum(-1)
    near = (_NEAR**2 * square[:1]).clamp(min=torch.finfo(square.dtype).eps)
    away: Tensor = 1 - torch.exp(-0.5 * square / near)
    return outcome.bin_s * away.sum(0)


# Name -> the term and its meaning, with L the body's unit of length and U the unit of the command.
TERMS: dict[str, tuple[Callable[[Outcome], Tensor], str]] = {
    "end": (_end, "squared distance of the last position to the objective, L^2"),
    "path": (_path, "mean over the rollout of the squared distance to the objective, L^2"),
    "effort": (_effort, "mean squared command, U^2"),
    "end_speed": (_end_speed, "squared speed in the last bin, (L/s)^2"),
    "jerk": (_jerk, "mean squared change of the actuator in a second, (U/s)^2"),
    "time": (_time, "seconds farther from the objective than about a tenth of the first distance, s"),
}


@dataclass(frozen=True)
class TaskCost:
    """The weighted sum of some terms."""

    weights: Mapping[str, float]  # by the names of TERMS

    def terms(self, model: NeuroModel, happening: Happening) -> dict[str, Float[Tensor, " trial"]]:
        """Each weighted term of every rollout, unweighted. The model has a body and an objective of its size."""
        body, happened = model.loop.body, happening.trajectory
        assert body is not None
        assert happening.objective is not None
        assert happened.body is not None
        assert happened.control is not None
        assert happened.actuator is not None
        to_goal = body.position(happened.body) - happening.objective
        velocity = body.velocity(happened.body)
        outcome = Outcome(to_goal, velocity, happened.control, happened.actuator, model.loop.bin_s)
        return {name: TERMS[name][0](outcome) for name in self.weights}

    def total(self, terms: Mapping[str, Float[Tensor, " trial"]]) -> Float[Tensor, " trial"]:
        return torch.stack([self.weights[name] * values for name, values in terms.items()]).sum(0)
