"""What setpoint and lqr share: linear feedback behind a gate and a bound."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ncyber_cli.model.controller.gate import Gate
from ncyber_cli.model.controller.protocol import Belief
from ncyber_cli.model.meta import Pooled


@dataclass(frozen=True)
class Gains:
    """K of each trial's animal in u = -K (body - origin, actuator, goal - origin); `origin` None: zero."""

    gain: Float[Tensor, "trial n_control n_known"]
    origin: Float[Tensor, " n_body"] | None
    bound: Float[Tensor, "trial 1"]
    threshold: Float[Tensor, "trial 1"]


class FeedbackController(nn.Module):
    """u = gate(x) c tanh(-K (b^, m, o) / c): unit slope at rest on the goal, never beyond the bound c."""

    control_scale: Tensor

    def __init__(
        self, n_latent: int, n_animal: int, n_control: int, bound: float, gate_areas: Float[Tensor, " n_latent"]
    ) -> None:
        super().__init__()
        self.n_control = n_control
        self.register_buffer("control_scale", torch.tensor(bound))
        self.bound = Pooled(1.5 * bound, n_animal)
        self.gate = Gate(n_latent, n_animal, gate_areas)

    def behind_the_gate(self, animal: Int[Tensor, " trial"], gain: Tensor, origin: Tensor | None) -> Gains:
        return Gains(gain, origin, self.bound(animal)[:, None], self.gate.at(animal))

    def command(self, here: Gains, latent: Tensor, objective: Tensor, belief: Belief) -> tuple[Tensor, Tensor]:
        body = belief.body
        if here.origin is not None:
            body, objective = body - here.origin, objective - here.origin[: objective.shape[1]]
        known = torch.cat([body, belief.actuator, objective], 1)
        pull = -torch.bmm(here.gain, known[:, :, None])[:, :, 0]
        gate = self.gate(here.threshold, latent)
        return gate * here.bound * torch.tanh(pull / here.bound), gate

    def latent_power(self) -> Float[Tensor, " n_latent"]:
        return self.gate.power()

    def log_prior(self) -> Tensor:
        return self.bound.log_prior() + self.gate.log_prior()
