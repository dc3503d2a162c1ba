"""A saturating pull towards a goal in the body's own units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ncyber_cli.model.controller.feedback import FeedbackController, Gains
from ncyber_cli.model.meta import Pooled

STIFFNESS, DAMPING = 60.0, 14.0  # 1/s^2 and 1/s: a reach of half a second, slightly overdamped


@dataclass(frozen=True)
class Pull:
    """Where the gains of a setpoint act. The body begins with position, then velocity where it has one.

    `projection` maps a wanted change of the body to controls (None: they are the same).
    """

    n_body: int
    n_control: int
    has_velocity: bool
    projection: Callable[[], Tensor] | None = None
    moving_goals: bool = False  # the objective is (position, velocity)


class Setpoint(FeedbackController):
    """u = gate(x) c tanh((K (o - p) + D (g - v)) / c), with the goal's velocity g where goals move, else zero.

    K = L L' is shared up to a scale per animal; D, c and the gate's offset are per animal. The
    same K multiplies goal and position, which is what puts the objective in the body's units.
    """

    looks_ahead = False

    def __init__(
        self,
        n_axis: int,
        n_latent: int,
        n_animal: int,
        bound: float,
        gate_areas: Float[Tensor, " n_latent"],
        pull: Pull,
        stiffness: float = STIFFNESS,
        damping: float = DAMPING,
    ) -> None:
        super().__init__(n_latent, n_animal, pull.n_control, bound, gate_areas)
        self.pull = pull
        self.factor = nn.Parameter(torch.eye(n_axis))
        self.stiffness = Pooled(stiffness, n_animal)
        self.damping = Pooled(torch.full((n_axis,), damping), n_animal, fixed=not pull.has_velocity)

    def stiffness_of(self, animal: Int[Tensor, " trial"]) -> Float[Tensor, "trial n_axis n_axis"]:
        """K of each trial's animal."""
        factor = self.factor.tril()
        scale: Tensor = self.stiffness(animal)[:, None, None]
        return scale * (factor @ factor.T)

    def at(self, animal: Int[Tensor, " trial"]) -> Gains:
        return self.behind_the_gate(animal, self._gain(animal), None)

    def _gain(self, animal: Int[Tensor, " trial"]) -> Float[Tensor, "trial n_control n_known"]:
        """-(K (o - p) + D (g - v)) as a matrix on (body, actuator, goal)."""
        stiffness, pull = self.stiffness_of(animal), self.pull
        n_trial, n_goal, _ = stiffness.shape
        damping = [torch.diag_embed(self.damping(animal))] if pull.has_velocity else []
        goal_damping = [-each for each in damping] if pull.moving_goals else []
        rest = pull.n_body - n_goal * (1 + pull.has_velocity)
        none = [stiffness.new_zeros(n_trial, n_goal, rest + pull.n_control)]
        gain = torch.cat([stiffness, *damping, *none, -stiffness, *goal_damping], 2)
        return gain if pull.projection is None else pull.projection() @ gain

    def log_prior(self) -> Tensor:
        return super().log_prior() + self.stiffness.log_prior() + self.damping.log_prior()
