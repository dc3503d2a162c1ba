"""Inverse optimal control: the command of an animal that minimises a cost, whose weights are what is learned.

The animal weighs, per second,

    sum_i q_i (p_i - o_i)^2 + sum_i w_i (v_i - g_i)^2 + sum_k u_k^2

with position p, goal o, velocity v, the goal's velocity g (zero unless goals move) and command u. Effort has weight
one: only ratios of weights can be seen in what an animal does. The plant is body, muscle and goal, so that the
state of the muscle enters the command, as in Todorov & Jordan (2002); delayed senses are no part of it, because
the brain commands from an estimate that a forward model has brought up to date.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ncyber_cli.model.controller.feedback import FeedbackController, Gains
from ncyber_cli.model.meta import Pooled
from ncyber_cli.model.plant import Plant
from ncyber_cli.model.riccati import LinearQuadratic, finite_horizon, gain, infinite_horizon

_WEIGHT_SD = 0.6  # log-normal spread over animals: weights go with the square or the fourth power of speed


@dataclass(frozen=True)
class FirstWeights:
    """Where the weights begin, in squared controls per squared unit of the body."""

    position: Float[Tensor, " n_objective"]
    velocity: Float[Tensor, " n_velocity"]  # none where velocity is no state of the body


class Lqr(FeedbackController):
    """u = gate(x) c tanh(-K (b^, m, o) / c), K from the Riccati equation of the animal's own body and weights.

    Without `horizon_s` the animal plans for ever; with it, always that far ahead (a receding horizon: when a trial
    ends is the experimenter's knowledge, not the animal's). The equation is solved once a batch, for every
    animal, in double precision, on a step of the plant far shorter than a bin, so that what is learned does
    not depend on the width of the bins; a bin's command then foresees the bin (see Plant.held).
    """

    looks_ahead = True

    def __init__(
        self,
        plant: Callable[[], Plant],
        n_latent: int,
        n_animal: int,
        n_control: int,
        bound: float,
        gate_areas: Float[Tensor, " n_latent"],
        weights: FirstWeights,
        horizon_s: float | None = None,
        moving_goals: bool = False,
    ) -> None:
        super().__init__(n_latent, n_animal, n_control, bound, gate_areas)
        self.n_animal, self.plant, self.horizon_s, self.moving_goals = n_animal, plant, horizon_s, moving_goals
        self.position_weight = Pooled(weights.position, n_animal, _WEIGHT_SD)
        self.velocity_weight = Pooled(weights.velocity, n_animal, _WEIGHT_SD)

    def at(self, animal: Int[Tensor, " trial"]) -> Gains:
        plant = self.plant()
        held = plant.held(self.optimal_gain(plant), self.moving_goals).to(self.control_scale.dtype)
        return self.behind_the_gate(animal, held[animal], plant.origin)

    def optimal_gain(self, plant: Plant) -> Float[Tensor, "n_animal n_control n_known"]:
        """K of every animal for (body - origin, actuator, goal - origin), in double precision."""
        animals = torch.arange(self.n_animal, device=self.control_scale.device)
        weights = self.position_weight(animals), self.velocity_weight(animals)
        problem = _problem(plant, *weights, moving=self.moving_goals)
        if self.horizon_s is None:
            return gain(problem, infinite_horizon(problem))
        return gain(problem, finite_horizon(problem, max(1, round(self.horizon_s / plant.step_s))))

    def log_prior(self) -> Tensor:
        return super().log_prior() + self.position_weight.log_prior() + self.velocity_weight.log_prior()


def _problem(
    plant: Plant,
    position_weight: Float[Tensor, "plant n_objective"],
    velocity_weight: Float[Tensor, "plant n_velocity"],
    *,
    moving: bool,
) -> LinearQuadratic:
    """The plant with its goal, and its costs of a step."""
    n_axis, n_velocity = position_weight.shape[1], velocity_weight.shape[1]
    n_goal = 2 * n_axis if moving else n_axis
    transition, drive = plant.with_goal(n_goal, moving)
    n = transition.shape[1]
    known = torch.eye(n, device=drive.device, dtype=drive.dtype)
    goal = known[n - n_goal :]
    error, speed = known[:n_axis] - goal[:n_axis], known[n_axis : n_axis + n_velocity]
    if moving:
        speed = speed - goal[n_axis:]
    cost = _quadratic(error, position_weight.double()) + _quadratic(speed, velocity_weight.double())
    n_control = drive.shape[2]
    effort = known[:n_control, :n_control].expand(len(drive), -1, -1)
    return LinearQuadratic(transition, drive, plant.step_s * cost, plant.step_s * effort)


def _quadratic(rows: Float[Tensor, "row n"], weight: Float[Tensor, "plant row"]) -> Float[Tensor, "plant n n"]:
    """sum_i w_i (row_i x)^2 as a matrix."""
    return torch.einsum("pr,ri,rj->pij", weight, rows, rows)
