"""Inverse optimal control: the command of an animal that minimises a cost, whose weights are what is learned.

The animal weighs, per second,

    sum_i q_i (p_i - o_i)^2 + sum_i w_i (v_i - g_i)^2 + sum_k u_k^2

with position p, goal o, velocity v, goal velocity g (zero for goals that stay) and command u. Effort has weight one:
only ratios of weights can be seen in what an animal does. The plant is the body, the muscle and the goal, so the
state of the muscle enters the command, as in Todorov & Jordan (2002); delayed senses are not part of it, because
the brain commands from an estimate that a forward model has brought up to date.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ncyber_cli.model.controller.gate import Gate, saturated
from ncyber_cli.model.controller.protocol import Belief
from ncyber_cli.model.meta import Pooled
from ncyber_cli.model.plant import Plant
from ncyber_cli.model.riccati import LinearQuadratic, finite_horizon, gain, infinite_horizon

_WEIGHT_SD = 0.6  # log-normal spread over animals: weights go with the square or the fourth power of speed


@dataclass(frozen=True)
class LqrGains:
    """Gains of each trial's animal on what the brain believes: u = goal_gain o - body_gain b - actuator_gain m."""

    body: Float[Tensor, "trial n_control n_body"]
    actuator: Float[Tensor, "trial n_control n_control"]
    goal: Float[Tensor, "trial n_control n_objective"]
    origin: Float[Tensor, " n_body"]
    bound: Float[Tensor, "trial 1"]
    threshold: Float[Tensor, "trial 1"]


class Lqr(nn.Module):
    """u = gate(x) c tanh(-K (b^, m, o) / c), K from the Riccati equation of the animal's own body and weights.

    Without `horizon_s` the animal plans for ever; with it, always that far ahead (a receding horizon: the time at
    which a trial ends is the experimenter's, not the animal's). The Riccati equation is solved once a batch, for
    every animal, in double precision, on a step of the plant far shorter than a bin: what is
    learned does not depend on the width of the bins.
    """

    control_scale: Tensor
    looks_ahead = True

    def __init__(
        self,
        plant: Callable[[], Plant],
        n_latent: int,
        n_animal: int,
        n_control: int,
        bound: float,
        gate_areas: Float[Tensor, " n_latent"],
        position_weight: Float[Tensor, " n_objective"],
        velocity_weight: Float[Tensor, " n_velocity"],
        horizon_s: float | None = None,
    ) -> None:
        super().__init__()
        self.n_control, self.n_animal, self.plant, self.horizon_s = n_control, n_animal, plant, horizon_s
        self.register_buffer("control_scale", torch.tensor(bound))
        self.position_weight = Pooled(position_weight, n_animal, _WEIGHT_SD)
        self.velocity_weight = Pooled(velocity_weight, n_animal, _WEIGHT_SD)
        self.bound = Pooled(1.5 * bound, n_animal)
        self.gate = Gate(n_latent, n_animal, gate_areas)

    def at(self, animal: Int[Tensor, " trial"]) -> LqrGains:
        plant = self.plant()
        n_body, n_control = len(plant.origin), self.n_control
        gains = self.gains(plant).to(self.control_scale.dtype)[animal]
        body, actuator, goal = torch.split(gains, [n_body, n_control, gains.shape[2] - n_body - n_control], -1)
        return LqrGains(body, actuator, -goal, plant.origin, self.bound(animal)[:, None], self.gate.at(animal))

    def gains(self, plant: Plant) -> Float[Tensor, "n_animal n_control n_state"]:
        """K of every animal, in double precision, for the state (body - origin, actuator, goal)."""
        animals = torch.arange(self.n_animal, device=self.control_scale.device)
        problem = _problem(plant, self.position_weight(animals), self.velocity_weight(animals))
        if self.horizon_s is None:
            return gain(problem, infinite_horizon(problem))
        return gain(problem, finite_horizon(problem, max(1, round(self.horizon_s / plant.step_s))))

    def command(self, here: LqrGains, latent: Tensor, objective: Tensor, belief: Belief) -> tuple[Tensor, Tensor]:
        gate = self.gate(here.threshold, latent)
        assert belief.body is not None
        n = objective.shape[1]
        goal = objective - here.origin[:n]
        pull = torch.bmm(here.goal, goal[:, :, None]) - torch.bmm(here.body, (belief.body - here.origin)[:, :, None])
        pull = pull - torch.bmm(here.actuator, belief.actuator[:, :, None])
        return saturated(gate, here.bound, pull[:, :, 0]), gate

    def latent_power(self) -> Float[Tensor, " n_latent"]:
        return self.gate.power()

    def log_prior(self) -> Tensor:
        parts = (self.position_weight, self.velocity_weight, self.bound, self.gate)
        return torch.stack([part.log_prior() for part in parts]).sum()


def _problem(
    plant: Plant,
    position_weight: Float[Tensor, "plant n_objective"],
    velocity_weight: Float[Tensor, "plant n_velocity"],
) -> LinearQuadratic:
    """The plant with a goal that stays where it is, and its costs of a step."""
    n_plant, n_state, n_control = plant.drive.shape
    n_goal, n_velocity = position_weight.shape[1], velocity_weight.shape[1]
    still = torch.eye(n_goal).to(plant.drive).expand(n_plant, -1, -1)
    none = plant.drive.new_zeros(n_plant, n_state, n_goal)
    transition = torch.cat([torch.cat([plant.transition, none], 2), torch.cat([none.mT, still], 2)], 1)
    drive = torch.cat([plant.drive, plant.drive.new_zeros(n_plant, n_goal, n_control)], 1)
    error = torch.cat([torch.eye(n_goal, n_state).to(none), -still[0]], 1)
    speed = torch.eye(n_state + n_goal).to(none)[n_goal : n_goal + n_velocity]
    cost = _quadratic(error, position_weight.double()) + _quadratic(speed, velocity_weight.double())
    effort = torch.eye(n_control).to(none).expand(n_plant, -1, -1)
    return LinearQuadratic(transition, drive, plant.step_s * cost, plant.step_s * effort)


def _quadratic(rows: Float[Tensor, "row n"], weight: Float[Tensor, "plant row"]) -> Float[Tensor, "plant n n"]:
    """sum_i w_i (row_i x)^2 as a matrix."""
    return torch.einsum("pr,ri,rj->pij", weight, rows, rows)
