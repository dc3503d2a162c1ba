"""How far the brain lets its controller command: a gate that reaches 0 and 1, opened by named areas."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

_STRETCH = 0.05  # the stretched sigmoid reaches 0 and 1, so that the gate cannot trade with the gains


class Gate(nn.Module):
    """gate(x) in [0, 1]: one reading of the latents for all animals, shifted for each of them."""

    areas: Tensor

    def __init__(self, n_latent: int, n_animal: int, areas: Float[Tensor, " n_latent"]) -> None:
        super().__init__()
        self.register_buffer("areas", areas)
        self.readout = nn.Linear(n_latent, 1)
        self.offset = nn.Parameter(torch.zeros(n_animal, 1))
        nn.init.normal_(self.readout.weight, std=0.1)
        nn.init.constant_(self.readout.bias, 1.0)

    def at(self, animal: Int[Tensor, " trial"]) -> Float[Tensor, "trial 1"]:
        """Each trial's threshold, to be handed to `forward`."""
        return self.offset[animal] + self.readout.bias

    def forward(
        self, threshold: Float[Tensor, "trial 1"], latent: Float[Tensor, "trial n_latent"]
    ) -> Float[Tensor, "trial 1"]:
        raw = torch.addmm(threshold, latent, (self.readout.weight * self.areas).T)
        return ((1 + 2 * _STRETCH) * torch.sigmoid(raw) - _STRETCH).clamp(0, 1)

    def power(self) -> Float[Tensor, " n_latent"]:
        """How much each latent opens the gate: its squared weight."""
        return (self.readout.weight[0] * self.areas).square()

    def log_prior(self) -> Float[Tensor, ""]:
        return -0.5 * self.offset.square().sum()
