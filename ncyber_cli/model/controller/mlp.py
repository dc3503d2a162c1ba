"""The unstructured pi(x, o): predicts as well and means nothing; kept as the source's form and the ablation."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ncyber_cli.model.controller.protocol import Belief


class MLPController(nn.Module):
    """A small network from brain state and objective to the command; the body does not enter."""

    control_scale: Tensor
    looks_ahead = False

    def __init__(self, n_latent: int, n_objective: int, n_control: int, hidden: int, bound: float) -> None:
        super().__init__()
        self.n_latent, self.n_control = n_latent, n_control
        self.register_buffer("control_scale", torch.tensor(bound))
        self.net = nn.Sequential(nn.Linear(n_latent + n_objective, hidden), nn.Tanh(), nn.Linear(hidden, n_control))

    def at(self, animal: Int[Tensor, " trial"]) -> None:
        return None

    def command(self, here: None, latent: Tensor, objective: Tensor, belief: Belief) -> tuple[Tensor, Tensor]:
        control = self.control_scale * self.net(torch.cat([latent, objective], -1))
        return control, torch.ones_like(control[:, :1])

    def latent_power(self) -> Float[Tensor, " n_latent"]:
        weight = self.net.get_parameter("0.weight")
        return weight[:, : self.n_latent].square().sum(0)

    def log_prior(self) -> Tensor:
        return self.control_scale.new_zeros(())
