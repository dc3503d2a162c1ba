"""How the brain turns an objective into a command: u_t = pi(x_{t-1}, o_t, b^_{t-1}).

A controller is two methods: `at(animal)` gathers what the loop needs for the trials of a batch,
once; `command(...)` is the law itself, called in every bin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ncyber_cli.model.meta import Pooled

_STIFFNESS, _DAMPING = 60.0, 14.0  # 1/s^2 and 1/s: a reach of half a second, slightly overdamped
_GATE_STRETCH = 0.05  # the stretched sigmoid reaches 0 and 1, so that the gate cannot trade with the gains


@runtime_checkable
class Controller(Protocol):
    n_control: int
    control_scale: Tensor

    def at(self, animal: Int[Tensor, " trial"]) -> Any: ...

    def command(
        self, here: Any, latent: Tensor, objective: Tensor, position: Tensor, velocity: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The command (trial, n_control) and the gate (trial, 1)."""
        ...

    def log_prior(self) -> Tensor: ...


@dataclass(frozen=True)
class SetpointGains:
    """Gains of each trial's animal; `project` maps a wanted acceleration to controls (None: they are the same)."""

    stiffness: Float[Tensor, "trial n_objective n_objective"]
    damping: Float[Tensor, "trial n_objective"]
    bound: Float[Tensor, "trial 1"]
    gate_offset: Float[Tensor, "trial 1"]
    project: Float[Tensor, "n_control n_objective"] | None


class Setpoint(nn.Module):
    """u = gate(x) c tanh((K (o - p) - D v) / c): a saturating pull towards a goal in the body's own units.

    K = L L' is shared up to a scale per animal; D, c and the gate's offset are per animal. The
    same K multiplies goal and position, which is what puts the objective in the body's units.
    """

    control_scale: Tensor
    gate_areas: Tensor

    def __init__(
        self,
        n_objective: int,
        n_latent: int,
        n_animal: int,
        bound: float,
        gate_areas: Float[Tensor, " n_latent"],
        projection: Callable[[], Tensor] | None = None,
        n_control: int | None = None,
        stiffness: float = _STIFFNESS,
        damping: float = _DAMPING,
    ) -> None:
        super().__init__()
        self.n_control = n_control or n_objective
        self.projection = projection
        self.register_buffer("control_scale", torch.tensor(bound))
        self.register_buffer("gate_areas", gate_areas)
        self.factor = nn.Parameter(torch.eye(n_objective))
        self.stiffness = Pooled(stiffness, n_animal)
        self.damping = Pooled(torch.full((n_objective,), damping), n_animal)
        self.bound = Pooled(1.5 * bound, n_animal)
        self.gate = nn.Linear(n_latent, 1)
        self.gate_offset = nn.Parameter(torch.zeros(n_animal, 1))
        nn.init.normal_(self.gate.weight, std=0.1)
        nn.init.constant_(self.gate.bias, 1.0)

    def at(self, animal: Int[Tensor, " trial"]) -> SetpointGains:
        factor = self.factor.tril()
        shape = factor @ factor.T
        return SetpointGains(
            stiffness=self.stiffness(animal)[:, None, None] * shape,
            damping=self.damping(animal),
            bound=self.bound(animal)[:, None],
            gate_offset=self.gate_offset[animal],
            project=None if self.projection is None else self.projection(),
        )

    def command(
        self, here: SetpointGains, latent: Tensor, objective: Tensor, position: Tensor, velocity: Tensor
    ) -> tuple[Tensor, Tensor]:
        raw = torch.addmm(here.gate_offset + self.gate.bias, latent, (self.gate.weight * self.gate_areas).T)
        gate = ((1 + 2 * _GATE_STRETCH) * torch.sigmoid(raw) - _GATE_STRETCH).clamp(0, 1)
        pull = torch.bmm(here.stiffness, (objective - position)[:, :, None])[:, :, 0] - here.damping * velocity
        if here.project is not None:
            pull = pull @ here.project.T
        return gate * here.bound * torch.tanh(pull / here.bound), gate

    def log_prior(self) -> Tensor:
        pooled = self.stiffness.log_prior() + self.damping.log_prior() + self.bound.log_prior()
        return pooled - 0.5 * self.gate_offset.square().sum()


class MLPController(nn.Module):
    """The unstructured pi(x, o): predicts as well and means nothing; kept as the source's form and the ablation."""

    control_scale: Tensor

    def __init__(self, n_latent: int, n_objective: int, n_control: int, hidden: int, bound: float) -> None:
        super().__init__()
        self.n_control = n_control
        self.register_buffer("control_scale", torch.tensor(bound))
        self.net = nn.Sequential(nn.Linear(n_latent + n_objective, hidden), nn.Tanh(), nn.Linear(hidden, n_control))

    def at(self, animal: Int[Tensor, " trial"]) -> None:
        return None

    def command(
        self, here: None, latent: Tensor, objective: Tensor, position: Tensor, velocity: Tensor
    ) -> tuple[Tensor, Tensor]:
        control = self.control_scale * self.net(torch.cat([latent, objective], -1))
        return control, torch.ones_like(control[:, :1])

    def log_prior(self) -> Tensor:
        return self.control_scale.new_zeros(())
