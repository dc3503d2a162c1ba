"""A saturating pull towards a goal in the body's own units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ncyber_cli.model.controller.gate import Gate, saturated
from ncyber_cli.model.controller.protocol import Belief
from ncyber_cli.model.meta import Pooled

STIFFNESS, DAMPING = 60.0, 14.0  # 1/s^2 and 1/s: a reach of half a second, slightly overdamped


@dataclass(frozen=True)
class SetpointGains:
    """Gains of each trial's animal; `project` maps a wanted acceleration to controls (None: they are the same)."""

    stiffness: Float[Tensor, "trial n_objective n_objective"]
    damping: Float[Tensor, "trial n_objective"]
    bound: Float[Tensor, "trial 1"]
    threshold: Float[Tensor, "trial 1"]
    project: Float[Tensor, "n_control n_objective"] | None


class Setpoint(nn.Module):
    """u = gate(x) c tanh((K (o - p) - D v) / c).

    K = L L' is shared up to a scale per animal; D, c and the gate's offset are per animal. The
    same K multiplies goal and position, which is what puts the objective in the body's units.
    """

    control_scale: Tensor
    looks_ahead = False

    def __init__(
        self,
        n_objective: int,
        n_latent: int,
        n_animal: int,
        bound: float,
        gate_areas: Float[Tensor, " n_latent"],
        projection: Callable[[], Tensor] | None = None,
        n_control: int | None = None,
        stiffness: float = STIFFNESS,
        damping: float = DAMPING,
    ) -> None:
        super().__init__()
        self.n_control = n_control or n_objective
        self.projection = projection
        self.register_buffer("control_scale", torch.tensor(bound))
        self.factor = nn.Parameter(torch.eye(n_objective))
        self.stiffness = Pooled(stiffness, n_animal)
        self.damping = Pooled(torch.full((n_objective,), damping), n_animal)
        self.bound = Pooled(1.5 * bound, n_animal)
        self.gate = Gate(n_latent, n_animal, gate_areas)

    def at(self, animal: Int[Tensor, " trial"]) -> SetpointGains:
        factor = self.factor.tril()
        shape = factor @ factor.T
        return SetpointGains(
            stiffness=self.stiffness(animal)[:, None, None] * shape,
            damping=self.damping(animal),
            bound=self.bound(animal)[:, None],
            threshold=self.gate.at(animal),
            project=None if self.projection is None else self.projection(),
        )

    def command(self, here: SetpointGains, latent: Tensor, objective: Tensor, belief: Belief) -> tuple[Tensor, Tensor]:
        gate = self.gate(here.threshold, latent)
        pull = torch.bmm(here.stiffness, (objective - belief.position)[:, :, None])[:, :, 0]
        pull = pull - here.damping * belief.velocity
        if here.project is not None:
            pull = pull @ here.project.T
        return saturated(gate, here.bound, pull), gate

    def latent_power(self) -> Float[Tensor, " n_latent"]:
        return self.gate.power()

    def log_prior(self) -> Tensor:
        pooled = self.stiffness.log_prior() + self.damping.log_prior() + self.bound.log_prior()
        return pooled + self.gate.log_prior()
